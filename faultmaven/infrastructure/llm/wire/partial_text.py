"""The text of a stream so far, for the error of one that breaks off."""

from __future__ import annotations

from typing import Final

# A gateway holds one of these for each stream, however long the answer gets.
MOST_BYTES: Final = 128 * 1024


class PartialText:
    """Keeps what has come: of a very long text the beginning."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, text: str) -> None:
        """Take the next piece."""
        if len(self._bytes) < MOST_BYTES:
            self._bytes += text[:MOST_BYTES].encode("utf-8", "surrogatepass")

    def __str__(self) -> str:
        return self._bytes.decode("utf-8", "surrogatepass")
