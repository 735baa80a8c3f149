"""Clients that are slow on purpose: heads and bodies that never end, answers that nobody takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
import tracemalloc

import pytest

from faultmaven.gateway.answer import WRITE_HIGH_WATER_BYTES
from faultmaven.gateway.lean.connection import HIGH_WATER_BYTES, READ_BYTES
from tests.gateway.conftest import KEY, MESSAGES
from tests.gateway.test_raw_http import AUTH, BODY, post

QUICK = "gateway: {header_timeout_s: 0.5, body_timeout_s: 0.5, write_timeout_s: 0.5}"
# Less than any limit that nobody has set.
SOON_S = 10
FLOOD = {"model": "openai/fm:flood:20000:4096", "stream": True, "messages": MESSAGES}

NEVER = {
    "nothing": b"",
    "half a line": b"POST /v1/cha",
    "half a head": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-A: ",
}
HALF_BODIES = {
    "length that lies": b"Content-Length: 1000\r\n\r\n" + BODY,
    "chunks without an end": b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
    "nothing": b"Content-Length: 10\r\n\r\n",
}


async def until(condition):
    """Wait for what has no event, without taking the loop for itself."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("start_of_head", NEVER.values(), ids=NEVER)
async def test_a_head_that_does_not_come_ends_the_connection(start, start_of_head):
    async with start(QUICK) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        began = time.monotonic()
        writer.write(start_of_head)
        async with client.chat() as reply:
            assert reply.status == 200  # others do not wait

        assert await asyncio.wait_for(reader.read(), SOON_S) == b""
        assert time.monotonic() - began > 0.45
        writer.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_half_head_ends_a_connection_that_has_served(start, times):
    async with start(QUICK) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        for _ in range(times):
            writer.write(b"GET /health/live HTTP/1.1\r\n")
            await asyncio.sleep(0)
            writer.write(b"Host: x\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        began = time.monotonic()
        drip = asyncio.create_task(drip_into(writer, NEVER["half a head"]))

        with contextlib.suppress(ConnectionResetError):  # one more byte came as it was closed
            assert await asyncio.wait_for(reader.read(), SOON_S) == b""
        assert time.monotonic() - began > 0.45
        drip.cancel()
        writer.close()


async def test_a_half_head_ends_a_connection_whose_first_request_came_with_it(start):
    async with start(QUICK) as client:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        protocol = client.server._front()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)  # uvloop may call both before anything else runs
        protocol.data_received(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        writer.write(NEVER["half a head"])

        assert await asyncio.wait_for(reader.read(), SOON_S) == b""
        writer.close()


async def drip_into(writer, data):
    """Send a byte now and then, for ever."""
    writer.write(data)
    while True:
        await asyncio.sleep(0.05)
        writer.write(b"x")


@pytest.mark.parametrize("rest", HALF_BODIES.values(), ids=HALF_BODIES)
async def test_a_body_that_does_not_come_is_408(start, upstream, rest):
    async with start(QUICK) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + rest)

        answer = await asyncio.wait_for(reader.read(), SOON_S)
        writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert not upstream.requests


async def begin_slowly(client):
    """Open a hundred connections whose heads stop in the middle."""
    slow = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(100)]
    for _, writer in slow:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
    return slow


async def test_many_slow_clients_keep_nobody_waiting(start):
    async with start("gateway: {header_timeout_s: 300}") as client:
        slow = await begin_slowly(client)
        async with client.chat() as reply:
            assert reply.status == 200

        assert len(client.server.connections) > 100  # all of them, still
        for _, writer in slow:
            writer.close()


async def test_many_slow_clients_are_ended(start):
    async with start(QUICK) as client:
        slow = await begin_slowly(client)
        async with asyncio.timeout(SOON_S):
            assert await asyncio.gather(*(reader.read() for reader, _ in slow)) == [b""] * 100
        for _, writer in slow:
            writer.close()


async def test_a_reader_that_stops_is_let_go_and_the_upstream_too(start, upstream, records):
    async with start(QUICK) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
        writer.write(post(json.dumps(FLOOD).encode()))
        await reader.readexactly(1000)
        began = time.monotonic()

        await until(lambda: not client.server.connections)
        await upstream.wait_for_clients_gone(1)
        writer.close()

    assert time.monotonic() - began < 20  # a minute is the usual limit
    assert [record.outcome for record in records] == ["cancelled"]
    assert upstream.last_request.events_sent < 20000


@pytest.mark.parametrize("model", ["openai", "anthropic"], ids=["relayed", "translated"])
async def test_what_waits_for_a_slow_reader_is_bounded(start, upstream, model):
    async with start() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
        body = FLOOD | {"model": f"{model}/fm:flood:20000:4096"}
        writer.write(post(json.dumps(body).encode()))
        await reader.readexactly(1000)
        (connection,) = client.server.connections

        await until(lambda: connection.writing_paused)
        held = 0
        for _ in range(50):
            held = max(held, connection.transport.get_write_buffer_size())
            held = max(held, connection.transport.get_write_buffer_size())
            await reader.read(4096)
        writer.close()
        await upstream.wait_for_clients_gone(1)

    assert 0 < held < 96 * 1024
    assert HIGH_WATER_BYTES + READ_BYTES + WRITE_HIGH_WATER_BYTES <= 96 * 1024
    assert upstream.last_request.blocked_s > 0
    assert upstream.last_request.events_sent < 20000


@pytest.mark.parametrize("model", ["openai", "anthropic"], ids=["relayed", "translated"])
async def test_what_has_been_passed_on_is_not_kept(client, model):
    async with client.chat(f"{model}/fake", stream=True) as reply:
        await reply.read()  # what is loaded once is loaded
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
    body = FLOOD | {"model": f"{model}/fm:flood:1000:4096"}
    tracemalloc.start()
    writer.write(post(json.dumps(body).encode(), b"Connection: close"))
    size = 0
    while data := await reader.read(65536):
        size += len(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()

    assert size > 4_000_000
    assert peak < 2_500_000  # of the provider, the gateway and the client together


async def test_a_client_that_closes_its_half_has_left(client, upstream):
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = json.dumps({"model": "openai/fm:stall-headers", "messages": MESSAGES}).encode()
    writer.write(post(body))
    await upstream.wait_for_requests(1)

    writer.write_eof()

    await upstream.wait_for_clients_gone(1)
    assert await asyncio.wait_for(reader.read(), SOON_S) == b""
    writer.close()


async def test_an_idle_connection_is_kept_only_so_long(start):
    async with start("gateway: {keepalive_s: 0.2}") as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), SOON_S)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert KEY.encode() not in answer
