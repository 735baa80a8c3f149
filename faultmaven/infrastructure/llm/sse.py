"""Framing of streamed text: server-sent events and JSON lines.

Pure and incremental: bytes go in, in whatever pieces they arrive, complete events come out, and any
split of the same bytes gives the same events.  Time is linear in the bytes, and the work for each
event is a handful of operations on whole byte strings.
"""

from __future__ import annotations

from typing import Final, NamedTuple

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

    def _joined(self, data: bytes) -> bytes:
        """Give what has waited and what comes now, without a mark of byte order at the start."""
        data = self._pieces.take(data)
        if self._at_start:
            self._at_start = False
            data = data.removeprefix(_BOM)
        return data


class SSEDecoder(_PiecewiseDecoder):
    """Decodes `text/event-stream` as WHATWG HTML, section 9.2 (read 2026-11-21), says.

    Ids and reconnection times are passed over: no provider goes on with a stream that broke.
    """

    __slots__ = ("_after_cr",)

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(limit_bytes)
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
            data = self._joined(data)
        blocks = pieces.split(data, b"\n\n")
        if not data.isascii():
            blocks = [_repaired(block) for block in blocks]
        events = _events_of(blocks)
        if pieces.overflow and not events:
            pieces.check()
        return events

    def finish(self) -> ServerSentEvent | None:
        """Say that the stream has ended; give the last event if its blank line never came.

        WHATWG discards that event; some providers end so after `[DONE]`.  The caller decides.

        Raises:
            StreamDecodeError: one event was larger than the limit.
        """
        return _slow_event(_repaired(self._joined(b"")))

    def _normalised(self, data: bytes) -> bytes:
        """Turn CR LF and CR into LF; a CR at the end is a line end whether or not an LF follows."""
        if not data:
            return data
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


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
        data = self._joined(data)
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
        return _repaired(self._joined(b"")).strip() or None


def _events_of(blocks: list[bytes]) -> list[ServerSentEvent]:
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
        event = _slow_event(block)
        if event is not None:
            append(event)
    return events


def _slow_event(block: bytes) -> ServerSentEvent | None:
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
    if not lines:
        return None
    return ServerSentEvent(name.decode() or "message", b"\n".join(lines))


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
