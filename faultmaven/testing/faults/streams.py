"""Streams whose framing is odd but right, or whose events go wrong."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from faultmaven.testing import http1
from faultmaven.testing.dialects.base import EVENT_STREAM, Event
from faultmaven.testing.faults.registry import bytes_fault, event_fault, fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faultmaven.testing.exchange import Exchange

MEGABYTE = 1024 * 1024
_ERROR = (500, "The server had an error while processing the request.", "server_error", None)


def _error(x: Exchange) -> Event:
    return x.dialect.error_event(*_ERROR)


def _without(events: Iterable[Event], *kinds: str) -> list[Event]:
    return [event for event in events if event.kind not in kinds]


def _is_sse(x: Exchange) -> bool:
    return x.is_stream and x.dialect.stream_type == EVENT_STREAM


@event_fault("truncate-stream:N")
def truncate_stream(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """End the stream in good order after N events."""
    return events[: x.number(0, 5)] if x.is_stream else events


@event_fault("missing-finish")
def missing_finish(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Leave out the event that carries the finish reason, and what says the end."""
    return _without(events, "finish", "done")


@event_fault("empty-stream")
def empty_stream(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send the head of a stream and its end, nothing between."""
    return [] if x.is_stream else events


@event_fault("missing-done")
def missing_done(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Leave out `[DONE]`, or what else says the end."""
    return _without(events, "done")


@event_fault("dup-done")
def dup_done(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send `[DONE]`, or what else says the end, twice."""
    return [*events, *(e for e in events if x.is_stream and e.kind == "done")]


@event_fault("done-then-more")
def done_then_more(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send further content after the end was said."""
    return [*events, *(e for e in events if x.is_stream and e.kind == "content")]


@fault("error-event:N")
async def error_event(x: Exchange) -> None:
    """Send N events, then an error as an event, then the end of the body.

    A plain answer is the error under status 200.
    """
    if not x.is_stream:
        await x.reply(x.error_body(*_ERROR))
        return
    await x.reply_events([*x.events()[: x.number(0, 4)], _error(x)])


@fault("error-then-done")
async def error_then_done(x: Exchange) -> None:
    """Send some events, an error as an event, and then the end as if all were well."""
    if not x.is_stream:
        await x.reply(x.error_body(*_ERROR))
        return
    events = x.events()
    done = [event for event in events if event.kind == "done"]
    await x.reply_events([*events[:4], _error(x), *done])


@fault("error-first")
async def error_first(x: Exchange) -> None:
    """Send an error as the first event under status 200."""
    if not x.is_stream:
        await x.reply(x.error_body(*_ERROR))
        return
    await x.reply_events([_error(x)])


def _at(events: list[Event], index: int, data: object) -> list[Event]:
    name = events[min(index, len(events) - 1)].name
    return [*events[:index], Event(data, "content", name), *events[index:]]


@event_fault("malformed-chunk:N")
def malformed_chunk(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send an event after the first N whose data is no JSON."""
    if not x.is_stream:
        return [Event('{"choices":[{"message":')]
    return _at(events, x.number(0, 3), '{"choices":[{"delta":{"content":"cut')


@event_fault("non-object-chunk:N")
def non_object_chunk(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send an event after the first N whose data is JSON but no object."""
    return _at(events, x.number(0, 3), [1, 2, 3]) if x.is_stream else [Event([1, 2, 3])]


@event_fault("out-of-order")
def out_of_order(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send content before what opens the stream."""
    starts = [event for event in events if event.kind == "start"]
    others = [event for event in events if event.kind != "start"]
    return [*others[:2], *starts, *others[2:]]


@fault("split-utf8")
async def split_utf8(x: Exchange) -> None:
    """Cut the body inside every character of several bytes."""
    body = b"".join(x.parts())
    cuts = [i for i, byte in enumerate(body) if byte & 0xC0 == 0x80]
    await x.open_stream()
    for start, end in itertools.pairwise([0, *cuts, len(body)]):
        await x.write(body[start:end])
        await x.connection.flushed()
    await x.close_stream()


@fault("split-bytes")
async def split_bytes(x: Exchange) -> None:
    """Send the body one byte a chunk."""
    await x.open_stream()
    for byte in b"".join(x.parts()):
        await x.write(bytes([byte]))
        await x.connection.flushed()
    await x.close_stream()


@fault("coalesced")
async def coalesced(x: Exchange) -> None:
    """Send the whole body, the end included, in one write."""
    head = http1.head(200, [*x.headers(), ("Transfer-Encoding", "chunked")])
    await x.send(head + http1.chunk(b"".join(x.parts())) + http1.chunk(b""))


@bytes_fault("crlf")
def crlf(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """End the lines of an SSE stream, or of NDJSON, with CR LF."""
    return [part.replace(b"\n", b"\r\n") for part in parts] if _has_lines(x) else parts


@bytes_fault("cr")
def cr(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """End the lines of an SSE stream with CR alone."""
    return [part.replace(b"\n", b"\r") for part in parts] if _is_sse(x) else parts


@bytes_fault("mixed-eol")
def mixed_eol(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """End the lines of an SSE stream with LF, CR LF and CR in turn."""
    ends = itertools.cycle([b"\n", b"\r\n", b"\r"])
    return [p.replace(b"\n", next(ends)) for p in parts] if _is_sse(x) else parts


# A comma between two members, not one in a text: a line may not end inside a JSON string.
_BEFORE_KEY = re.compile(rb',(?="\w+":)')


@bytes_fault("multi-data")
def multi_data(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """Write an event's JSON in several data lines, as the standard allows."""
    if not _is_sse(x):
        return parts
    return [_BEFORE_KEY.sub(b",\ndata: ", part) if b"data: {" in part else part for part in parts]


@bytes_fault("no-space")
def no_space(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """Write `data:` and `event:` without the space."""
    if not _is_sse(x):
        return parts
    return [p.replace(b"data: ", b"data:", 1).replace(b"event: ", b"event:", 1) for p in parts]


@bytes_fault("noise-fields")
def noise_fields(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """Add comments, ids, retry times, unknown fields and empty events to an SSE stream."""
    if not _is_sse(x):
        return parts
    noise = b": a comment\nid: 7\nretry: 3000\nx-unknown: 1\nlonely\n\n:\n\n"
    return [noise + b"id: 8\n" + part for part in parts]


@bytes_fault("nul-bytes")
def nul_bytes(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """Put NUL bytes into comments and ids of an SSE stream."""
    return [b": \x00\x00\nid: a\x00b\n" + part for part in parts] if _is_sse(x) else parts


@bytes_fault("no-final-newline")
def no_final_newline(x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """End the body right after the last event's data, without a line end."""
    return [*parts[:-1], parts[-1].rstrip(b"\n")] if _has_lines(x) else parts


def _has_lines(x: Exchange) -> bool:
    return x.is_stream and "eventstream" not in (x.dialect.stream_type or "")


@fault("giant-line:MB")
async def giant_line(x: Exchange) -> None:
    """Send one event of MB megabytes among the others."""
    x.say(["before ", "x" * (x.number(0, 4) * MEGABYTE), " after"])
    await x.ok()


@fault("endless-line:MB")
async def endless_line(x: Exchange) -> None:
    """Send a line of MB megabytes that is never ended, then wait for the client to leave."""
    await x.open_stream()
    await x.write(b'data: {"choices":[{"delta":{"content":"')
    for _ in range(x.number(0, 256)):
        await x.write(b"x" * MEGABYTE)
    await x.connection.until_gone()


@fault("comment-flood:N")
async def comment_flood(x: Exchange) -> None:
    """Send N comments among the events of a good stream."""
    if not x.is_stream:
        await x.ok()
        return
    count, block = x.number(0, 10_000), 1000
    parts = x.parts()
    await x.open_stream()
    await x.write_event(parts[0])
    for start in range(0, count, block):
        await x.write(x.comment() * min(block, count - start))
    for part in parts[1:]:
        await x.write_event(part)
    await x.close_stream()
