"""One request and its answer on a pool's connection, within one time; import it late."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import aiohttp

from faultmaven.infrastructure.llm.http import failure
from faultmaven.infrastructure.llm.http.stream_reply import HTTPStreamReply
from faultmaven.infrastructure.llm.http.watchdog import TaskWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.http.policy import TransportPolicy
    from faultmaven.infrastructure.llm.http.pool import Pool

_HEADERS, _READ = "headers", "read"


class Exchange(TaskWatch):
    """Sends a request and reads its answer; one object for one request.

    Args:
        provider: the name for errors.
        pool: where connections come from.
        policy: the limits.
        timeout_s: for the whole answer, or for the headers of a stream.
        deadline: instant of `time.monotonic()`, None for none.

    Raises:
        LLMError: the deadline has passed already.
    """

    __slots__ = ("_deadline", "_policy", "_pool", "_provider", "_timeout_s")

    def __init__(
        self,
        provider: str,
        pool: Pool,
        policy: TransportPolicy,
        timeout_s: float,
        deadline: float | None,
    ) -> None:
        now = time.monotonic()
        self._deadline = math.inf if deadline is None else deadline
        super().__init__(min(now + timeout_s, self._deadline))
        self._provider = provider
        self._pool = pool
        self._policy = policy
        self._timeout_s = timeout_s
        if self.expires_at <= now:
            raise self._timed_out(_HEADERS)

    async def fetch(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Give status, headers and the whole body.

        Raises:
            LLMError: there was no whole answer.
        """
        try:
            response = await self._open(method, url, headers, body)
            try:
                if response.status >= 400:
                    content = await self._read_error(response)
                else:
                    content = await self._read(response.content)
            except BaseException as exc:
                response.close()
                error = self._error_for(exc, _READ)
                if error is None:
                    raise
            else:
                return response.status, response.headers, content
        finally:
            self._pool.watchdog.discard(self)
        raise error

    async def open_stream(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> HTTPStreamReply:
        """Give the answer as soon as its headers are there.

        Raises:
            LLMError: there was no answer.
        """
        try:
            response = await self._open(method, url, headers, body)
        finally:
            self._pool.watchdog.discard(self)
        return HTTPStreamReply(
            self._provider, self._pool, self._policy, response, self._timeout_s, self._deadline
        )

    async def _open(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        self._pool.watchdog.add(self)
        try:
            response = await self._pool.request(method, url, headers, body)
        except BaseException as exc:
            error = self._error_for(exc, _HEADERS)
            if error is None:
                raise
        else:
            encoding = response.headers.get("Content-Encoding", "")
            unusable = failure.unusable_head(response.status, encoding)
            if unusable is None:
                return response
            response.close()
            error = unusable.error(self._provider, response.status)
        raise error

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        limit = self._policy.max_response_bytes
        data = await content.readany()
        if content.at_eof() and len(data) <= limit:
            return data
        parts = [data]
        size = len(data)
        while size <= limit and (data := await content.readany()):
            parts.append(data)
            size += len(data)
        if size > limit:
            raise failure.TOO_LARGE.error(self._provider)
        return b"".join(parts)

    async def _read_error(self, response: aiohttp.ClientResponse) -> bytes:
        """Read what comes in time of an error's body: the status alone must do if nothing does."""
        self.expires_at = min(
            self.expires_at, time.monotonic() + self._policy.error_body_timeout_s
        )
        self._pool.watchdog.add(self)
        parts: list[bytes] = []
        size = 0
        try:
            while size < self._policy.max_error_bytes and (
                data := await response.content.readany()
            ):
                parts.append(data)
                size += len(data)
        except asyncio.CancelledError:
            if not self.settle():
                raise
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass  # the status is known, and it is the error that matters
        if not response.content.at_eof():
            response.close()
        return b"".join(parts)[: self._policy.max_error_bytes]

    def _error_for(self, exc: BaseException, phase: str) -> LLMError | None:
        """Give the error to raise instead, None to let the exception pass."""
        if self.fired and self.settle():
            return self._timed_out(phase)
        return failure.explain(exc, self._provider, is_full=self._pool.is_full)

    def _timed_out(self, phase: str) -> LLMError:
        by_deadline = self.expires_at >= self._deadline
        return failure.timed_out(self._timeout_s, phase, by_deadline=by_deadline).error(
            self._provider
        )
