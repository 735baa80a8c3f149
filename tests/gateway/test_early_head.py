"""Heads of streams that go out before the answer begins, where a proxy would not wait."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from tests.gateway.lanes import LANES

EARLY_S = 0.1
EARLY = f"gateway: {{commit_after_s: {EARLY_S}}}\n"
LATE = "gateway: {commit_after_s: 30}\n"
SHORT = """
providers:
  openai: {base: openai, timeout: 0.45}
  anthropic: {base: anthropic, timeout: 0.45}
"""
every_lane = pytest.mark.parametrize("lane", LANES.values(), ids=LANES)


@every_lane
async def test_a_slow_beginning_is_bridged_by_comments(start, lane):
    async with start(EARLY) as client:
        began = time.monotonic()
        async with client.post(lane.path, lane.body("sleep:600", stream=True)) as reply:
            first = await reply.content.readline()
            text = first.decode() + await reply.text()
        took_s = time.monotonic() - began

    assert reply.status == 200
    assert reply.headers["x-request-id"]
    assert first == b": keepalive\n"
    assert 2 <= text.count(": keepalive\n\n") <= took_s / EARLY_S
    assert lane.text_of(text, stream=True).startswith("Grüße")
    assert lane.ends(text) == 1


@every_lane
async def test_a_late_failure_is_told_within_the_stream(start, records, lane):
    async with (
        start(EARLY + SHORT) as client,
        client.post(lane.path, lane.body("stall-headers", stream=True)) as reply,
    ):
        text = await reply.text()

    assert reply.status == 200
    assert text.startswith(": keepalive\n\n")
    assert "no answer came" in lane.broken_by(text)["message"]
    assert lane.ends(text) == 0
    (record,) = records
    assert (record.outcome, record.code) == ("LLMTimeoutError", "upstream_timeout")


@every_lane
async def test_what_fails_at_once_is_still_a_status(start, lane):
    async with start(LATE) as client:
        async with client.post(lane.path, lane.body("status:503", stream=True)) as reply:
            assert reply.status == 503
        async with client.post(lane.path, lane.body("ok", stream=True)) as reply:
            assert "keepalive" not in await reply.text()
            assert reply.headers["x-faultmaven-provider"] == lane.provider


async def test_another_provider_takes_over_behind_the_comments(start, upstream):
    async with start(EARLY + SHORT, FALLBACK_PROVIDERS="groq", CHAT_PROVIDER="openai") as client:
        upstream.script(["stall-headers", None])
        async with client.chat(stream=True) as reply:
            text = await reply.text()

    assert LANES["relayed chat"].ends(text) == 1
    assert len(upstream.requests) == 2


async def test_who_leaves_meanwhile_ends_the_call(start, upstream, records):
    async with start(EARLY) as client:
        reading = asyncio.ensure_future(read_for_ever(client))
        await upstream.wait_for_requests(1)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await upstream.wait_for_clients_gone(1)

    assert [record.outcome for record in records] == ["cancelled"]


async def test_without_the_setting_nothing_is_sent_early(client):
    async with client.chat("openai/fm:sleep:150", stream=True) as reply:
        assert "keepalive" not in await reply.text()


async def read_for_ever(client):
    async with client.chat("openai/fm:stall-headers", stream=True) as reply:
        await reply.content.readline()
        await reply.read()
