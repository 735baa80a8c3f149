"""Providers that are slow, silent, or never end; the limits that hold, and that nothing else is cut."""

from __future__ import annotations

import time

import pytest

from tests.gateway.lanes import LANES

# More than a busy machine adds, and less than any limit but the one that a test sets.
SOON_S = 20
SHORT = """
providers:
  openai: {base: openai, timeout: 0.4}
  anthropic: {base: anthropic, timeout: 0.4}
"""
every_lane = pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@every_lane
@both_ways
@pytest.mark.parametrize("spec", ["stall-headers", "stall-first-event", "comments-only:20"])
async def test_silence_is_504_before_anything_was_said(start, upstream, lane, stream, spec):
    async with start(SHORT) as client:
        began = time.monotonic()
        async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
            assert reply.status == 504
            lane.error_of(await reply.json())

        assert 0.35 < time.monotonic() - began < SOON_S
        (gone,) = await upstream.wait_for_clients_gone(1)
    assert gone.client_gone_s < SOON_S
    assert len(upstream.requests) == 1


@every_lane
async def test_silence_in_a_stream_breaks_it_off(start, upstream, lane, records):
    async with (
        start(SHORT.replace("0.4", "1")) as client,
        client.post(lane.path, lane.body("stall-mid-stream:9", stream=True)) as reply,
    ):
        text = await reply.text()

        assert lane.ends(text) == 0
        assert "came within 1 s" in lane.broken_by(text)["message"]
        (gone,) = await upstream.wait_for_clients_gone(1)
    assert gone.client_gone_s < SOON_S
    (record,) = records
    assert record.outcome == "incomplete"
    assert record.code == "upstream_timeout"


@every_lane
async def test_slow_is_not_silent(start, lane):
    # Longer than the timeout as a whole, each wait far below it.
    async with (
        start(SHORT.replace("0.4", "1")) as client,
        client.post(lane.path, lane.body("long:24:50", stream=True)) as reply,
    ):
        text = await reply.text()

    assert lane.ends(text) == 1


@every_lane
@both_ways
@pytest.mark.parametrize("spec", ["slow-drip:40:1", "slow-headers:1"])
async def test_what_drips_in_is_whole(start, lane, stream, spec):
    async with (
        start() as client,
        client.post(lane.path, lane.body(spec, stream=stream)) as reply,
    ):
        text = await reply.text()

    assert lane.text_of(text, stream=stream).endswith("日本語 too.")


@every_lane
async def test_what_never_ends_is_ended(start, upstream, lane, records):
    async with start("gateway: {request_timeout_s: 1}") as client:
        began = time.monotonic()
        async with client.post(lane.path, lane.body("endless:10", stream=True)) as reply:
            text = await reply.text()
        took = time.monotonic() - began
        await upstream.wait_for_clients_gone(1)

    assert 0.9 < took < SOON_S
    assert lane.ends(text) == 0
    assert lane.broken_by(text) is not None
    (record,) = records
    assert record.outcome == "incomplete"


@every_lane
async def test_the_end_of_an_answer_is_the_end_of_the_waiting(start, lane):
    async with start() as client:
        began = time.monotonic()
        async with client.post(lane.path, lane.body("done-then-hang", stream=True)) as reply:
            text = await reply.text()

    assert lane.ends(text) == 1
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("lane", list(LANES.values())[::3], ids=list(LANES)[::3])
@both_ways
async def test_a_status_whose_body_stalls_says_enough(start, lane, stream):
    async with start() as client:
        began = time.monotonic()
        async with client.post(lane.path, lane.body("status-stall:503", stream=stream)) as reply:
            assert reply.status == 503
            lane.error_of(await reply.json())

    assert time.monotonic() - began < SOON_S


@every_lane
@both_ways
@pytest.mark.parametrize("spec", ["status:503", "stall-headers", "status:503:retry-after=30"])
async def test_all_tries_and_waits_fit_into_the_deadline(start, lane, stream, spec):
    # All the tries that there may be take many seconds.
    async with start(LLM_MAX_RETRIES="10") as client:
        began = time.monotonic()
        async with client.post(
            lane.path, lane.body(spec, stream=stream), x_request_timeout="0.6"
        ) as reply:
            assert reply.status in (503, 504)
            assert reply.headers["x-should-retry"] == "false"

    assert time.monotonic() - began < 5
