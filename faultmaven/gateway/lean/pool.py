"""The idle connections to one provider, and how new ones are made."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from faultmaven.gateway.lean.connection import READ_BYTES, LeanConnection
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
)
from faultmaven.infrastructure.llm.http import failure
from faultmaven.infrastructure.llm.http.watchdog import Watchdog

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.http import TransportPolicy

logger = logging.getLogger("faultmaven.gateway")

_REFUSED: Final = failure.Failure(
    LLMConnectionError,
    "connect_refused",
    "the connection was refused; check that the server runs and that the base URL is right",
)
_UNREACHABLE: Final = failure.Failure(
    LLMConnectionError,
    "connect_failed",
    "no connection could be made; check the network and the base URL",
)
_TIMEOUT: Final = failure.Failure(
    LLMTimeoutError,
    "connect_timeout",
    "no connection within the connect timeout; check the network and the base URL",
)
_FULL: Final = failure.Failure(
    LLMTimeoutError,
    "pool_timeout",
    "all connections to it are in use; make fewer calls at the same time",
)


class Origin(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    is_tls: bool


class LeanPool:
    """Connections of one provider on one event loop.

    Args:
        provider: the name for errors.
        policy: the limits.

    Attributes:
        watchdog: one timer for all waits.
        room: where bytes arrive; used by one connection at a time.
    """

    def __init__(self, provider: str, policy: TransportPolicy) -> None:
        self.loop = asyncio.get_running_loop()
        self.provider = provider
        self.policy = policy
        self.watchdog = Watchdog(self.loop)
        self.room = memoryview(bytearray(READ_BYTES))
        self._idle: dict[Origin, list[LeanConnection]] = {}
        self._origins: dict[LeanConnection, Origin] = {}
        self._queue: deque[asyncio.Future[None]] = deque()
        self._tls: ssl.SSLContext | None = None
        self._connecting = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> LeanConnection | None:
        """Give an idle connection, the one that was used last; None where there is none."""
        idle = self._idle.get(origin)
        oldest = time.monotonic() - self.policy.keepalive_s
        while idle:
            connection = idle.pop()
            if connection.is_broken or connection.transport is None:
                self.forget(connection)
            elif connection.idle_since < oldest or connection.transport.is_closing():
                connection.abort()
                self.forget(connection)
            else:
                return connection
        return None

    async def connect(self, origin: Origin, timeout_s: float, deadline: float) -> LeanConnection:
        """Make a new connection.

        Args:
            origin: where to.
            timeout_s: what the call has; the policy's own bound holds as well.
            deadline: instant that nothing may pass.

        Raises:
            LLMError: it cannot be made, or not in time.
        """
        limit_s = min(timeout_s, self.policy.connect_timeout_s)
        left_s = deadline - time.monotonic()
        try:
            async with asyncio.timeout(min(limit_s, left_s)):
                if len(self._origins) + self._connecting >= self.policy.max_connections:
                    await self._wait_for_place()
                return await self._open(origin)
        except TimeoutError:
            if left_s <= limit_s:
                late = failure.timed_out(limit_s, "headers", by_deadline=True)
                raise late.error(self.provider) from None
            is_full = len(self._origins) >= self.policy.max_connections
            raise (_FULL if is_full else _TIMEOUT).error(self.provider) from None
        except (OSError, ValueError) as exc:
            raise self._explained(exc) from failure.safe_cause(exc)

    def put_back(self, connection: LeanConnection) -> None:
        """Keep a connection for the next request."""
        connection.idle_since = time.monotonic()
        self._idle.setdefault(self._origins[connection], []).append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self.policy.keepalive_s, self._sweep)
        self._wake_one()

    def drop(self, connection: LeanConnection) -> None:
        """Forget a connection that is closed."""
        self._origins.pop(connection, None)
        self._wake_one()

    def forget(self, connection: LeanConnection) -> None:
        """Forget a connection that was idle and is closed."""
        origin = self._origins.pop(connection, None)
        if origin is not None and connection in self._idle.get(origin, ()):
            self._idle[origin].remove(connection)
        self._wake_one()

    def close(self) -> None:
        """Close every connection."""
        self.watchdog.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._origins):
            connection.abort()
        self._origins.clear()
        self._idle.clear()

    async def _open(self, origin: Origin) -> LeanConnection:
        self._connecting += 1
        try:
            _, connection = await self.loop.create_connection(
                lambda: LeanConnection(self),
                origin.host,
                origin.port,
                ssl=self._tls_context() if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        finally:
            self._connecting -= 1
        assert connection.transport is not None
        raw = connection.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._origins[connection] = origin
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            is_usual = self.policy.ca_file is None and self.policy.tls_verify
            self._tls = _usual_tls_context() if is_usual else self._make_tls_context()
        return self._tls

    def _make_tls_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.policy.ca_file)
        except OSError as exc:
            msg = f"{self.provider}: `ca_file` in the row cannot be used: {exc.strerror or exc}"
            raise ConfigurationError(msg, provider=self.provider, code="invalid_ca_file") from exc
        if not self.policy.tls_verify:
            logger.warning(
                "TLS certificates are not verified: tls_verify is off for %s", self.provider
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _explained(self, exc: Exception) -> LLMError:
        if isinstance(exc, ssl.SSLError | ssl.CertificateError | socket.gaierror):
            return failure.describe(exc).error(self.provider)
        refused = isinstance(exc, ConnectionRefusedError) or "refused" in str(exc).lower()
        return (_REFUSED if refused else _UNREACHABLE).error(self.provider)

    async def _wait_for_place(self) -> None:
        for idle in self._idle.values():
            if idle:
                idle.pop(0).abort()  # to another origin: its place is needed
                return
        place = self.loop.create_future()
        self._queue.append(place)
        await place

    def _wake_one(self) -> None:
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        self._sweeper = None
        oldest = time.monotonic() - self.policy.keepalive_s
        waiting = False
        for idle in self._idle.values():
            for connection in [one for one in idle if one.idle_since <= oldest]:
                idle.remove(connection)
                self._origins.pop(connection, None)
                connection.abort()
            waiting = waiting or bool(idle)
        if waiting:
            self._sweeper = self.loop.call_later(self.policy.keepalive_s, self._sweep)


@cache
def _usual_tls_context() -> ssl.SSLContext:
    """Trust whom this machine trusts: all providers share what takes 30 ms to read."""
    return ssl.create_default_context()
