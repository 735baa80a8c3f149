"""`Idempotency-Key`: C22's cases, and what bounds the memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.faults import Fault
from faultmaven.gateway.idempotency import (
    KEPT_S,
    Kept,
    Replays,
    digest_of,
    may_have_run,
)
from faultmaven.gateway.tally import Tally
from faultmaven.infrastructure.llm import errors as llm
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import Attempt
from tests.gateway.conftest import MESSAGES

if TYPE_CHECKING:
    from tests.gateway.conftest import Client

KEYS = """
keys: [{name: one, key: vk-one-0123456789}, {name: two, key: vk-two-0123456789}]
"""
CHAT = "/v1/chat/completions"
BODY = {"model": "openai/fake", "messages": MESSAGES}


def post(client: Client, key: str = "abc", body: Any = None, **headers: str) -> Any:
    return client.post(CHAT, body or BODY, Idempotency_Key=key, **headers)


async def told(call: Any) -> tuple[int, str | None, str | None, bytes]:
    """Give status, error's code, whether it was replayed, and the body of an answer."""
    async with call as reply:
        body = await reply.read()
        code = None
        if reply.status >= 400:
            code = (await reply.json())["error"]["code"]
        return reply.status, code, reply.headers.get("idempotent-replayed"), body


async def test_of_two_at_once_one_is_answered_and_the_other_told_to_wait(start, upstream):
    async with start() as client:
        body = {**BODY, "model": "openai/fm:hold"}
        first = asyncio.create_task(told(post(client, body=body)))
        await upstream.wait_for_requests(1)
        async with post(client, body=body) as reply:
            error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (409, "idempotency_in_flight")
        assert error["param"] == "Idempotency-Key"
        assert reply.headers["Retry-After"] == "1"
        assert (await told(post(client)))[:2] == (422, "idempotency_mismatch")
        upstream.release()
        status, _, replayed, answer = await first
        again = await told(post(client, body=body))

    assert (status, replayed) == (200, None)
    assert again == (200, None, "true", answer)
    assert len(upstream.requests) == 1


async def test_an_answer_is_given_again_as_it_was(start, upstream):
    async with start("limits: {default: {requests_per_minute: 9}}") as client:
        async with post(client) as first:
            answer = await first.read()
        async with post(client, x_request_id="mine") as second:
            assert await second.read() == answer
        assert (await told(post(client, body={**BODY, "seed": 1})))[:2] == (
            422, "idempotency_mismatch",
        )  # fmt: skip
        other_path = client.post("/v1/completions", BODY, Idempotency_Key="abc")
        assert (await told(other_path))[:2] == (422, "idempotency_mismatch")
        tally = client.gateway.meter.tally

    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert second.headers["x-request-id"] == "mine"
    for name in ("Content-Type", "x-faultmaven-provider", "x-faultmaven-model"):
        assert second.headers[name] == first.headers[name]
    assert "x-ratelimit-remaining-requests" in first.headers
    assert "x-ratelimit-remaining-requests" not in second.headers, "it has counted for nothing"
    assert len(upstream.requests) == 1
    assert (tally.replayed, tally.rejected["idempotency_mismatch"]) == (1, 2)


async def test_keys_belong_to_whoever_sends_them(start, upstream):
    async with start(KEYS) as client:
        answers = [
            await told(post(client, Authorization=f"Bearer vk-{name}-0123456789"))
            for name in ("one", "two", "one")
        ]

    assert [(status, replayed) for status, _, replayed, _ in answers] == [
        (200, None),
        (200, None),
        (200, "true"),
    ]
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("spec", ["status:500", "close-before-headers", "200-html"])
async def test_an_error_of_what_may_have_run_is_given_again(start, upstream, spec):
    async with start() as client:
        upstream.script([spec])
        first = await told(post(client))
        again = await told(post(client))

    assert first[0] == 502
    assert again == (first[0], first[1], "true", first[3])
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("spec", ["status:429", "status:503", "status:401", "status:400"])
async def test_what_was_declined_is_tried_anew(start, upstream, spec):
    async with start() as client:
        upstream.script([spec])
        assert (await told(post(client)))[0] >= 400
        status, _, replayed, _ = await told(post(client))

    assert (status, replayed) == (200, None)
    assert len(upstream.requests) == 2


async def test_what_never_reached_a_provider_is_tried_anew(start, upstream):
    async with start("gateway: {max_concurrency: 1, queue_s: 0}") as client:
        held = asyncio.create_task(
            told(post(client, "other", {**BODY, "model": "openai/fm:hold"}))
        )
        await upstream.wait_for_requests(1)
        assert (await told(post(client)))[:2] == (503, "overloaded")
        upstream.release()
        await held
        assert (await told(post(client)))[0] == 200
        missing = {**BODY, "model": "nobody/fake"}
        assert (await told(post(client, "new", missing)))[:3] == (404, "model_not_found", None)
        assert (await told(post(client, "new")))[0] == 200, "even another body may come"


async def test_a_client_that_leaves_may_come_again(start, upstream):
    async with start() as client:
        upstream.mode("hold")
        call = asyncio.create_task(told(post(client)))
        await upstream.wait_for_requests(1)
        call.cancel()
        await upstream.wait_for_clients_gone()
        upstream.mode(None)
        async with asyncio.timeout(60):
            while (found := await told(post(client)))[1] == "idempotency_in_flight":
                pass

    assert found[:3] == (200, None, None)


