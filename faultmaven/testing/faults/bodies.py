"""Bodies that are not what they say: JSON, content types, encodings, sizes."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import TYPE_CHECKING

from faultmaven.testing import http1
from faultmaven.testing.dialects.base import Event, dump
from faultmaven.testing.faults.registry import bytes_fault, event_fault, fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultmaven.testing.exchange import Exchange

MEGABYTE = 1024 * 1024
_BLOCK = bytes(MEGABYTE)
# Stands in a text, or quoted as a value, for bytes that JSON cannot hold.
_MARK = "\ue000"


@fault("truncated-json")
async def truncated_json(x: Exchange) -> None:
    """Answer 200 with a body that ends in its middle, its length right."""
    body = dump(x.dialect.body(x.question, x.answer)).encode()
    await x.reply(body[: len(body) * 2 // 3])


@fault("invalid-json")
async def invalid_json(x: Exchange) -> None:
    """Answer 200 with a body in which a comma and quotes are missing."""
    await x.reply(b'{"choices": [{"index": 0 message: "hello"}]}')


@fault("wrong-content-type:TYPE")
async def wrong_content_type(x: Exchange) -> None:
    """Send the good answer as TYPE (text/plain)."""
    await _with_content_type(x, x.args[0] if x.args else "text/plain; charset=us-ascii")


@fault("no-content-type")
async def no_content_type(x: Exchange) -> None:
    """Send the good answer without a content type."""
    await _with_content_type(x, None)


async def _with_content_type(x: Exchange, content_type: str | None) -> None:
    lines = x.headers()[1:]
    if content_type is not None:
        lines.append(("Content-Type", content_type))
    await x.send_head(200, [*lines, ("Transfer-Encoding", "chunked")])
    for part in x.parts():
        await x.write_event(part)
    await x.close_stream()


@fault("json-for-stream")
async def json_for_stream(x: Exchange) -> None:
    """Send a whole JSON answer where a stream was asked for."""
    await x.reply(dump(x.dialect.body(x.question, x.answer)).encode())


@fault("stream-for-json")
async def stream_for_json(x: Exchange) -> None:
    """Send a stream where a plain answer was asked for."""
    if x.dialect.stream_type is None:
        await x.ok()
        return
    await x.open_stream(content_type=x.dialect.stream_type)
    for part in x.dialect.frames(x.question, x.dialect.events(x.question, x.answer)):
        await x.write_event(part)
    await x.close_stream()


async def _encoded(x: Exchange, body: bytes, encoding: str) -> None:
    await x.send_head(
        200, [*x.headers(), ("Content-Encoding", encoding), ("Transfer-Encoding", "chunked")]
    )
    await x.write(body)
    await x.close_stream()


@fault("gzip")
async def gzipped(x: Exchange) -> None:
    """Send the good answer gzipped; a stream is flushed event by event."""
    packer = zlib.compressobj(wbits=31)
    lines = [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
    await x.send_head(200, [*x.headers(), *lines])
    for part in x.parts():
        await x.write_event(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH))
    await x.write(packer.flush())
    await x.close_stream()


@fault("gzip-corrupt")
async def gzip_corrupt(x: Exchange) -> None:
    """Send gzip data that is broken in the middle."""
    packed = bytearray(gzip.compress(b"".join(x.parts())))
    middle = len(packed) // 2
    packed[middle : middle + 16] = b"\xff" * 16
    await _encoded(x, bytes(packed), "gzip")


@fault("gzip-lie")
async def gzip_lie(x: Exchange) -> None:
    """Call a plain body gzip."""
    await _encoded(x, b"".join(x.parts()), "gzip")


@fault("unknown-encoding")
async def unknown_encoding(x: Exchange) -> None:
    """Name a content encoding that does not exist."""
    await _encoded(x, b"".join(x.parts()), "x-fault")


def _bomb(megabytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(level=9, wbits=31)
    yield packer.compress(b'{"choices":"')
    for _ in range(megabytes):
        yield packer.compress(_BLOCK.replace(b"\0", b"0"))
    yield packer.compress(b'"}') + packer.flush()


@fault("gzip-bomb:MB")
async def gzip_bomb(x: Exchange) -> None:
    """Send a small gzip body that is MB megabytes unpacked."""
    await x.open_stream(("Content-Encoding", "gzip"))
    for packed in _bomb(x.number(0, 256)):
        await x.write(packed)
        await asyncio.sleep(0)
    await x.close_stream()


@fault("gzip-members:N")
async def gzip_members(x: Exchange) -> None:
    """Send a gzip body of N members of one byte each before the good answer."""
    member = gzip.compress(b" ", mtime=0)
    count = x.number(0, 20_000)
    body = gzip.compress(b"".join(x.parts()), mtime=0)
    await _encoded(x, member * count + body, "gzip")


@fault("huge-body:MB")
async def huge_body(x: Exchange) -> None:
    """Send a plain answer, or one event, whose text is MB megabytes long.

    An answer that holds no text, such as a list of models, has a further field as long.
    """
    x.say([_MARK])
    body = Event(x.dialect.body(x.question, x.answer))
    if _MARK not in body.text:
        body = x.extra_field([body], _MARK)[0]
    before, _, after = body.text.encode().partition(_MARK.encode())
    megabytes = x.number(0, 64)
    length = len(before) + len(after) + megabytes * MEGABYTE
    lines = [*x.headers("application/json"), ("Content-Length", str(length))]
    await x.send_head(200, lines)
    await x.send(before)
    for _ in range(megabytes):
        await x.send(b"x" * MEGABYTE)
    await x.send(after)


@fault("invalid-utf8")
async def invalid_utf8(x: Exchange) -> None:
    """Send bytes in the text that are no UTF-8."""
    x.say(["Gr", _MARK, "sse", " and so on."])
    await x.reply_parts([part.replace(_MARK.encode(), b"\xfc\xc3\x28\xff") for part in x.parts()])


@fault("utf16")
async def utf16(x: Exchange) -> None:
    """Send the whole answer in UTF-16."""
    text = b"".join(x.parts()).decode("utf-8", "replace")
    await x.reply(text.encode("utf-16"), content_type=x.content_type())


@bytes_fault("bom")
def bom(_x: Exchange, parts: list[bytes]) -> Sequence[bytes]:
    """Send a byte order mark before the answer."""
    return [b"\xef\xbb\xbf" + parts[0], *parts[1:]]


@fault("surrogate")
async def surrogate(x: Exchange) -> None:
    r"""Send half a surrogate pair, escaped, in the text."""
    x.say(["half ", "\ud83d", " pair"])
    await x.ok()


async def _with_raw_field(x: Exchange, raw: bytes, name: str = "x_extra") -> None:
    """Send the answer with a further field whose value is written as given."""
    parts = x.render(x.extra_field(x.events(), _MARK, name))
    quoted = f'"{_MARK}"'.encode()
    await x.reply_parts([part.replace(quoted, raw) for part in parts])


@fault("nan")
async def nan(x: Exchange) -> None:
    """Send NaN and Infinity, which are no JSON, in a field."""
    await _with_raw_field(x, b"[NaN,Infinity,-Infinity]")


@fault("big-int")
async def big_int(x: Exchange) -> None:
    """Send an integer of 5000 digits in a field."""
    await _with_raw_field(x, b"9" * 5000)


@fault("dup-keys")
async def dup_keys(x: Exchange) -> None:
    """Send an object in which two keys are the same."""
    await _with_raw_field(x, b'1,"x_extra":2')


@fault("deep-json:N")
async def deep_json(x: Exchange) -> None:
    """Send arrays nested N deep in a field."""
    depth = x.number(0, 100_000)
    await _with_raw_field(x, b"[" * depth + b"]" * depth)


@event_fault("unknown-fields")
def unknown_fields(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send fields, and in a stream an event, that nobody has heard of."""
    extra = {"x_future": {"nested": [1, None]}, "x_flag": True}
    edited = [
        Event({**e.data, **extra}, e.kind, e.name) if isinstance(e.data, dict) else e
        for e in events
    ]
    if x.is_stream and edited[0].name is not None:
        edited.insert(1, Event({"type": "x_future_event", **extra}, "content", "x_future_event"))
    return edited


