"""`Transport` by thin connections."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

from yarl import URL

from faultmaven.gateway.lean.pool import LeanPool, Origin
from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMConnectionError, LLMError
from faultmaven.infrastructure.llm.http import Reply, failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.lean.connection import LeanConnection
    from faultmaven.infrastructure.llm.http import StreamReply, TransportPolicy

_URLS_KEPT: Final = 256
_SCHEMES: Final = ("http", "https")


class LeanTransport:
    """Speaks HTTP/1.1 to one provider; see `Transport`.

    Args:
        name: the provider's, for errors.
        policy: the limits; its `proxy` is not used.
    """

    def __init__(self, name: str, policy: TransportPolicy) -> None:
        self._name = name
        self._policy = policy
        self._pool: LeanPool | None = None
        self._urls: dict[tuple[str, str], tuple[Origin, str]] = {}
        self._own = (
            f"User-Agent: {policy.user_agent}\r\nAccept-Encoding: {policy.accept_encoding}\r\n"
        )

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> Reply:
        """Send a request and read the whole answer; see `Transport.fetch`."""
        connection = await self._exchange(
            method, url, headers, body, timeout_s, deadline, whole=True
        )
        head = connection.head
        assert head is not None
        content = connection.take()
        connection.release()
        if head.status >= 400:
            content = content[: self._policy.max_error_bytes]
        return Reply(head.status, head.headers, content)

    async def open_stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> StreamReply:
        """Send a request and wait for the headers; see `Transport.open_stream`."""
        connection = await self._exchange(
            method, url, headers, body, timeout_s, deadline, whole=False
        )
        return LeanStreamReply(connection, self._policy, self._name)

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        deadline: float | None,
        *,
        whole: bool,
    ) -> LeanConnection:
        """Send a request and wait for the head, or for everything.

        A connection that had served before and closes without a byte was closed by the peer while it was
        idle: the request is sent once more on a new one.
        """
        pool = self._pool
        if pool is None or pool.loop is not asyncio.get_running_loop():
            pool = self._pool = LeanPool(self._name, self._policy)
        limit = math.inf if deadline is None else deadline
        if limit <= time.monotonic():
            raise failure.timed_out(timeout_s, "headers", by_deadline=True).error(self._name)
        origin, start = self._urls.get((method, url)) or self._start_of(method, url)
        data = self._request(start, headers, body)
        connection = pool.take(origin) or await pool.connect(origin, timeout_s, limit)
        while True:
            connection.send(data, whole=whole, timeout_s=timeout_s, deadline=limit)
            try:
                await connection.wait_head()
            except LLMError as error:
                is_stale = connection.was_used and not connection.has_answered
                connection.release()
                if not is_stale or not isinstance(error, LLMConnectionError):
                    head = connection.head
                    if whole and head is not None and head.status >= 400:
                        return connection  # the status says enough
                    raise
            except BaseException:
                connection.abort()
                connection.release()
                raise
            else:
                return connection
            connection = await pool.connect(origin, timeout_s, limit)

    def _request(self, start: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        text = f"{start}{self._own}{''.join(lines)}{length}\r\n"
        breaks = len(lines) + (5 if body is None else 6)
        if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
            msg = f"{self._name}: a header cannot be sent; check the key and the extra headers"
            raise ConfigurationError(msg, provider=self._name, code="invalid_header")
        head = text.encode("latin-1", "replace")
        return head if body is None else head + body

    def _start_of(self, method: str, url: str) -> tuple[Origin, str]:
        is_quoted = url.isascii() and url.isprintable() and " " not in url
        try:
            parsed = URL(url, encoded=is_quoted)
        except ValueError:
            parsed = URL()
        if parsed.scheme not in _SCHEMES or not parsed.raw_host:
            msg = f"{self._name}: the URL cannot be used; check the base URL"
            raise ConfigurationError(msg, provider=self._name, code="invalid_url")
        origin = Origin(parsed.raw_host, parsed.port or 0, parsed.scheme == "https")
        host = parsed.host_port_subcomponent
        start = f"{method} {parsed.raw_path_qs} HTTP/1.1\r\nHost: {host}\r\n"
        if len(self._urls) >= _URLS_KEPT:
            self._urls.clear()
        self._urls[method, url] = origin, start
        return origin, start


class LeanStreamReply:
    """An answer as it comes; see `StreamReply`."""

    __slots__ = ("_connection", "_is_over", "_name", "_policy", "headers", "status")

    def __init__(self, connection: LeanConnection, policy: TransportPolicy, name: str) -> None:
        head = connection.head
        assert head is not None
        self.status = head.status
        self.headers: Mapping[str, str] = head.headers
        self._connection = connection
        self._policy = policy
        self._name = name
        self._is_over = False

    async def read(self) -> bytes:
        """Give what has come, waiting if nothing has; see `StreamReply.read`."""
        if self._is_over:
            return b""
        return await self._connection.read()

    def expect(self, seconds: float) -> None:
        """Open a new window; see `StreamReply.expect`."""
        if not self._is_over:
            self._connection.expect(seconds)

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        """Read the rest of the body; see `StreamReply.read_all`."""
        is_error = self.status >= 400
        if is_error:
            limit_bytes = limit_bytes or self._policy.max_error_bytes
            timeout_s = timeout_s or self._policy.error_body_timeout_s
        limit_bytes = limit_bytes or self._policy.max_response_bytes
        if timeout_s is not None:
            self.expect(timeout_s)
        parts: list[bytes] = []
        size = 0
        try:
            while data := await self.read():
                parts.append(data)
                size += len(data)
                if size > limit_bytes:
                    await self.close()
                    if is_error:
                        break
                    raise failure.TOO_LARGE.error(self._name, self.status)
        except LLMError:
            if not is_error:
                raise
        return b"".join(parts)[:limit_bytes]

    async def release(self) -> None:
        """Keep the connection if the body ends within a moment."""
        if not self._is_over:
            self._is_over = True
            self._connection.linger(self._policy.linger_s)

    async def close(self) -> None:
        """Drop the connection unless the body was read to its end."""
        if not self._is_over:
            self._is_over = True
            self._connection.release()
