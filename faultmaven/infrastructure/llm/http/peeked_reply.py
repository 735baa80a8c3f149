"""A streamed reply whose first bytes have been looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.http.transport import StreamReply


class PeekedReply:
    """Gives the bytes that were looked at, and then those of the reply; see `StreamReply`.

    Args:
        reply: whose.
        start: what has been read of it.
    """

    __slots__ = ("_reply", "_start", "headers", "status")

    def __init__(self, reply: StreamReply, start: bytes) -> None:
        self.status = reply.status
        self.headers: Mapping[str, str] = reply.headers
        self._reply = reply
        self._start = start

    async def read(self) -> bytes:
        """Wait for bytes; see `StreamReply.read`."""
        start, self._start = self._start, b""
        return start or await self._reply.read()

    def expect(self, seconds: float) -> None:
        """Open a new window; see `StreamReply.expect`."""
        self._reply.expect(seconds)

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        """Read the rest of the body; see `StreamReply.read_all`."""
        start, self._start = self._start, b""
        return start + await self._reply.read_all(limit_bytes, timeout_s)

    async def release(self) -> None:
        """Keep the connection; see `StreamReply.release`."""
        await self._reply.release()

    async def close(self) -> None:
        """Drop the connection; see `StreamReply.close`."""
        await self._reply.close()
