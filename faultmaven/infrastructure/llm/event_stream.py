"""Framing of AWS event streams: binary frames with two checksums each.

Pure and incremental as `sse` is.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from zlib import crc32

from faultmaven.infrastructure.llm.sse import MAX_EVENT_BYTES, StreamDecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

HeaderValue: TypeAlias = str | bytes | int | bool

_PRELUDE: Final = struct.Struct("!III")
_FRAME_OVERHEAD: Final = _PRELUDE.size + 4
_TRUE, _FALSE, _LONG, _BYTES, _STRING, _UUID = 0, 1, 5, 6, 7, 9
_BOOLEANS: Final = {_TRUE: True, _FALSE: False}
_SIZED_KINDS: Final = (_BYTES, _STRING)
# Sizes of true, false, byte, short, integer, long, timestamp and UUID.
_FIXED_SIZES: Final = {_TRUE: 0, _FALSE: 0, 2: 1, 3: 2, 4: 4, _LONG: 8, 8: 8, _UUID: 16}


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
