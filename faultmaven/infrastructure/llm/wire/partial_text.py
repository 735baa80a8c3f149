"""The text of a stream so far, for the error of one that breaks off."""

from __future__ import annotations

from typing import Final

# What is kept where nobody says otherwise.
MOST_BYTES: Final = 128 * 1024


class PartialText:
    """Keeps what has come: of a very long text the beginning.

    Args:
        most_bytes: what is kept at least of a text that is longer; 0 keeps nothing.
    """

    __slots__ = ("_bytes", "_most_bytes")

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._bytes = bytearray()
        self._most_bytes = most_bytes

    def add(self, text: str) -> None:
        """Take the next piece."""
        if len(self._bytes) < self._most_bytes:
            self._bytes += text[: self._most_bytes].encode("utf-8", "surrogatepass")

    def __str__(self) -> str:
        return self._bytes.decode("utf-8", "surrogatepass")
