"""Which answers of a provider are tried again, when, how often, and what the client is told in the end."""

from __future__ import annotations

import asyncio

import pytest

from faultmaven.infrastructure.llm.retry import FakeClock
from tests.gateway.conftest import MESSAGES
from tests.gateway.lanes import LANES

SOON = "retry-after-ms=1"
TWICE = {"LLM_MAX_RETRIES": "2"}

# What the provider answers: what the client gets, and how often the provider was asked.
TRIES = {
    f"status:500:{SOON}": (502, 3),
    f"status:502:{SOON}": (502, 3),
    f"status:503:{SOON}": (503, 3),
    f"status:504:{SOON}": (504, 3),
    f"status:520:{SOON}": (502, 3),
    f"status:524:{SOON}": (502, 3),
    f"status:529:{SOON}": (503, 3),
    f"status:429:{SOON}": (429, 3),
    f"status:408:{SOON}": (504, 3),
    f"status:409:{SOON}:x-should-retry=true": (409, 3),
    f"status:400:{SOON}:x-should-retry=true": (400, 3),
    "status:503:x-should-retry=false": (503, 1),
    "status:429:x-should-retry=false": (429, 1),
    "status:409": (409, 1),
    "status:400": (400, 1),
    "status:404": (404, 1),
    "status:413": (413, 1),
    "status:422": (422, 1),
    "status:401": (502, 1),
    "status:402": (502, 1),
    "status:403": (502, 1),
    "context-length": (400, 1),
    "quota": (429, 1),
    "redirect:307": (502, 1),
    "status:429:retry-after=3600": (429, 1),
}


@pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
@pytest.mark.parametrize("spec", TRIES)
async def test_what_is_tried_again(start, upstream, spec, lane):
    status, tries = TRIES[spec]
    async with start(**TWICE) as client, client.post(lane.path, lane.body(spec)) as reply:
        assert reply.status == status
        lane.error_of(await reply.json())

    assert len(upstream.requests) == tries
    assert reply.headers["x-faultmaven-attempts"] == str(tries)
    if status >= 500 or status == 429:
        assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
async def test_a_provider_that_recovers_is_seen_to_answer(start, upstream, lane, stream):
    async with start(**TWICE) as client:
        clock = use_clock(client, lane.provider)
        body = lane.body("flaky:2:status:503", stream=stream)
        async with client.post(lane.path, body) as reply:
            text = await reply.text()

    assert lane.text_of(text, stream=stream).startswith("Grüße")
    assert reply.headers["x-faultmaven-attempts"] == "3"
    first, second = clock.sleeps
    assert 0 <= first < 1  # full jitter below 1 s for who is overloaded
    assert 0 <= second < 2


@pytest.mark.parametrize(
    "fault",
    ["reset-mid-stream:0", "error-first", "empty-stream", "close-before-headers", "garbage"],
)
@pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
async def test_what_fails_before_the_first_piece_is_never_seen(start, upstream, lane, fault):
    async with (
        start(**TWICE) as client,
        client.post(lane.path, lane.body(f"flaky:1:{fault}", stream=True)) as reply,
    ):
        text = await reply.text()

    assert reply.status == 200
    assert lane.broken_by(text) is None
    assert lane.text_of(text, stream=True).startswith("Grüße")
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("header", "low_s", "high_s"),
    [
        ("retry-after=1", 1.0, 1.1),
        ("retry-after-ms=300", 0.3, 0.33),
        ("retry-after-date=20", 10.0, 22.0),
        ("retry-after-date=-5", 0.0, 1.0),
        ("retry-after=0", 0.0, 1.0),
        ("retry-after=-3", 0.0, 1.0),
        ("retry-after=inf", 0.0, 1.0),
        ("retry-after=abc", 0.0, 1.0),
    ],
)
async def test_a_provider_says_when_to_come_back(start, upstream, header, low_s, high_s):
    async with start(**TWICE) as client:
        clock = use_clock(client, "openai")
        async with client.chat(f"openai/fm:flaky:1:status:429:{header}") as reply:
            assert reply.status == 200

    (waited_s,) = clock.sleeps
    assert low_s <= waited_s <= high_s


async def test_a_provider_is_really_left_alone_for_so_long(start, upstream):
    async with (
        start(**TWICE) as client,
        client.chat("openai/fm:flaky:1:status:429:retry-after-ms=200") as reply,
    ):
        assert reply.status == 200

    first, second = upstream.requests
    assert second.received_s - (first.received_s + first.finished_s) >= 0.2


async def test_who_asks_for_too_long_a_wait_is_not_waited_for(start, upstream):
    async with start(FALLBACK_PROVIDERS="groq", **TWICE) as client:
        upstream.script(["status:429:retry-after=1000000000", None])
        async with client.chat() as reply:
            assert reply.status == 200
            assert reply.headers["x-faultmaven-provider"] == "groq"

    async with (
        start(**TWICE) as client,
        client.chat("openai/fm:status:429:retry-after=90") as reply,
    ):
        assert reply.status == 429
        assert reply.headers["retry-after"] == "90"


async def test_who_leaves_during_a_wait_is_not_asked_for_again(start, upstream, records):
    async with start(**TWICE) as client:
        asking = asyncio.ensure_future(fetch(client, "openai/fm:status:503:retry-after=1"))
        await upstream.wait_for_finished(1)
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(60):
            while client.gateway.meter.in_flight:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.001)

    assert len(upstream.requests) == 1
    assert [(event.outcome, event.status) for event in records] == [("cancelled", 499)]


async def test_an_sdk_with_retries_of_its_own_does_not_multiply_ours(start, upstream):
    openai = pytest.importorskip("openai")
    async with (
        start(**TWICE) as client,
        openai.AsyncOpenAI(
            base_url=client.url + "/v1", api_key="gk-0123456789abcdef0123456789abcdef"
        ) as sdk,
    ):
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(
                model=f"openai/fm:status:503:{SOON}", messages=MESSAGES
            )

    assert sdk.max_retries == 2
    assert len(upstream.requests) == 3


def use_clock(client, provider: str) -> FakeClock:
    """Have a provider's tries go by a clock on which every wait is over at once."""
    clock = FakeClock()
    client.gateway.registry.get_provider(provider)._clock = clock
    return clock


async def fetch(client, model: str) -> None:
    async with client.chat(model) as reply:
        await reply.read()
