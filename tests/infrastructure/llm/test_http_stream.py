"""Streams: what came is given, windows end waits, and connections are kept or dropped as they should."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial

import pytest

from faultmaven.infrastructure.llm.errors import (
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy
from faultmaven.infrastructure.llm.http.watchdog import Watchdog
from faultmaven.infrastructure.llm.sse import SSEDecoder


async def open_stream(
    transport, upstream, fault="ok", *, timeout_s=5.0, deadline=None, stream=True
):
    body = {"model": f"fm:{fault}", "messages": [{"role": "user", "content": "hi"}]}
    return await transport.open_stream(
        "POST",
        f"{upstream.base_url}/chat/completions",
        {"Content-Type": "application/json"},
        json.dumps(body | {"stream": stream}).encode(),
        timeout_s=timeout_s,
        deadline=deadline,
    )


async def until(is_met) -> None:
    """Let the loop run until what only the transport's inside shows has happened."""
    while not is_met():  # noqa: ASYNC110  # aiohttp tells nobody
        await asyncio.sleep(0)


async def read_events(reply) -> tuple[list[bytes], LLMError | None]:
    decoder, events = SSEDecoder(), []
    try:
        while data := await reply.read():
            events += [event.data for event in decoder.feed(data)]
    except LLMError as error:
        return events, error
    return events, None


async def test_stream_is_read_to_its_end_and_the_connection_kept(transport, upstream):
    for _ in range(3):
        reply = await open_stream(transport, upstream)
        events, error = await read_events(reply)
        await reply.close()
        await reply.close()

        assert reply.status == 200
        assert error is None
        assert events[-1] == b"[DONE]"
        assert await reply.read() == b""
    assert upstream.connections_opened == 1


@pytest.mark.parametrize(
    "fault", ["reset-mid-stream:5", "close-mid-stream:5", "reset-mid-event:5"]
)
async def test_broken_stream_gives_what_came_and_then_the_error(transport, upstream, fault):
    reply = await open_stream(transport, upstream, fault)

    events, error = await read_events(reply)
    await reply.close()

    assert isinstance(error, LLMConnectionError)
    assert error.code in {"connection_reset", "connection_closed"}
    if fault.startswith("close"):
        assert len(events) >= 5


async def test_bytes_that_came_ahead_of_an_error_are_not_lost(transport):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndata: a\n\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    reply = await transport.open_stream("GET", url, {}, None, timeout_s=5)
    await until(lambda: reply._content.exception() is not None)

    assert await reply.read() == b"data: a\n\n"
    with pytest.raises(LLMConnectionError):
        await reply.read()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("fault", ["stall-first-event", "stall-mid-stream:3", "comments-only:20"])
async def test_window_ends_the_wait_and_closes_the_connection(transport, upstream, fault):
    started = time.monotonic()
    reply = await open_stream(transport, upstream, fault, timeout_s=1)

    _, error = await read_events(reply)

    assert isinstance(error, LLMTimeoutError)
    assert error.code == "read_timeout"
    assert error.provider == "acme"
    assert time.monotonic() - started < 20
    await upstream.wait_until(lambda: upstream.connections_open == 0)


async def test_expect_extends_the_window(transport, upstream):
    reply = await open_stream(transport, upstream, "slow-stream:40", timeout_s=1)
    started = time.monotonic()
    while await reply.read():
        reply.expect(1)

    assert time.monotonic() - started > 1


async def test_expect_can_shorten_the_window(transport, upstream):
    reply = await open_stream(transport, upstream, "stall-first-event", timeout_s=60)
    reply.expect(0.1)

    with pytest.raises(LLMTimeoutError, match=r"0\.1 s"):
        await reply.read()


async def test_deadline_ends_a_stream_that_is_alive(transport, upstream):
    reply = await open_stream(
        transport, upstream, "endless:10", timeout_s=5, deadline=time.monotonic() + 1
    )
    error = None
    try:
        while await reply.read():
            reply.expect(5)
    except LLMError as exc:
        error = exc

    assert error is not None
    assert error.code == "deadline_exceeded"


async def test_slow_reader_is_not_the_providers_timeout(transport, upstream):
    reply = await open_stream(transport, upstream, timeout_s=30)
    reply.expire()

    events, error = await read_events(reply)

    assert error is None
    assert events[-1] == b"[DONE]"


async def test_headers_that_do_not_come_are_a_timeout(transport, upstream):
    with pytest.raises(LLMTimeoutError) as caught:
        await open_stream(transport, upstream, "stall-headers", timeout_s=0.1)

    assert caught.value.code == "headers_timeout"


async def test_close_drops_a_running_stream(transport, upstream):
    reply = await open_stream(transport, upstream, "endless:10")
    await reply.read()
    await reply.close()

    await upstream.wait_until(lambda: upstream.connections_open == 0)


async def test_cancelled_read_leaves_closing_to_the_caller(transport, upstream):
    reply = await open_stream(transport, upstream, "stall-first-event")
    task = asyncio.ensure_future(reply.read())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await reply.close()
    await upstream.wait_until(lambda: upstream.connections_open == 0)


async def test_release_drops_what_does_not_end(upstream):
    transport = HTTPTransport("acme", TransportPolicy(linger_s=0.05))
    reply = await open_stream(transport, upstream, "done-then-hang")
    await reply.read()
    await reply.release()

    await upstream.wait_until(lambda: upstream.connections_open == 0)
    await transport.close()


async def test_release_keeps_a_connection_whose_body_ends(transport, upstream):
    for _ in range(3):
        reply = await open_stream(transport, upstream)
        while b"[DONE]" not in await reply.read():
            pass
        await reply.release()
        await until(partial(getattr, reply._response, "closed"))

    assert upstream.connections_opened == 1


async def test_read_all_gives_a_plain_answer_whole(transport, upstream):
    reply = await open_stream(transport, upstream, stream=False)

    assert json.loads(await reply.read_all(timeout_s=5))["choices"]


async def test_read_all_refuses_what_is_too_large(transport, upstream):
    reply = await open_stream(transport, upstream)

    with pytest.raises(ResponseFormatError) as caught:
        await reply.read_all(limit_bytes=10)

    assert caught.value.code == "response_too_large"


class Fuse:
    is_lingering = False

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at
        self.blown = asyncio.Event()

    def expire(self) -> None:
        self.blown.set()


async def test_watchdog_expires_each_at_its_time():
    watchdog, now = Watchdog(asyncio.get_running_loop()), time.monotonic()
    late, early, moved, gone = (Fuse(now + s) for s in (60, 0.02, 0.03, 0.04))
    for fuse in (late, early, moved, gone):
        watchdog.add(fuse)
    moved.expires_at = now + 60
    watchdog.discard(gone)

    await early.blown.wait()

    assert time.monotonic() >= now + 0.02
    assert set(watchdog) == {late, moved}
    late.expires_at = now
    watchdog.add(late)
    await late.blown.wait()
    watchdog.close()
    assert not set(watchdog)
    assert not moved.blown.is_set()
    assert not gone.blown.is_set()
