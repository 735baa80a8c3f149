"""Framing of streamed bodies: server-sent events, JSON lines and AWS event streams.

Pure and incremental: bytes go in, in whatever pieces they arrive, complete events come out, and any
split of the same bytes gives the same events.  Time is linear in the bytes, and the work for each
event is a handful of operations on whole byte strings.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_EVENT_BYTES: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class StreamDecodeError(ValueError):
    """The bytes are not what the framing allows.

    Attributes:
        code: `event_too_large`, `bad_checksum`, `bad_frame` or `truncated_frame`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ServerSentEvent(NamedTuple):
    """One dispatched event.

    Attributes:
        event: its name, "message" where the stream gives none.
        data: its data lines joined by line feeds, always valid UTF-8: ready for `codec.loads`.
    """

    event: str
    data: bytes


class _PiecewiseDecoder:
    """What decoders have in common whose events end with a separator."""

    __slots__ = ("_at_start", "_pieces")

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self._pieces = _Pieces(limit_bytes)
        self._at_start = True

    @property
    def limit_bytes(self) -> int:
        """The size of the largest event; another one may be set before the first byte."""
        return self._pieces.limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, limit_bytes: int) -> None:
        self._pieces.limit_bytes = limit_bytes


class SSEDecoder(_PiecewiseDecoder):
    """Decodes `text/event-stream` as WHATWG HTML, section 9.2 (read 2026-11-21), says.

    Attributes:
        last_event_id: the id that the stream gave last, "" before any.
        retry_ms: the reconnection time that the stream asked for, None before any.
    """

    __slots__ = ("_after_cr", "last_event_id", "retry_ms")

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(limit_bytes)
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._after_cr = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; give the events that they complete, in order.

        Raises:
            StreamDecodeError: one event is larger than the limit; the events before it have been given.
        """
        if self._after_cr or b"\r" in data:
            data = self._normalised(data)
        pieces = self._pieces
        if pieces.parts or self._at_start:
            if b"\n\n" not in data and not (data[:1] == b"\n" and pieces.ends_with_newline()):
                pieces.keep(data)
                pieces.check()
                return []
            data = pieces.take(data)
            if self._at_start:
                self._at_start = False
                data = data.removeprefix(_BOM)
        blocks = pieces.split(data, b"\n\n")
        if not data.isascii():
            blocks = [_repaired(block) for block in blocks]
        events = self._events(blocks)
        if pieces.overflow and not events:
            pieces.check()
        return events

    def finish(self) -> ServerSentEvent | None:
        """Say that the stream has ended; give the last event if its blank line never came.

        WHATWG discards that event; some providers end so after `[DONE]`.  The caller decides.

        Raises:
            StreamDecodeError: one event was larger than the limit.
        """
        self._pieces.check()
        block = self._pieces.take(b"")
        if self._at_start:
            block = block.removeprefix(_BOM)
        return self._slow_event(_repaired(block))

    def _normalised(self, data: bytes) -> bytes:
        """Turn CR LF and CR into LF; a CR at the end is a line end whether or not an LF follows."""
        if not data:
            return data
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, blocks: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        append, new, kind = events.append, tuple.__new__, ServerSentEvent
        for block in blocks:
            if block.startswith(b"data: "):
                if b"\n" not in block:
                    append(new(kind, ("message", block[6:])))
                    continue
            elif block.startswith(b"event: "):
                name, _, rest = block[7:].partition(b"\n")
                if name and rest.startswith(b"data: ") and b"\n" not in rest:
                    append(new(kind, (name.decode(), rest[6:])))
                    continue
            event = self._slow_event(block)
            if event is not None:
                append(event)
        return events

    def _slow_event(self, block: bytes) -> ServerSentEvent | None:
        name = b""
        lines: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if field == b"data":
                lines.append(value)
            elif field == b"event":
                name = value
            elif field == b"id" and b"\0" not in value:
                self.last_event_id = value.decode()
            elif field == b"retry" and value.isdigit() and len(value) < 16:
                self.retry_ms = int(value)
        if not lines:
            return None
        return ServerSentEvent(name.decode() or "message", b"\n".join(lines))


class NDJSONDecoder(_PiecewiseDecoder):
    """Splits a body of JSON lines; blank lines are dropped, the line ends taken off."""

    __slots__ = ()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; give the lines that they complete, each valid UTF-8.

        Raises:
            StreamDecodeError: one line is longer than the limit; the lines before it have been given.
        """
        pieces = self._pieces
        if b"\n" not in data:
            pieces.keep(data)
            pieces.check()
            return []
        data = pieces.take(data)
        if self._at_start:
            self._at_start = False
            data = data.removeprefix(_BOM)
        lines = pieces.split(data, b"\n")
        if not data.isascii():
            lines = [_repaired(line) for line in lines]
        lines = [stripped for line in lines if (stripped := line.strip())]
        if pieces.overflow and not lines:
            pieces.check()
        return lines

    def finish(self) -> bytes | None:
        """Say that the body has ended; give the last line if it had no line end.

        Raises:
            StreamDecodeError: one line was longer than the limit.
        """
        self._pieces.check()
        line = self._pieces.take(b"")
        if self._at_start:
            line = line.removeprefix(_BOM)
        return _repaired(line).strip() or None