@fault("hop-headers")
async def hop_headers(x: Exchange) -> None:
    """Answer well, with headers that a gateway must keep to itself."""
    private = [
        ("Set-Cookie", "session=secret-cookie; Path=/"),
        ("Server", "fake-upstream/1.0"),
        ("X-Internal-Host", "10.0.0.7"),
        ("openai-organization", "org-private"),
        ("Keep-Alive", "timeout=5"),
        ("X-Powered-By", "faults"),
        ("x-ratelimit-remaining-requests", "99"),
    ]
    await x.reply_parts(x.parts(), *private)


async def _raw(x: Exchange, lines: list[tuple[str, str]], body: bytes) -> None:
    await x.send(http1.head(200, [*x.headers(), *lines]) + body)


@fault("cl-twice")
async def cl_twice(x: Exchange) -> None:
    """Announce two different lengths."""
    body = b"".join(x.parts())
    lines = [("Content-Length", str(len(body))), ("Content-Length", str(len(body) + 7))]
    await _raw(x, lines, body)
    x.close()


@fault("cl-negative")
async def cl_negative(x: Exchange) -> None:
    """Announce a negative length."""
    await _raw(x, [("Content-Length", "-1")], b"".join(x.parts()))
    x.close()


@fault("cl-and-te")
async def cl_and_te(x: Exchange) -> None:
    """Announce a length and a chunked body at once."""
    body = b"".join(x.parts())
    lines = [("Content-Length", str(len(body))), ("Transfer-Encoding", "chunked")]
    await _raw(x, lines, http1.chunk(body) + http1.chunk(b""))
    x.close()


