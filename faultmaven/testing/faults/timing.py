"""Answers that come late, slowly, without end, or not at all."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from faultmaven.testing import http1
from faultmaven.testing.dialects.base import EVENT_STREAM
from faultmaven.testing.faults.registry import fault

if TYPE_CHECKING:
    from faultmaven.testing.dialects.base import Event
    from faultmaven.testing.exchange import Exchange


@fault("stall-headers")
async def stall_headers(x: Exchange) -> None:
    """Send nothing at all until the client leaves."""
    await x.connection.until_gone()


@fault("stall-first-event")
async def stall_first_event(x: Exchange) -> None:
    """Send the headers, then nothing until the client leaves."""
    await x.open_stream()
    await x.connection.until_gone()


@fault("stall-mid-stream:N")
async def stall_mid_stream(x: Exchange) -> None:
    """Send N events, then nothing until the client leaves; a plain answer stalls in its body."""
    if x.is_stream:
        await x.start_events(x.number(0, 5))
    else:
        body = b"".join(x.parts())
        await x.send_head(200, [*x.headers(), ("Content-Length", str(len(body)))])
        await x.send(body[: len(body) // 2])
    await x.connection.until_gone()


@fault("comments-only:MS")
async def comments_only(x: Exchange) -> None:
    """Send a comment every MS milliseconds and never an event."""
    await x.open_stream(content_type=x.dialect.stream_type or EVENT_STREAM)
    while True:
        await x.write(x.comment())
        await x.connection.pause(x.seconds(0, 200))


@fault("slow-drip:BYTES:MS")
async def slow_drip(x: Exchange) -> None:
    """Send the body BYTES at a time, one write every MS milliseconds."""
    body = b"".join(x.parts())
    await x.send_head(200, [*x.headers(), ("Content-Length", str(len(body)))])
    size = x.number(0, 1)
    for start in range(0, len(body), size):
        await x.send(body[start : start + size])
        await x.connection.pause(x.seconds(1, 50))


@fault("slow-headers:MS")
async def slow_headers(x: Exchange) -> None:
    """Send the head one byte every MS milliseconds, then the body at once."""
    body = b"".join(x.parts())
    head = http1.head(200, [*x.headers(), ("Content-Length", str(len(body)))])
    for byte in head:
        await x.send(bytes([byte]))
        await x.connection.pause(x.seconds(0, 100))
    await x.send(body)


@fault("slow-stream:MS")
async def slow_stream(x: Exchange) -> None:
    """Send a good answer with MS milliseconds before each event."""
    if not x.is_stream:
        await x.connection.pause(x.seconds(0, 700))
        await x.ok()
        return
    await x.open_stream()
    for part in x.parts():
        await x.connection.pause(x.seconds(0, 700))
        await x.write_event(part)
    await x.close_stream()


def _around_content(x: Exchange) -> tuple[list[Event], Event, list[Event]]:
    """Cut a stream into what comes before a piece of text, the piece, and what comes after."""
    x.say(["word "])
    marker = [i for i, event in enumerate(x.events()) if "word " in event.text]
    events = x.events()
    at = marker[0] if marker else 0
    return events[:at], events[at], events[at + 1 :]


@fault("endless:MS")
async def endless(x: Exchange) -> None:
    """Send content every MS milliseconds until the client leaves."""
    if not x.is_stream:
        await x.connection.until_gone()
    before, piece, _ = _around_content(x)
    await x.open_stream()
    for part in x.render(before):
        await x.write_event(part)
    for part in itertools.repeat(x.dialect.frame(piece)):
        await x.write_event(part)
        await x.connection.pause(x.seconds(0, 20))


@fault("done-then-hang")
async def done_then_hang(x: Exchange) -> None:
    """Send every event of a good stream, then keep the connection open.

    A plain answer has its end in its length: it is whole, and its connection serves on.
    """
    if not x.is_stream:
        await x.ok()
        return
    await x.start_events(1_000_000)
    await x.connection.until_gone()


@fault("status-stall:CODE")
async def status_stall(x: Exchange) -> None:
    """Send an error status and half of its body, then nothing."""
    status = x.number(0, 503)
    body = x.error_body(status, "This body never ends.")
    await x.send_head(status, [*x.headers("application/json"), ("Content-Length", "100000")])
    await x.send(body[:10])
    await x.connection.until_gone()


@fault("sleep:MS")
async def sleep(x: Exchange) -> None:
    """Wait MS milliseconds, then answer well."""
    await x.connection.pause(x.seconds(0, 1000))
    await x.ok()


@fault("long:N:MS")
async def long(x: Exchange) -> None:
    """Answer well in N pieces of text, MS milliseconds apart."""
    x.say([f"word{index} " for index in range(x.number(0, 200))])
    if not x.is_stream:
        await x.connection.pause(x.number(0, 200) * x.seconds(1, 20))
        await x.ok()
        return
    await x.open_stream()
    for part in x.parts():
        await x.write_event(part)
        if x.seconds(1, 20):
            await x.connection.pause(x.seconds(1, 20))
    await x.close_stream()


@fault("hold")
async def hold(x: Exchange) -> None:
    """Send half of the answer, then wait for `FakeUpstream.release()` before the rest."""
    parts = x.parts()
    if x.is_stream:
        await x.open_stream()
        for part in parts[: len(parts) // 2]:
            await x.write_event(part)
    await _released(x)
    if not x.is_stream:
        await x.ok()
        return
    for part in parts[len(parts) // 2 :]:
        await x.write_event(part)
    await x.close_stream()


async def _released(x: Exchange) -> None:
    waits = [asyncio.ensure_future(e.wait()) for e in (x.stage.released, x.connection.gone)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


@fault("flood:N:BYTES")
async def flood(x: Exchange) -> None:
    """Send N events of BYTES bytes of text as fast as the client reads; see `blocked_s`.

    An answer that holds no text, such as a list of models, comes as it is.
    """
    before, _, after = _around_content(x)
    x.say(["x" * x.number(1, 4096)])
    piece = next((e for e in x.events() if "xxx" in e.text), None)
    if piece is None:
        await x.ok()
        return
    await x.open_stream()
    for part in x.render(before):
        await x.write_event(part)
    frame = x.dialect.frame(piece)
    for _index in range(x.number(0, 20_000)):
        await x.write_event(frame)
        if x.connection.gone.is_set():
            break
    for part in x.render(after):
        await x.write_event(part)
    await x.close_stream()