class EventStreamFrame(NamedTuple):
    """One message of `application/vnd.amazon.eventstream`.

    Attributes:
        headers: by name, `:event-type` and `:message-type` among them; timestamps in milliseconds
            since 1970.
        payload: the body, JSON for every Bedrock event.
    """

    headers: Mapping[str, HeaderValue]
    payload: bytes


class EventStreamDecoder:
    """Decodes AWS event streams; both checksums of every frame are checked.

    A frame is total length, headers' length (u32 each), the CRC-32 of those eight bytes, headers,
    payload, and the CRC-32 of all before (Amazon Transcribe developer guide, "Event stream encoding",
    read 2026-11-21).

    Attributes:
        limit_bytes: the size of the largest frame; another one may be set before the first byte.
    """

    __slots__ = ("_buffer", "_error", "limit_bytes")

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._error: StreamDecodeError | None = None

    def feed(self, data: bytes) -> list[EventStreamFrame]:
        """Take the next bytes; give the frames that they complete.

        Raises:
            StreamDecodeError: a checksum, a length or a header is wrong; the frames before it have been
                given.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        frames: list[EventStreamFrame] = []
        start = 0
        try:
            while (size := self._frame_size(start)) and start + size <= len(self._buffer):
                frames.append(_parse_frame(bytes(self._buffer[start : start + size])))
                start += size
        except StreamDecodeError as error:
            self._error = error
            if not frames:
                raise
        del self._buffer[:start]
        return frames

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            StreamDecodeError: it ended inside a frame, or a frame was wrong.
        """
        if self._error is not None:
            raise self._error
        if self._buffer:
            msg = f"the stream ended {len(self._buffer)} bytes into a frame"
            raise StreamDecodeError(msg, "truncated_frame")

    def _frame_size(self, start: int) -> int:
        """Give the size of the frame that starts here, 0 while its prelude is not complete."""
        if len(self._buffer) - start < _PRELUDE.size:
            return 0
        size, headers_size, checksum = _PRELUDE.unpack_from(self._buffer, start)
        if crc32(self._buffer[start : start + 8]) != checksum:
            msg = "the prelude's checksum is wrong"
            raise StreamDecodeError(msg, "bad_checksum")
        if size > self.limit_bytes:
            msg = f"a frame of {size} bytes exceeds {self.limit_bytes}"
            raise StreamDecodeError(msg, "event_too_large")
        if size < headers_size + _FRAME_OVERHEAD:
            msg = "a frame is shorter than its headers"
            raise StreamDecodeError(msg, "bad_frame")
        return int(size)


