"""Heads and bodies of HTTP/1.1 responses: bytes in, bytes out, and nothing that is not strictly right.

Source: RFC 9112, read 2026-11-21.  Whatever two readers could read differently is refused: two lengths,
a length beside chunks, other codings, bare line feeds, NULs, spaces where none belong.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_FIELDS: Final = 128
MAX_CHUNK_LINE_BYTES: Final = 256
MAX_GZIP_MEMBERS: Final = 64

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?\Z")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\Z")
_NAMES_KEPT: Final = 512
_names: dict[bytes, str] = {}


class MalformedError(Exception):
    """The bytes are not HTTP."""


class EncodingError(Exception):
    """The body's compression is broken or unknown."""


class TooLargeError(Exception):
    """The body is larger than is accepted."""


class Headers(dict[str, str]):
    """Header fields by name in lower case; `get` takes any case."""

    __slots__ = ()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # no generic default
        """Give a field's value."""
        return dict.get(self, name.lower(), default)


class Head:
    """A response's status and fields, and how its body is framed.

    Attributes:
        status: the status code.
        headers: its fields.
        length: bytes of the body, None where it is chunked or ends with the connection.
        is_chunked: whether the body comes in chunks.
        keep_alive: whether the connection may serve another request.
    """

    __slots__ = ("headers", "is_chunked", "keep_alive", "length", "status")

    def __init__(self, block: bytes) -> None:
        lines = block.split(b"\r\n")
        found = _STATUS_LINE.match(lines[0])
        if found is None or b"\0" in block or block.count(b"\n") != len(lines) - 1:
            raise MalformedError
        if len(lines) > MAX_FIELDS:
            raise MalformedError
        self.status = int(found[2])
        self.headers = headers = Headers()
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            known = _names.get(name) or _checked(name)
            if not colon:
                raise MalformedError
            text = value.strip(b" \t").decode("latin-1")
            if known in headers:
                if known in _ONCE:
                    raise MalformedError
                text = f"{headers[known]}, {text}"
            headers[known] = text
        self._frame(found[1] == b"1")

    def _frame(self, is_http11: bool) -> None:
        headers = self.headers
        length = dict.get(headers, "content-length")
        coding = dict.get(headers, "transfer-encoding")
        self.is_chunked = coding is not None
        self.length: int | None = None
        if coding is not None and (coding.lower() != "chunked" or length is not None):
            raise MalformedError
        if length is not None:
            if not (length.isascii() and length.isdigit() and len(length) < 16):
                raise MalformedError
            self.length = int(length)
        if self.status in (204, 304):
            self.length, self.is_chunked = 0, False
        connection = dict.get(headers, "connection")
        if connection is None:
            self.keep_alive = is_http11
        else:
            words = connection.lower()
            self.keep_alive = "close" not in words and (is_http11 or "keep-alive" in words)
        if self.length is None and not self.is_chunked:
            self.keep_alive = False


_ONCE: Final = frozenset({"content-length", "transfer-encoding", "content-encoding"})


def _checked(name: bytes) -> str:
    if _NAME.match(name) is None:
        raise MalformedError
    text = name.decode("ascii").lower()
    if len(_names) < _NAMES_KEPT:
        _names[name] = text
    return text


class Chunks:
    """Takes a chunked body apart.

    Attributes:
        done: the last chunk and the trailers have come.
        rest: what came after them.
    """

    __slots__ = ("_buffer", "_in_trailers", "_left", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._buffer = b""
        self._left = 0  # of the present chunk, its line end included; 0 before a size
        self._in_trailers = False

    def feed(self, data: bytes) -> list[bytes]:
        """Give the pieces of the body that came.

        Raises:
            MalformedError: the bytes are no chunks.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pieces: list[bytes] = []
        place, size = 0, len(data)
        while place < size and not self.done:
            if self._in_trailers:
                place = self._trailers(data, place)
            elif self._left:
                place = self._content(data, place, pieces)
            else:
                place = self._size(data, place)
            if place < 0:
                break
        return pieces

    def _size(self, data: bytes, place: int) -> int:
        end = data.find(b"\r\n", place)
        if end < 0:
            self._buffer = data[place:]
            if len(self._buffer) > MAX_CHUNK_LINE_BYTES:
                raise MalformedError
            return -1
        found = _CHUNK_SIZE.match(data[place:end])
        if found is None:
            raise MalformedError
        number = int(found[1], 16)
        if number:
            self._left = number + 2
        else:
            self._in_trailers = True
        return end + 2

    def _content(self, data: bytes, place: int, pieces: list[bytes]) -> int:
        left = self._left
        there = len(data) - place
        if there >= left:
            end = place + left
            if data[end - 2 : end] != b"\r\n":
                raise MalformedError
            if left > 2:
                pieces.append(data[place : end - 2])
            self._left = 0
            return end
        if there >= left - 2:
            # The chunk is whole but for its line end.
            if left > 2:
                pieces.append(data[place : place + left - 2])
            self._buffer = data[place + left - 2 :]
            self._left = 2
            return -1
        pieces.append(data[place:])
        self._left = left - there
        return -1

    def _trailers(self, data: bytes, place: int) -> int:
        end = data.find(b"\r\n", place)
        if end < 0:
            self._buffer = data[place:]
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise MalformedError
            return -1
        if end == place:
            self.done = True
            self.rest = data[end + 2 :]
        return end + 2


class Inflater:
    """Unpacks gzip and deflate, piece by piece, and never more than is accepted.

    Args:
        encoding: of the header field.
        limit_bytes: of everything together.

    Raises:
        EncodingError: the encoding is not known.
    """

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        name = encoding.strip().lower()
        if name not in ("gzip", "x-gzip", "deflate"):
            raise EncodingError
        self._bits = 16 + zlib.MAX_WBITS if "gzip" in name else zlib.MAX_WBITS
        self._inflate = zlib.decompressobj(self._bits)
        self._left = limit_bytes
        self._members = 1

    def feed(self, data: bytes) -> bytes:
        """Unpack the next bytes.

        Raises:
            EncodingError: they are not what the encoding says.
            TooLargeError: there is more than is accepted.
        """
        pieces = []
        while data:
            try:
                piece = self._inflate.decompress(data, self._left + 1)
            except zlib.error:
                raise EncodingError from None
            self._left -= len(piece)
            if self._left < 0:
                raise TooLargeError
            pieces.append(piece)
            data = self._inflate.unused_data
            if data:
                self._members += 1
                if self._members > MAX_GZIP_MEMBERS:
                    raise EncodingError
                self._inflate = zlib.decompressobj(self._bits)
        return b"".join(pieces)

    def finish(self) -> None:
        """Take the end.

        Raises:
            EncodingError: it came too early.
        """
        if not self._inflate.eof:
            raise EncodingError