@fault("bad-chunk-size")
async def bad_chunk_size(x: Exchange) -> None:
    """Send a chunk whose size is no number, after a good one."""
    first, *_ = x.parts()
    await x.open_stream()
    await x.write_event(first)
    await x.send(b"zz\r\nnot a chunk\r\n0\r\n\r\n")
    x.close()


@fault("huge-header:KB")
async def huge_header(x: Exchange) -> None:
    """Send a header of KB kilobytes."""
    body = b"".join(x.parts())
    big = ("x-big", "x" * (x.number(0, 64) * 1024))
    await _raw(x, [big, ("Content-Length", str(len(body)))], body)
    x.close()


@fault("many-headers:N")
async def many_headers(x: Exchange) -> None:
    """Send N headers."""
    body = b"".join(x.parts())
    many = [(f"x-many-{index}", "x") for index in range(x.number(0, 1000))]
    await _raw(x, [*many, ("Content-Length", str(len(body)))], body)
    x.close()


@fault("bad-headers")
async def bad_headers(x: Exchange) -> None:
    """Send a header with a NUL, one without a colon and one with a space before it."""
    body = b"".join(x.parts())
    head = http1.head(200, [*x.headers(), ("Content-Length", str(len(body)))])
    bad = b"x-nul: a\x00b\r\nno colon here\r\nx-space : 1\r\n\r\n"
    await x.send(head[:-2] + bad + body)
    x.close()


@fault("bad-status-line")
async def bad_status_line(x: Exchange) -> None:
    """Send a status line that is none."""
    await x.send(b"HTTQ/9.9 abc Fine\r\nContent-Length: 0\r\n\r\n")
    x.close()


@fault("cl-too-long")
async def cl_too_long(x: Exchange) -> None:
    """Announce 100 bytes more than are sent, then close."""
    body = b"".join(x.parts())
    await _raw(x, [("Content-Length", str(len(body) + 100))], body)
    x.close()


@fault("cl-too-short")
async def cl_too_short(x: Exchange) -> None:
    """Announce 40 bytes fewer than are sent; what is left over stays on the kept connection."""
    body = b"".join(x.parts())
    await _raw(x, [("Content-Length", str(len(body) - 40))], body)


@fault("esc")
async def escapes(x: Exchange) -> None:
    """Answer with terminal escape sequences and markup in the text."""
    x.say(["\x1b[31mred\x1b[0m ", "\x1b]0;title\x07 ", "<img src=x onerror=alert(1)> \u202e end"])
    await x.ok()


@fault("garbage")
async def garbage(x: Exchange) -> None:
    """Send bytes that are no HTTP at all, then close."""
    await x.send(b"\x16\x03\x01\x00\xffSSH-2.0-not-http\r\n\r\n\x00\x00")
    x.close()
