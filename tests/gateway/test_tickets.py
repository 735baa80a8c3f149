"""What a ticket takes and gives back, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, strategies as st

from faultmaven.gateway.admission import Admission, Ticket
from faultmaven.gateway.allowance import PREFERRED_CONCURRENCY, Allowances
from faultmaven.gateway.faults import LOCAL_LIMIT, Fault
from faultmaven.gateway.record import Record
from faultmaven.gateway.tally import Tally
from faultmaven.infrastructure.llm.errors import RateLimitError
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import Usage

BODY = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 90}
FIELDS = ("max_tokens",)


def made(clock: FakeClock | None = None, most: int = 100, **said: Any) -> Admission:
    return Admission(
        Tally(),
        allowances=Allowances(**said),
        max_concurrency=most,
        queue_s=60,
        clock=clock or FakeClock(),
    )


def record(**said: Any) -> Record:
    return Record("req_1", "openai_chat", "k", 0.0, **said)


def test_requests_beyond_a_keys_limit_are_told_when_to_come_again():
    clock = FakeClock()
    admission = made(clock, keys={"k": {"requests_per_minute": 2}})
    for _ in range(2):
        ticket = admission.admit("k")
        assert ticket.enter(BODY, FIELDS)
        ticket.choose("openai", {})
        ticket.leave(record())
    with pytest.raises(Fault) as refused:
        admission.admit("k").enter(BODY, FIELDS)

    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    assert refused.value.retry_after_s == 61
    assert admission.admit("other").enter(BODY, FIELDS)
    clock.advance(61)
    assert admission.admit("k").enter(BODY, FIELDS)
    assert admission.tally.rejected["key_requests"] == 1


def test_tokens_are_expected_then_settled():
    admission = made(keys={"k": {"tokens_per_minute": 250}})
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    ticket.choose("openai", {})
    expected = ticket.expected_tokens
    assert 90 < expected < 125
    assert f"remaining-tokens: {250 - expected}\r\n" in ticket.fields()
    ticket.leave(record(usage=Usage(10, 5)))

    assert "remaining-tokens: 235\r\n" in ticket.fields()


@pytest.mark.parametrize(
    ("outcome", "begins", "left"),
    [
        ("ok", True, "less"),
        ("cancelled", True, "less"),
        ("incomplete", True, "less"),
        ("ServerError", True, "all"),
        ("cancelled", False, "all"),
        ("rate_limit", False, "all"),
    ],
)
def test_tokens_that_nobody_has_counted(outcome, begins, left):
    admission = made(keys={"k": {"tokens_per_minute": 1000, "requests_per_minute": 10}})
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    if begins:
        ticket.choose("openai", {})
    ticket.leave(record(outcome=outcome))

    fields = ticket.fields()
    assert ("remaining-tokens: 1000\r\n" in fields) is (left == "all")
    assert f"remaining-requests: {9 if begins else 10}\r\n" in fields


def test_a_provider_at_its_limit_is_left_out():
    admission = made(providers={"groq": {"concurrency": 1}})
    first, second = admission.admit("k"), admission.admit("k")
    first.enter(BODY, FIELDS)
    first.choose("groq", {})
    second.enter(BODY, FIELDS)
    with pytest.raises(RateLimitError) as refused:
        second.choose("groq", {})
    assert (refused.value.code, refused.value.retry_after_s) == (LOCAL_LIMIT, 1.0)
    assert not second.has_begun
    second.choose("openai", {})
    first.leave(record())
    third = admission.admit("k")
    third.enter(BODY, FIELDS)
    third.choose("groq", {})

    assert admission.tally.rejected["provider_concurrency"] == 1


def test_a_provider_has_room_again_when_it_has_failed():
    admission = made(providers={"groq": {"concurrency": 1}})
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    ticket.choose("groq", {})
    ticket.drop(3)
    ticket.drop(3)

    assert admission.gate_of("groq", {}).taken == 0
    ticket.choose("groq", {})
    ticket.leave(record())
    ticket.leave(record())
    assert admission.gate_of("groq", {}).taken == 0


def test_every_try_counts_against_a_providers_requests():
    admission = made(providers={"groq": {"requests_per_minute": 10}})
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    ticket.choose("groq", {})
    ticket.drop(3)
    ticket.choose("openai", {})
    ticket.drop(1)
    ticket.choose("groq", {})
    ticket.leave(record(attempts=6))

    assert admission.gate_of("groq", {}).requests.remaining == 10 - 3 - 2


def test_without_a_limit_a_busy_provider_is_avoided_where_another_is_left():
    admission = made(most=1000)
    for _ in range(PREFERRED_CONCURRENCY):
        ticket = admission.admit("k")
        ticket.enter(BODY, FIELDS)
        ticket.choose("openai", {}, is_last=False)
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    with pytest.raises(RateLimitError, match="256 at the same time"):
        ticket.choose("openai", {}, is_last=False)

    ticket.choose("openai", {}, is_last=True)


def test_rows_have_limits_too():
    admission = made()
    row = {"limits": {"requests_per_minute": 1}}
    first, second = admission.admit("k"), admission.admit("k")
    first.enter(BODY, FIELDS)
    first.choose("groq", row)
    second.enter(BODY, FIELDS)
    with pytest.raises(RateLimitError, match="1 requests a minute"):
        second.choose("groq", row)


def test_other_limits_hold_from_then_on_and_what_was_used_stays_used():
    admission = made(keys={"k": {"requests_per_minute": 10}})
    ticket = admission.admit("k")
    ticket.enter(BODY, FIELDS)
    ticket.choose("groq", {})
    changed = Allowances(
        keys={"k": {"requests_per_minute": 3, "tokens_per_minute": 500}},
        providers={"groq": {"concurrency": 1}},
    )
    admission.adopt(changed, 100, 1.0)

    assert "limit-requests: 3\r\nx-ratelimit-remaining-requests: 2\r\n" in ticket.fields()
    other = admission.admit("k")
    other.enter(BODY, FIELDS)
    with pytest.raises(RateLimitError):
        other.choose("groq", {})
    ticket.leave(record(usage=Usage(100, 100)))
    assert "remaining-tokens: " in ticket.fields()
    other.leave(record())


def test_keys_without_limits_are_told_nothing():
    assert made().admit("k").fields() == ""
    assert made(keys={"k": {"concurrency": 1}}).admit("k").fields() == ""


def test_the_reset_is_written_as_a_duration():
    admission = made(keys={"k": {"requests_per_minute": 5}})
    ticket = admission.admit("k")
    assert "x-ratelimit-reset-requests: 0s\r\n" in ticket.fields()
    ticket.enter(BODY, FIELDS)

    assert "x-ratelimit-reset-requests: 1m1s\r\n" in ticket.fields()


ACTS = st.lists(
    st.tuples(st.sampled_from(["come", "open", "cancel", "turn"]), st.integers(0, 7)),
    max_size=60,
)  # fmt: skip


class Crowd:
    """Makes calls as the gateway does, each of which ends when its door is opened, or before."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.doors: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.admission = made(
            None,
            most,
            keys={
                "a": {"concurrency": 4, "tokens_per_minute": 400},
                "b": {"requests_per_minute": 6},
            },
            providers={"p0": {"concurrency": 2}, "p1": {"tokens_per_minute": 300}},
        )

    async def act(self, what: str, number: int) -> None:
        if what == "come":
            self.doors.append(asyncio.Event())
            self.tasks.append(asyncio.create_task(self._call(len(self.tasks))))
        elif what == "turn":
            await asyncio.sleep(0)
        elif self.tasks and what == "cancel":
            self.tasks[number % len(self.tasks)].cancel()
        elif self.tasks:
            self.doors[number % len(self.tasks)].set()

    async def end(self) -> list[object]:
        for door in self.doors:
            door.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _call(self, number: int) -> None:
        note = record(outcome="cancelled")
        ticket = self.admission.admit("ab"[number % 2])
        try:
            if not ticket.enter(BODY, FIELDS):
                await ticket.queue(None)
            assert self.admission.tally.calls <= self.most
            await self._ask(ticket, number)
            note.outcome = "ok"
        finally:
            ticket.leave(note)

    async def _ask(self, ticket: Ticket, number: int) -> None:
        for name in ("p0", "p1", "p2"):
            try:
                ticket.choose(name, {})
            except RateLimitError:
                continue
            await self.doors[number].wait()
            if number % 3:
                break
            ticket.drop(1)


@given(most=st.integers(1, 3), acts=ACTS)
def test_nothing_is_kept_when_all_have_gone(most, acts):
    async def play() -> None:
        crowd = Crowd(most)
        for what, number in acts:
            await crowd.act(what, number)
        found = await crowd.end()

        assert all(f is None or isinstance(f, Fault | asyncio.CancelledError) for f in found)
        admission = crowd.admission
        tally, places = admission.tally, admission.places
        assert (tally.calls, tally.queued, places.taken, places.queued) == (0, 0, 0, 0)
        for gate in (*admission._keys.values(), *admission._providers.values()):
            assert gate.taken == 0

    asyncio.run(play())