def encode_event_stream_frame(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """Write one frame, the reverse of `EventStreamDecoder`; integers become 64 bits wide."""
    head = b"".join(_encode_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", len(head) + len(payload) + _FRAME_OVERHEAD, len(head))
    body = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return body + struct.pack("!I", crc32(body))


class _Pieces:
    """Bytes that wait for a separator, joined only when it may have come."""

    __slots__ = ("_size", "limit_bytes", "overflow", "parts")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._size = 0
        self.parts: list[bytes] = []
        self.overflow = False

    def keep(self, data: bytes) -> None:
        if data:
            self.parts.append(data)
            self._size += len(data)
            # The first half of a separator may be among them.
            self.overflow = self.overflow or self._size > self.limit_bytes + 1

    def take(self, data: bytes) -> bytes:
        self.check()
        if not self.parts:
            return data
        self.parts.append(data)
        whole = b"".join(self.parts)
        self.parts.clear()
        self._size = 0
        return whole

    def split(self, data: bytes, separator: bytes) -> list[bytes]:
        """Give the complete blocks, up to the first that is too large, and keep the rest."""
        self.check()
        blocks = data.split(separator)
        rest = blocks.pop()
        if len(data) > self.limit_bytes:
            for index, block in enumerate(blocks):
                if len(block) > self.limit_bytes:
                    self.overflow = True
                    return blocks[:index]
        if rest:
            self.keep(rest)
        return blocks

    def ends_with_newline(self) -> bool:
        return bool(self.parts) and self.parts[-1].endswith(b"\n")

    def check(self) -> None:
        if self.overflow:
            msg = f"an event exceeds {self.limit_bytes} bytes"
            raise StreamDecodeError(msg, "event_too_large")


def _repaired(block: bytes) -> bytes:
    """Replace what is not UTF-8 by U+FFFD, as the WHATWG decoder does."""
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace").encode()
    return block


def _parse_frame(frame: bytes) -> EventStreamFrame:
    if crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
        msg = "a frame's checksum is wrong"
        raise StreamDecodeError(msg, "bad_checksum")
    headers_end = _PRELUDE.size + int.from_bytes(frame[4:8], "big")
    try:
        headers = _parse_headers(frame[_PRELUDE.size : headers_end])
    except (IndexError, KeyError, UnicodeDecodeError, struct.error, ValueError) as exc:
        msg = "a frame's headers are malformed"
        raise StreamDecodeError(msg, "bad_frame") from exc
    return EventStreamFrame(headers, frame[headers_end:-4])


def _parse_headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode()
        kind = block[name_end]
        at = name_end + 1
        if kind in _SIZED_KINDS:
            (size,) = struct.unpack_from("!H", block, at)
            at += 2
        else:
            size = _FIXED_SIZES[kind]
        value = block[at : at + size]
        if len(value) != size:
            msg = "a header is cut off"
            raise ValueError(msg)
        headers[name] = _header_value(kind, value)
        at += size
    return headers


def _header_value(kind: int, value: bytes) -> HeaderValue:
    if kind in _BOOLEANS:
        return _BOOLEANS[kind]
    if kind == _STRING:
        return value.decode()
    if kind == _BYTES:
        return value
    if kind == _UUID:
        return str(uuid.UUID(bytes=value))
    return int.from_bytes(value, "big", signed=True)


def _encode_header(name: str, value: HeaderValue) -> bytes:
    raw_name = name.encode()
    head = bytes([len(raw_name)]) + raw_name
    if isinstance(value, bool):
        return head + bytes([_TRUE if value else _FALSE])
    if isinstance(value, int):
        return head + struct.pack("!Bq", _LONG, value)
    kind, raw = (_BYTES, value) if isinstance(value, bytes) else (_STRING, value.encode())
    return head + struct.pack("!BH", kind, len(raw)) + raw


HeaderValue: TypeAlias = str | bytes | int | bool

_PRELUDE: Final = struct.Struct("!III")
_FRAME_OVERHEAD: Final = _PRELUDE.size + 4
_TRUE, _FALSE, _LONG, _BYTES, _STRING, _UUID = 0, 1, 5, 6, 7, 9
_BOOLEANS: Final = {_TRUE: True, _FALSE: False}
_SIZED_KINDS: Final = (_BYTES, _STRING)
# Sizes of true, false, byte, short, integer, long, timestamp and UUID.
_FIXED_SIZES: Final = {_TRUE: 0, _FALSE: 0, 2: 1, 3: 2, 4: 4, _LONG: 8, 8: 8, _UUID: 16}
