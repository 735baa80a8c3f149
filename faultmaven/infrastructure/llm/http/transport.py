"""What speaks HTTP to a provider: one answer whole, or one answer as it comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.http.policy import TransportPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from faultmaven.infrastructure.llm.http.exchange import Exchange
    from faultmaven.infrastructure.llm.http.pool import Pool

_URLS_KEPT = 256


@dataclass(slots=True)
class Reply:
    """A whole answer.

    Attributes:
        status: any but a redirect's.
        headers: case-insensitive.
        body: decompressed; of an error status, what came of it in time.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamReply(Protocol):
    """An answer whose headers have come.

    Attributes:
        status: any but a redirect's.
        headers: case-insensitive.
    """

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Wait for bytes, and give all that have come; b"" at the end.

        Raises:
            LLMError: the connection broke, or the window of `expect` or the deadline passed.
        """
        ...

    def expect(self, seconds: float) -> None:
        """Allow this long from now until the next `expect`; bytes by themselves do not extend it."""
        ...

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        """Read the rest of the body.

        Of an error status, what comes within the limits is given (256 KiB and 2 s by default) and nothing
        is raised: the status says enough.

        Raises:
            LLMError: as for `read`, or the body is larger than the limit (16 MiB by default).
        """
        ...

    async def release(self) -> None:
        """Keep the connection if the body ends within a moment: for a stream whose last event came."""
        ...

    async def close(self) -> None:
        """Drop the connection unless the body was read to its end; twice is fine."""
        ...


class Transport(Protocol):
    """The seam below the providers: anything that can do these three."""

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
        """Send a request and read the whole answer.

        Args:
            method: in upper case.
            url: complete, its path already quoted.
            headers: complete but for those of HTTP itself.
            body: None for no body.
            timeout_s: for everything, connecting included.
            deadline: instant of `time.monotonic()`, None for no bound but the timeout.

        Raises:
            LLMError: there was no answer; an answer with an error status is a `Reply`.
        """
        ...

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
        """Send a request and wait for the headers; arguments as for `fetch`.

        `timeout_s` bounds the wait for the headers, and then each window of `StreamReply.expect`.

        Raises:
            LLMError: there was no answer.
        """
        ...

    async def close(self) -> None:
        """Close all connections; twice is fine, and a later request opens new ones."""
        ...


class HTTPTransport:
    """Speaks HTTP/1.1 by aiohttp, with one pool for each event loop that it is used on.

    Args:
        name: the provider's, for errors.
        policy: the defaults where None.
    """

    def __init__(self, name: str, policy: TransportPolicy | None = None) -> None:
        self._name = name
        self._policy = policy or TransportPolicy()
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._urls: dict[str, URL] = {}

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
        exchange = await self._exchange(timeout_s, deadline)
        status, reply_headers, content = await exchange.fetch(
            method, self._url(url), headers, body
        )
        return Reply(status, reply_headers, content)

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
        exchange = await self._exchange(timeout_s, deadline)
        return await exchange.open_stream(method, self._url(url), headers, body)

    async def close(self) -> None:
        """Close the pools of all loops; those of other loops without waiting."""
        pools, self._pools = self._pools, {}
        loop = asyncio.get_running_loop()
        for owner, pool in pools.items():
            if owner is loop:
                await pool.close()
            else:
                pool.abandon()

    async def _exchange(self, timeout_s: float, deadline: float | None) -> Exchange:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None or not pool.is_open:
            pool = await self._open_pool(loop)
        return pool.exchange(self._name, timeout_s, deadline)

    async def _open_pool(self, loop: asyncio.AbstractEventLoop) -> Pool:
        from faultmaven.infrastructure.llm.http.pool import Pool

        for owner in [owner for owner in self._pools if owner.is_closed()]:
            self._pools.pop(owner).abandon()
        try:
            pool = self._pools[loop] = Pool(self._policy)
        except OSError as exc:  # an SSLError is one too
            msg = f"{self._name}: `ca_file` in the row cannot be used: {exc.strerror or exc}"
            raise ConfigurationError(msg, provider=self._name, code="invalid_ca_file") from exc
        await pool.tie_to_loop()
        return pool

    def _url(self, url: str) -> URL:
        known = self._urls.get(url)
        if known is None:
            from yarl import URL  # comes with aiohttp

            if len(self._urls) >= _URLS_KEPT:
                self._urls.clear()
            # What is quoted already stays byte for byte: yarl would undo "%2E%2E".
            is_quoted = url.isascii() and url.isprintable() and " " not in url
            known = self._urls[url] = URL(url, encoded=is_quoted)
        return known
