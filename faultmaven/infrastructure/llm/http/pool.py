"""The aiohttp session of one provider on one event loop; import it late, it brings aiohttp along."""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from faultmaven.infrastructure.llm.http.exchange import Exchange
from faultmaven.infrastructure.llm.http.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from aiohttp.connector import Connection
    from typing_extensions import override
    from yarl import URL

    from faultmaven.infrastructure.llm.http.policy import TransportPolicy
else:

    def override(method):
        """Stand in for `typing.override`, which Python 3.11 lacks."""
        return method


logger = logging.getLogger(__name__)

# aiohttp warns of larger bodies in one piece, and writes them so that the loop is held up.
_ONE_PIECE_BYTES = 1024 * 1024


class Lease:
    """What one request learns about the connection that it got.

    Attributes:
        must_be_new: do not take a connection that has served before.
        protocol: the connection, None before there is one.
        was_used: whether the connection had served a request before this one.
    """

    __slots__ = ("must_be_new", "protocol", "was_used")

    def __init__(self, *, must_be_new: bool = False) -> None:
        self.must_be_new = must_be_new
        self.protocol: CheckedProtocol | None = None
        self.was_used = False

    def is_stale(self) -> bool:
        """Tell whether the connection had served before and gave no byte of this answer."""
        return self.was_used and self.protocol is not None and not self.protocol.has_answered


_lease: ContextVar[Lease | None] = ContextVar("faultmaven_lease", default=None)


class CheckedProtocol(ResponseHandler):
    """A connection that is used again only if nothing came unasked, and that knows if an answer began.

    aiohttp 3.14.5 asks of an idle connection only whether it is open; a late second answer would be
    taken for the next request's.
    """

    has_answered = False
    has_served = False

    @override
    def is_connected(self) -> bool:
        """Tell whether the connection is open and nothing came since its last answer."""
        return super().is_connected() and not self.should_close

    @override
    def data_received(self, data: bytes) -> None:
        """Note that the peer has said something."""
        self.has_answered = True
        ResponseHandler.data_received(self, data)


class CheckedConnector(aiohttp.TCPConnector):
    """A pool of checked connections that tells each request's lease what it got."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # The only way to have the pool make protocols of another class.
        self._factory = partial(CheckedProtocol, loop=self._loop)  # type: ignore[assignment]  # a subclass

    @override
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's signature
    ) -> Connection:
        """Give a connection, and tell the request's lease which."""
        connection = await super().connect(req, traces, timeout)
        protocol, lease = connection.protocol, _lease.get()
        if lease is not None and isinstance(protocol, CheckedProtocol):
            lease.protocol = protocol
            lease.was_used = protocol.has_served
            protocol.has_served = True
            protocol.has_answered = False
        return connection

    @override
    async def _get(self, key: Any, traces: list[Any]) -> Connection | None:
        lease = _lease.get()
        if lease is not None and lease.must_be_new:
            return None
        return await super()._get(key, traces)

    @property
    def is_full(self) -> bool:
        """Tell whether every permitted connection is in use."""
        return len(self._acquired) >= self.limit

    def abandon(self) -> None:
        """Let go of everything without waiting, for a loop that is closed or not ours."""
        self._close()


class Pool:
    """A session, its connections, and the watchdog over their waits.

    Attributes:
        watchdog: expires what waits too long on this loop.
    """

    def __init__(self, policy: TransportPolicy) -> None:
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self.watchdog = Watchdog(self._loop)
        self._connector = CheckedConnector(
            limit=policy.max_connections, keepalive_timeout=policy.keepalive_s, ssl=_tls(policy)
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": policy.user_agent, "Accept-Encoding": policy.accept_encoding},
            timeout=aiohttp.ClientTimeout(total=None, connect=policy.connect_timeout_s),
            trust_env=False,
            proxy=policy.proxy,
        )
        # aiohttp resends GET by itself, on new connections too; who repeats here is `request`.
        self._session._retry_connection = False  # noqa: SLF001  # there is no public switch
        self._lifetime: AsyncGenerator[None, None] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether requests can still be made."""
        return not self._session.closed

    @property
    def is_full(self) -> bool:
        """Tell whether every permitted connection is in use."""
        return self._connector.is_full

    async def tie_to_loop(self) -> None:
        """Close when the event loop ends, if not before: `asyncio.run` closes open generators."""
        self._lifetime = self._live()
        await anext(self._lifetime)

    async def close(self) -> None:
        """Close all connections and wait until they are."""
        if self._lifetime is not None:
            await self._lifetime.aclose()

    def abandon(self) -> None:
        """Close from outside of the loop, without waiting."""
        if self._loop.is_closed():
            self._connector.abandon()
        else:
            self._loop.call_soon_threadsafe(self._connector.abandon)

    def exchange(self, provider: str, timeout_s: float, deadline: float | None) -> Exchange:
        """Begin one request; the time runs from now.

        Raises:
            LLMError: the deadline has passed already.
        """
        return Exchange(provider, self, self._policy, timeout_s, deadline)

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request and wait for the headers of the answer.

        A connection that had served before and closes without a byte was closed by the peer while it was
        idle: the request is sent once more on a new one.
        """
        lease = Lease()
        _lease.set(lease)
        try:
            return await self._request(method, url, headers, body)
        except aiohttp.ClientConnectionError:
            if not lease.is_stale():
                raise
        _lease.set(Lease(must_be_new=True))
        return await self._request(method, url, headers, body)

    async def _request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        data = body if body is None or len(body) < _ONE_PIECE_BYTES else io.BytesIO(body)
        return await self._session.request(
            method, url, headers=headers, data=data, allow_redirects=False
        )

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.watchdog.close()
            await self._session.close()


@lru_cache(maxsize=16)
def _trusting(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _tls(policy: TransportPolicy) -> bool | ssl.SSLContext:
    if not policy.tls_verify:
        logger.warning("TLS certificates are not verified: tls_verify is off for a provider")
        return False
    return _trusting(policy.ca_file) if policy.ca_file else True
