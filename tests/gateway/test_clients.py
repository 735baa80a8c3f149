"""Clients that leave, and clients that read slowly."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.gateway.conftest import MESSAGES
from tests.gateway.test_raw_http import post

LEAVING = {
    "before the first byte": {"model": "openai/fm:stall-headers"},
    "before the first event": {"model": "openai/fm:stall-first-event", "stream": True},
    "in the stream": {"model": "openai/fm:stall-mid-stream:3", "stream": True},
    "in a translated stream": {"model": "anthropic/fm:stall-mid-stream:9", "stream": True},
    "in a plain answer": {"model": "openai/fm:sleep:60000"},
}


@pytest.mark.parametrize("fields", LEAVING.values(), ids=LEAVING)
async def test_who_leaves_ends_the_call_upstream(client, upstream, records, fields):
    asking = asyncio.ensure_future(_read(client, fields))
    await upstream.wait_for_requests(1)
    await asyncio.sleep(0.05)

    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    gone = await upstream.wait_for_clients_gone(1)

    assert len(gone) == 1
    assert [(event.outcome, event.status) for event in records] == [("cancelled", 499)]
    assert records[0].attempts == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("script", [
    ["status:503:retry-after=5"], ["status:503:retry-after-ms=1", "stall-headers"],
], ids=["waiting", "trying"])  # fmt: skip
async def test_who_leaves_while_we_try_again_ends_that_too(
    start, upstream, records, provider, script
):
    tries = len(script)
    upstream.script(script)
    async with start(LLM_MAX_RETRIES="2") as client:
        asking = asyncio.ensure_future(_read(client, {"model": f"{provider}/fake"}))
        await upstream.wait_for_requests(tries)
        await upstream.wait_for_finished(1)

        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await client.gateway.registry.close()

    assert len(upstream.requests) == tries
    assert [(event.outcome, event.attempts) for event in records] == [("cancelled", tries)]


async def test_a_slow_reader_slows_the_upstream_down(client, upstream):
    body = (
        b'{"model": "openai/fm:flood:4000:4096", "stream": true, "messages": [{"role": "user"}]}'
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
    writer.write(post(body, b"Connection: close"))
    await reader.readexactly(1000)
    (connection,) = client.server.connections

    async with asyncio.timeout(60):
        while not connection.writing_paused:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0)  # a transport has no event to wait for
    held = connection.transport.get_write_buffer_size()
    size = 0
    while data := await reader.read(65536):
        size += len(data)

    assert held < 512 * 1024
    assert size > 4000 * 4096
    assert upstream.last_request.blocked_s > 0
    writer.close()
    await writer.wait_closed()


async def test_many_streams_at_once_stay_apart(client):
    async def one(number: int) -> bool:
        async with client.chat(f"openai/m{number}", stream=True) as reply:
            text = await reply.text()
        return text.count(f'"model":"m{number}"') > 20 and "[DONE]" in text

    assert all(await asyncio.gather(*(one(number) for number in range(60))))


async def _read(client, fields):
    async with client.post("/v1/chat/completions", {"messages": MESSAGES, **fields}) as reply:
        await reply.read()
