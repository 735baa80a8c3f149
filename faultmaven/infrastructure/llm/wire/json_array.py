"""Streams that are one growing JSON array, cut into the values that it holds."""

from __future__ import annotations

import re
from typing import Final

from faultmaven.infrastructure.llm.sse import MAX_EVENT_BYTES, StreamDecodeError

_MARKS: Final = re.compile(rb'[{}"]')
_STRING_MARKS: Final = re.compile(rb'["\\]')


class JSONArrayDecoder:
    """Gives each object of a top-level array as bytes, as soon as it is whole.

    A body that is a single object gives that object.  What is between the objects is not checked.

    Attributes:
        limit_bytes: the size of the largest object; another one may be set before the first byte.
    """

    __slots__ = (
        "_buffer", "_depth", "_in_string", "_overflow", "_position", "_start", "limit_bytes",
    )  # fmt: skip

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._position = 0
        self._start = 0
        self._depth = 0
        self._in_string = False
        self._overflow = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; give the objects that they complete.

        Raises:
            StreamDecodeError: one object is larger than the limit; those before it have been given.
        """
        self.finish()
        self._buffer += data
        found: list[bytes] = []
        while self._position < len(self._buffer):
            marks = _STRING_MARKS if self._in_string else _MARKS
            match = marks.search(self._buffer, self._position)
            if match is None:
                self._position = len(self._buffer)
                break
            if not self._pass(match.group(), match.start(), found):
                break
        if len(self._buffer) > self.limit_bytes:
            found = self._up_to_limit(found)
        self._drop_what_is_read()
        if not found:
            self.finish()
        return found

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            StreamDecodeError: one object was larger than the limit.
        """
        if self._overflow:
            msg = f"an object exceeds {self.limit_bytes} bytes"
            raise StreamDecodeError(msg, "event_too_large")

    def _pass(self, mark: bytes, place: int, found: list[bytes]) -> bool:
        """Go past one mark; False where its second byte has not come yet."""
        self._position = place + 1
        if mark == b"\\":
            if self._position == len(self._buffer):
                self._position = place
                return False
            self._position += 1
        elif mark == b'"':
            self._in_string = not self._in_string
        elif mark == b"{":
            if self._depth == 0:
                self._start = place
            self._depth += 1
        elif mark == b"}" and self._depth:
            self._depth -= 1
            if self._depth == 0:
                found.append(bytes(self._buffer[self._start : self._position]))
                self._start = self._position
        return True

    def _drop_what_is_read(self) -> None:
        end = self._start if self._depth else self._position
        del self._buffer[:end]
        self._position -= end
        self._start = 0
        self._overflow = self._overflow or len(self._buffer) > self.limit_bytes

    def _up_to_limit(self, found: list[bytes]) -> list[bytes]:
        """Give the objects before the first that is too large."""
        for index, one in enumerate(found):
            if len(one) > self.limit_bytes:
                self._overflow = True
                return found[:index]
        return found
