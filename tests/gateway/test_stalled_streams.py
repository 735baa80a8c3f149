"""What a stream holds whose client has stopped reading: C6."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest

from faultmaven.infrastructure.llm.wire.openai_responses_encoder import MAX_TEXT_BYTES
from tests.gateway.conftest import KEY, events_of

STREAMS = 16
MOST_BYTES = 256 * 1024
FLOOD = "fm:flood:20000:4096"
TURNS = [{"role": "user", "content": "hi"}]
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


async def ask(
    port: int, path: str, model: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream by a client whose own buffers are small."""
    body = {"model": model, "stream": True, "max_tokens": 9, "messages": TURNS}
    data = json.dumps(body).encode()
    kernel = socket.socket()
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    kernel.setblocking(False)
    await asyncio.get_running_loop().sock_connect(kernel, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=kernel, limit=1024)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n"
        b"Content-Type: application/json\r\n\r\n%b"
        % (path.encode(), KEY.encode(), len(data), data)
    )
    return reader, writer


def memory_of(pid: int) -> int:
    """Give the bytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        (CHAT, "openai/"),
        (CHAT, "anthropic/"),
        (MESSAGES, "openai/"),
        (MESSAGES, "anthropic/"),
        ("/p/openai/chat/completions", ""),
    ],
    ids=["chat", "chat to messages", "messages to chat", "messages", "passed"],
)
async def test_a_stalled_stream_holds_no_more_than_256_kib(launch, upstream, path, prefix):
    gateway = await launch()
    reader, writer = await ask(gateway.port, path, f"{prefix}fake")
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    before = memory_of(gateway.process.pid)

    stalled = [await ask(gateway.port, path, f"{prefix}{FLOOD}") for _ in range(STREAMS)]
    await upstream.wait_until(lambda: upstream.connections_held_back == STREAMS, 60)
    grown = memory_of(gateway.process.pid) - before
    for _, writer in stalled:
        writer.transport.abort()
    await upstream.wait_for_clients_gone(STREAMS)

    assert grown / STREAMS <= MOST_BYTES


async def test_a_responses_stream_ends_where_its_last_events_could_not_repeat_it(client, upstream):
    body = {"model": "anthropic/fm:flood:2000:65536", "input": "hi", "stream": True}
    async with client.post("/v1/responses", json.dumps(body).encode()) as reply:
        events = [json.loads(event) for event in events_of(await reply.text())]
    await upstream.wait_for_clients_gone(1)

    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "response_too_large"
    said = sum(len(e["delta"]) for e in events if e["type"] == "response.output_text.delta")
    assert MAX_TEXT_BYTES <= said < MAX_TEXT_BYTES + 200_000
