"""One connection to a provider: a request out, a response in, one after the other."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final, cast

from faultmaven.gateway.lean.framing import (
    MAX_HEAD_BYTES,
    Chunks,
    EncodingError,
    Head,
    Inflater,
    MalformedError,
    TooLargeError,
)
from faultmaven.infrastructure.llm.errors import (
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.http import failure

if TYPE_CHECKING:
    from faultmaven.gateway.lean.pool import LeanPool

# More than this waits in the kernel, and at the provider, until the client has taken it.
HIGH_WATER_BYTES: Final = 16 * 1024
# What is taken from the kernel at once; the loops' own 256 KiB would be too much for each stream.
READ_BYTES: Final = 32 * 1024

_CLOSED: Final = failure.CLOSED
_RESET: Final = failure.Failure(
    LLMConnectionError,
    "connection_reset",
    "the connection was reset before the answer was whole; try again",
)
_CUT_OFF: Final = failure.Failure(
    LLMConnectionError,
    "answer_cut_off",
    "the connection ended in the midst of the answer; try again",
)
_PROTOCOL: Final = failure.Failure(
    ResponseFormatError,
    "protocol_error",
    "the answer is not valid HTTP; check that the base URL points to the provider's API",
)
_ENCODING: Final = failure.Failure(
    ResponseFormatError,
    "bad_encoding",
    "the answer's compression is broken or unknown; try again, or report it to the provider",
)


class LeanConnection(asyncio.BufferedProtocol):
    """A connection, and the response that it is receiving.

    It is a watch of the pool's watchdog: `expires_at` bounds the present wait.

    Attributes:
        head: of the response, None until it has come.
        is_complete: whether the body has come to its end.
        has_answered: whether any byte of the response came.
        is_lingering: nobody waits for it any more, so that it may end at any time.
        was_used: whether it had served a request before this one.
        idle_since: when it was put back.
    """

    def __init__(self, pool: LeanPool) -> None:
        self._pool = pool
        self.transport: asyncio.Transport | None = None
        self.expires_at = math.inf
        self.was_used = False
        self.idle_since = 0.0
        self.is_broken = False
        self.is_lingering = False
        self._active = False
        self._waiter: asyncio.Future[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.head: Head | None = None
        self.is_complete = False
        self.has_answered = False
        self._error: LLMError | None = None
        self._start = b""
        self._pieces: list[bytes] = []
        self._held = 0
        self._left = 0
        self._chunks: Chunks | None = None
        self._inflater: Inflater | None = None
        self._whole = False
        self._is_paused = False
        self._total = 0
        self._deadline = math.inf
        self._window_s = 0.0
        self._is_overdue = False

    # What the exchange calls.

    def send(self, data: bytes, *, whole: bool, timeout_s: float, deadline: float) -> None:
        """Send a request.

        Args:
            data: head and body.
            whole: do not wake anyone before the whole response has come.
            timeout_s: for the whole response, or for its head.
            deadline: instant that nothing may pass.
        """
        self._reset()
        self._whole = whole
        self._active = True
        self._deadline = deadline
        self.expect(timeout_s)
        assert self.transport is not None
        self.transport.write(data)

    def expect(self, seconds: float) -> None:
        """Open a new window for what is awaited."""
        self._window_s = seconds
        self._is_overdue = False
        self.expires_at = min(time.monotonic() + seconds, self._deadline)
        self._pool.watchdog.add(self)

    async def wait_head(self) -> Head:
        """Wait for the head, or for the whole response if that was asked for.

        Raises:
            LLMError: it did not come.
        """
        while self._error is None:
            head = self.head
            if head is not None and (self.is_complete or not self._whole):
                return head
            await self._wait()
        raise self._error

    async def read(self) -> bytes:
        """Wait for bytes of the body; b"" at its end.

        Raises:
            LLMError: they did not come.
        """
        while not self._pieces:
            if self.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            if self._is_overdue:
                self.expect(self._window_s)
            await self._wait()
        return self.take()

    def take(self) -> bytes:
        """Give the bytes of the body that have come."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._held = 0
        if self._is_paused:
            self._is_paused = False
            if self.transport is not None:
                self.transport.resume_reading()
        return data

    def release(self) -> None:
        """Give the connection back, to be used again if the response is complete."""
        self._pool.watchdog.discard(self)
        self._active = False
        head = self.head
        if (
            self.is_complete
            and head is not None
            and head.keep_alive
            and not self.is_broken
            and self._error is None
        ):
            self.was_used = True
            self._pool.put_back(self)
        else:
            self.abort()
            self._pool.drop(self)

    def abort(self) -> None:
        """Close at once."""
        self.is_broken = True
        if self.transport is not None:
            self.transport.abort()

    def linger(self, seconds: float) -> None:
        """Give the body a moment to end, then let go."""
        if self.is_complete or self._error is not None:
            self.release()
            return
        self._whole = True
        self.is_lingering = True
        self.expect(seconds)

    # What the loop and the watchdog call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give room for bytes: the pool's, for they are taken out of it at once."""
        del sizehint
        return self._pool.room

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes."""
        data = self._pool.room[:nbytes].tobytes()
        if not self._active or self.is_complete:
            # Nobody asked: whatever this is, it must not be taken for the next answer.
            self.abort()
            return
        self.has_answered = True
        try:
            if self.head is None:
                data = self._read_head(data)
            if data:
                self._read_body(data)
        except MalformedError:
            self._fail(_PROTOCOL)
        except EncodingError:
            self._fail(_ENCODING)
        except TooLargeError:
            self._fail(failure.TOO_LARGE)
        self._progress()

    def eof_received(self) -> bool:
        """Take the peer's end."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection, which some bodies end with."""
        self.transport = None
        self.is_broken = True
        if not self._active:
            self._pool.forget(self)
            return
        head = self.head
        if not self.is_complete and self._error is None:
            if head is not None and exc is None and head.length is None and not head.is_chunked:
                self._complete()
            elif self.has_answered:
                self._fail(_CUT_OFF)
            else:
                self._fail(_CLOSED if exc is None else _RESET)
        self._progress()

    def expire(self) -> None:
        """Break the wait off; called by the watchdog."""
        if self.is_lingering:
            self.is_lingering = False
            self.release()
            return
        is_past_deadline = self.expires_at >= self._deadline
        if self._waiter is None and not is_past_deadline:
            self._is_overdue = True  # the client is slow, not the provider
            return
        phase = "headers" if self.head is None else "read"
        timeout = failure.timed_out(self._window_s, phase, by_deadline=is_past_deadline)
        assert issubclass(timeout.kind, LLMTimeoutError)
        self._fail(timeout)
        self._progress()

    # The response.

    def _read_head(self, data: bytes) -> bytes:
        """Take the head, after any interim ones; give what follows."""
        if self._start:
            data = self._start + data
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES or not b"HTTP/1.1 ".startswith(data[:9]):
                    self._check_start(data)
                self._start = data
                return b""
            if end > MAX_HEAD_BYTES:
                raise MalformedError
            head = Head(data[:end])
            data = data[end + 4 :]
            if head.status >= 200:
                break
            if head.status == 101:
                raise MalformedError
        self._start = b""
        self._begin_body(head)
        return data

    def _check_start(self, data: bytes) -> None:
        if len(data) > MAX_HEAD_BYTES or not data.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")):
            raise MalformedError

    def _begin_body(self, head: Head) -> None:
        self.head = head
        encoding = dict.get(head.headers, "content-encoding")
        unusable = failure.unusable_head(head.status, encoding or "")
        if unusable is not None:
            self._fail(unusable)
            return
        if encoding and encoding.strip().lower() != "identity":
            self._inflater = Inflater(encoding, self._pool.policy.max_response_bytes)
        if head.is_chunked:
            self._chunks = Chunks()
        elif head.length is not None:
            self._left = head.length
            if not head.length:
                self.is_complete = True
        if self._whole and head.status >= 400:
            self.expect(min(self._pool.policy.error_body_timeout_s, self._time_left()))

    def _time_left(self) -> float:
        return max(0.0, self.expires_at - time.monotonic())

    def _read_body(self, data: bytes) -> None:
        chunks, head = self._chunks, self.head
        if self._error is not None or head is None:
            return
        if chunks is not None:
            for piece in chunks.feed(data):
                self._keep(piece)
            if chunks.done:
                self._complete()
                if chunks.rest:
                    self.is_broken = True
        elif head.length is not None:
            if len(data) > self._left:
                self.is_broken = True
                data = data[: self._left]
            self._left -= len(data)
            self._keep(data)
            if not self._left:
                self._complete()
        else:
            self._keep(data)

    def _keep(self, piece: bytes) -> None:
        if self._inflater is not None:
            piece = self._inflater.feed(piece)
        if not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        if self._whole:
            self._total += len(piece)
            if self._total > self._pool.policy.max_response_bytes:
                raise TooLargeError
        elif self._held > HIGH_WATER_BYTES and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def _complete(self) -> None:
        if self._inflater is not None:
            self._inflater.finish()
        self.is_complete = True

    def _fail(self, kind: failure.Failure) -> None:
        if self._error is None:
            status = self.head.status if self.head is not None else None
            self._error = kind.error(self._pool.provider, status)
        self.abort()

    def _progress(self) -> None:
        """Wake whoever waits, if what it waits for has come."""
        if self.is_lingering:
            if self.is_complete or self._error is not None:
                self.is_lingering = False
                self.release()
            return
        waiter = self._waiter
        if waiter is None:
            return
        if self._whole and not self.is_complete and self._error is None:
            return
        self._waiter = None
        if not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._pool.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
