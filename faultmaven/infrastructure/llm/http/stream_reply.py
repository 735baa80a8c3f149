"""One answer as it comes; import it late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.http import failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse

    from faultmaven.infrastructure.llm.http.policy import TransportPolicy
    from faultmaven.infrastructure.llm.http.pool import Pool


class HTTPStreamReply:
    """An answer as it comes; see `StreamReply`.

    Args:
        provider: the name for errors.
        pool: whose watchdog looks after the windows.
        policy: the limits.
        response: its headers have come.
        window_s: the first window, as by `expect`.
        deadline: instant of `time.monotonic()`, or infinity.
    """

    __slots__ = (
        "_content",
        "_deadline",
        "_is_overdue",
        "_is_waiting",
        "_policy",
        "_provider",
        "_response",
        "_watchdog",
        "_window_s",
        "expires_at",
        "headers",
        "is_lingering",
        "status",
    )

    def __init__(
        self,
        provider: str,
        pool: Pool,
        policy: TransportPolicy,
        response: ClientResponse,
        window_s: float,
        deadline: float,
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._provider = provider
        self._watchdog = pool.watchdog
        self._policy = policy
        self._response = response
        self._content = response.content
        self._deadline = deadline
        self._is_waiting = False
        self._is_overdue = False
        self.is_lingering = False
        self.expect(window_s)

    async def read(self) -> bytes:
        """Give all that has come, waiting if nothing has; see `StreamReply.read`."""
        content = self._content
        if content.at_eof():
            self._watchdog.discard(self)
            return b""
        # aiohttp raises an error before it gives the bytes that came ahead of it; its private buffer
        # does not lose them.
        if content._buffer:  # noqa: SLF001
            return content._read_nowait(-1)  # noqa: SLF001
        if self._is_overdue:
            self.expect(self._window_s)
        self._is_waiting = True
        try:
            data = await content.readany()
        except Exception as exc:
            error = failure.explain(exc, self._provider)
            if error is None:
                raise
        else:
            if not data:
                self._watchdog.discard(self)
            return data
        finally:
            self._is_waiting = False
        await self.close()
        raise error

    def expect(self, seconds: float) -> None:
        """Open a new window; see `StreamReply.expect`."""
        self._window_s = seconds
        self._is_overdue = False
        self.expires_at = min(time.monotonic() + seconds, self._deadline)
        self._watchdog.add(self)

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        """Read the rest of the body; see `StreamReply.read_all`."""
        if self.status >= 400:
            return await self._read_error(
                limit_bytes or self._policy.max_error_bytes,
                timeout_s or self._policy.error_body_timeout_s,
            )
        limit_bytes = limit_bytes or self._policy.max_response_bytes
        if timeout_s is not None:
            self.expect(timeout_s)
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit_bytes:
                await self.close()
                raise failure.TOO_LARGE.error(self._provider, self.status)
        return b"".join(parts)

    async def release(self) -> None:
        """Give the body a moment to end, so that the connection can be kept."""
        if self._response.closed:
            self._watchdog.discard(self)
            return
        self.is_lingering = True
        self.expect(self._policy.linger_s)

    async def close(self) -> None:
        """Drop the connection unless the body has been read to its end."""
        self._watchdog.discard(self)
        if not self._response.closed:
            self._response.close()

    def expire(self) -> None:
        """Break the wait off, for the pool's watchdog."""
        is_past_deadline = self.expires_at >= self._deadline
        if self.is_lingering:
            self._response.close()
        elif self._is_waiting or is_past_deadline:
            timeout = failure.timed_out(self._window_s, "read", by_deadline=is_past_deadline)
            self._content.set_exception(timeout.error(self._provider))
            self._response.close()
        else:
            # Nobody is waiting: the caller is slow, not the provider.
            self._is_overdue = True

    async def _read_error(self, limit_bytes: int, timeout_s: float) -> bytes:
        self.expect(timeout_s)
        parts: list[bytes] = []
        size = 0
        try:
            while size < limit_bytes and (data := await self.read()):
                parts.append(data)
                size += len(data)
        except LLMError:
            pass  # the status is known, and it is the error that matters
        await self.close()
        return b"".join(parts)[:limit_bytes]