async def test_streams_are_not_kept_but_not_run_twice_at_once(start, upstream):
    async with start() as client:
        body = {**BODY, "model": "openai/fm:hold", "stream": True}
        async with post(client, body=body) as stream:
            assert (await told(post(client, body=body)))[:2] == (409, "idempotency_in_flight")
            upstream.release()
            await stream.read()
        async with post(client, body=body) as again:
            assert (again.status, again.headers.get("idempotent-replayed")) == (200, None)
            await again.read()

    assert len(upstream.requests) == 2


async def test_errors_that_are_given_again_are_in_the_clients_api(start, upstream):
    async with start() as client:
        upstream.mode("status:500")
        body = {"model": "anthropic/fake", "max_tokens": 5, "messages": MESSAGES}
        for _ in range(2):
            async with client.post("/v1/messages", body, Idempotency_Key="abc") as reply:
                assert (await reply.json())["type"] == "error"

    assert reply.headers["idempotent-replayed"] == "true"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"], ids=["empty", "long", "no ASCII"])
async def test_a_key_that_is_none_is_refused(client, upstream, key):
    async with post(client, key) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["param"]) == (400, "Idempotency-Key")
    assert upstream.requests == []


async def test_a_key_may_have_255_characters(client):
    assert (await told(post(client, "x" * 255)))[0] == 200


def made(**bounds: Any) -> tuple[Replays, FakeClock]:
    clock = FakeClock()
    return Replays(Tally(), clock, **bounds), clock


def keep(replays: Replays, key: str, size: int = 10) -> None:
    assert replays.begin(("k", key), b"digest") is None
    answer = Answer(200, b"x" * size, fields="x-request-id: req_1\r\nx-a: b\r\n")
    replays.end(("k", key), Kept.of_answer(answer, "req_1"))


def test_answers_are_kept_for_a_day():
    replays, clock = made()
    keep(replays, "a")
    clock.advance(KEPT_S)
    assert replays.begin(("k", "a"), b"digest") is not None
    clock.advance(1)

    assert replays.begin(("k", "a"), b"another") is None


def test_what_was_not_used_for_longest_is_forgotten_first():
    replays, _ = made(max_entries=2)
    keep(replays, "a")
    keep(replays, "b")
    assert replays.begin(("k", "a"), b"digest") is not None
    keep(replays, "c")

    assert replays.begin(("k", "a"), b"digest") is not None
    assert replays.begin(("k", "b"), b"digest") is None


def test_answers_take_no_more_memory_than_is_said():
    replays, _ = made(max_bytes=100_000)
    for number in range(50):
        keep(replays, str(number), 20_000)
    assert len(replays) == 4
    keep(replays, "huge", 200_000)

    assert len(replays) == 4
    assert replays.begin(("k", "huge"), b"digest") is None


def test_a_replay_has_the_new_requests_id():
    replays, _ = made()
    keep(replays, "a")
    answer = replays.begin(("k", "a"), b"digest").replay("req_2")

    assert answer.fields == "x-request-id: req_2\r\nx-a: b\r\nidempotent-replayed: true\r\n"


def test_a_fault_is_given_again_without_touching_what_is_kept():
    kept = Kept(fault=Fault(502, "upstream", "upstream_error", "It failed."))
    for _ in range(2):
        with pytest.raises(Fault) as raised:
            kept.replay("req_1")
        assert raised.value.fields == "idempotent-replayed: true\r\n"


def test_paths_tell_requests_apart():
    assert digest_of("/a", b"x") != digest_of("/b", b"x")
    assert digest_of("/a" * 200, b"x") != digest_of("/a" * 200 + "b", b"x")


def failed(error: llm.LLMError, *earlier: Attempt) -> llm.LLMError:
    error.attempts = [*earlier, Attempt("p", "m", type(error).__name__, 1, error.status)]
    return error


ENDS = {
    "declined": (failed(llm.RateLimitError("x", status=429)), False),
    "no capacity": (failed(llm.ServerError("x", status=503)), False),
    "refused": (failed(llm.LLMConnectionError("x", code="connect_refused")), False),
    "reset": (failed(llm.LLMConnectionError("x", code="connection_reset")), True),
    "timeout": (failed(llm.LLMTimeoutError("x", code="read_timeout")), True),
    "failed": (failed(llm.ServerError("x", status=500)), True),
    "failed, then declined": (
        failed(llm.RateLimitError("x", status=429), Attempt("p", "m", "ServerError", 1, 500)),
        True,
    ),
    "declined twice": (
        failed(llm.RateLimitError("x", status=429), Attempt("p", "m", "ServerError", 1, 503)),
        False,
    ),
    "all declined": (
        llm.AllProvidersFailedError(
            "x", errors=[llm.RateLimitError("x"), llm.AuthenticationError("x")]
        ),
        False,
    ),
    "one failed": (
        llm.AllProvidersFailedError("x", errors=[llm.ServerError("x"), llm.RateLimitError("x")]),
        True,
    ),
    "no error": (None, False),
}


@pytest.mark.parametrize(("error", "has_run"), ENDS.values(), ids=ENDS)
def test_what_may_have_run(error, has_run):
    assert may_have_run(error) is has_run
