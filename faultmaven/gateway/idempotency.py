"""`Idempotency-Key`: the same request sent twice is answered once, and the answer given again.

Answers are kept in this process for a day, the least recently used ones forgotten first.  The statuses
are those of the IETF's draft on the header (draft-ietf-httpapi-idempotency-key-header-06, read
2026-11-21): 409 while the first request runs, 422 for another body.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.faults import Fault, fault_of, invalid
from faultmaven.infrastructure.llm import errors as llm
from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.gateway.record import Record
    from faultmaven.gateway.tally import Tally
    from faultmaven.infrastructure.llm.retry import Clock

HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 255
MAX_ENTRIES: Final = 1000
MAX_BYTES: Final = 64 * 1024 * 1024
KEPT_S: Final = 86400.0
_REPLAYED: Final = "idempotent-replayed: true\r\n"
# What is true of the first answer only: limits go on, and giving it again costs nothing.
_OF_THE_FIRST: Final = ("x-ratelimit-", "x-faultmaven-cost-usd:")
# What an entry takes beside its body, roughly.
_ENTRY_BYTES: Final = 1024

# Who asks, and the key.
Scope = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, good or bad, to be given again.

    Attributes:
        answer: status, body, content type, and header lines without the request's id.
        fault: the error in its place, None for an answer.
    """

    answer: tuple[int, bytes, str, str] | None = None
    fault: Fault | None = None

    @classmethod
    def of_answer(cls, answer: Answer, request_id: str) -> Kept:
        """Keep an answer."""
        lines = answer.fields.replace(id_line(request_id), "", 1).splitlines(keepends=True)
        own = "".join(line for line in lines if not line.startswith(_OF_THE_FIRST))
        return cls((answer.status, answer.body, answer.content_type, own))

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, roughly."""
        return _ENTRY_BYTES + (len(self.answer[1]) if self.answer is not None else 0)

    def replay(self, request_id: str) -> Answer:
        """Give the answer again.

        Raises:
            Fault: it was an error.
        """
        if self.fault is not None:
            raise replace(self.fault, fields=self.fault.fields + _REPLAYED)
        assert self.answer is not None
        status, body, content_type, fields = self.answer
        return Answer(status, body, content_type, id_line(request_id) + fields + _REPLAYED)


@dataclass(slots=True)
class _Entry:
    digest: bytes
    until: float
    kept: Kept


class Replays:
    """What has been answered under which key.

    Args:
        tally: what counts it.
        clock: the time.
        max_entries: how many answers are kept.
        max_bytes: how large together.
    """

    def __init__(
        self,
        tally: Tally,
        clock: Clock = SYSTEM_CLOCK,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._tally = tally
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._running: dict[Scope, bytes] = {}
        self._entries: OrderedDict[Scope, _Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, scope: Scope, digest: bytes) -> Kept | None:
        """Begin a request; give what was answered to it before, None where it must be answered.

        `end` must be called where None was given.

        Raises:
            Fault: the key is no key, belongs to another request, or that is still running.
        """
        _check_key(scope[1])
        running = self._running.get(scope)
        if running is not None:
            raise self._in_flight() if running == digest else self._mismatch()
        entry = self._entries.get(scope)
        if entry is not None and entry.until < self._clock.monotonic():
            self._forget(scope)
            entry = None
        if entry is None:
            self._running[scope] = digest
            return None
        if entry.digest != digest:
            raise self._mismatch()
        self._entries.move_to_end(scope)
        self._tally.replayed += 1
        return entry.kept

    async def answer_once(
        self, scope: Scope, digest: bytes, record: Record, answer: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Answer a request that may have been answered before, or may come again.

        Args:
            scope: who asks, and the key.
            digest: see `digest_of`.
            record: of the request; is told where the answer is given again.
            answer: gives it the first time.

        Raises:
            Fault: see `begin`; or the request failed before.
            LLMError: it fails.
        """
        kept = self.begin(scope, digest)
        if kept is not None:
            record.rule = "replayed"
            return kept.replay(record.request_id)
        try:
            answered = await answer()
            if not record.streamed and _is_worth_keeping(answered.status):
                kept = Kept.of_answer(answered, record.request_id)
        except llm.LLMError as error:
            if may_have_run(error) and not record.streamed:
                kept = Kept(fault=fault_of(error))
            raise
        finally:
            self.end(scope, kept)
        return answered

    def end(self, scope: Scope, kept: Kept | None) -> None:
        """End a request; its answer is kept, None is forgotten."""
        digest = self._running.pop(scope)
        if kept is None or kept.size_bytes > self._max_bytes:
            return
        self._entries[scope] = _Entry(digest, self._clock.monotonic() + KEPT_S, kept)
        self._bytes += kept.size_bytes
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    def _forget(self, scope: Scope) -> None:
        self._bytes -= self._entries.pop(scope).kept.size_bytes

    def _in_flight(self) -> Fault:
        self._tally.rejected["idempotency_in_flight"] += 1
        message = (
            "A request with this Idempotency-Key is being answered. Try again when it has been."
        )
        return Fault(
            409, "invalid_request", "idempotency_in_flight", message, HEADER, retry_after_s=1
        )

    def _mismatch(self) -> Fault:
        self._tally.rejected["idempotency_mismatch"] += 1
        message = "This Idempotency-Key was used with another request. Take a new one."
        return Fault(
            422, "invalid_request", "idempotency_mismatch", message, HEADER, should_retry=False
        )


def digest_of(path: str, body: bytes) -> bytes:
    """Give what tells one request from another."""
    hasher = hashlib.sha256(path.encode("utf-8", "surrogateescape"))
    hasher.update(b"\0")
    hasher.update(body)
    return hasher.digest()


def may_have_run(error: llm.LLMError | None) -> bool:
    """Tell whether a provider may have worked on what has failed in the end.

    It has not where every one of them declined, could not be reached, or was not asked.
    """
    if error is None:
        return False
    if isinstance(error, llm.AllProvidersFailedError):
        return any(may_have_run(one) for one in error.errors)
    # Of the tries before the last only outcome and status are known.
    if any(t.outcome not in _DECLINED_NAMES for t in error.attempts[:-1] if t.status not in _BUSY):
        return True
    if isinstance(error, _DECLINED) or error.status in _BUSY:
        return False
    return error.code not in _NOT_REACHED


def _is_worth_keeping(status: int) -> bool:
    """Tell an answer, or a failure that may have done something, from a refusal."""
    return status < 400 or (status >= 500 and status not in _BUSY)


def id_line(request_id: str) -> str:
    """Give the header line of a request's id."""
    return f"x-request-id: {request_id}\r\n"


_DECLINED: Final = (
    llm.AuthenticationError,
    llm.ConfigurationError,
    llm.InvalidRequestError,
    llm.ModelNotFoundError,
    llm.OverloadedError,
    llm.PermissionDeniedError,
    llm.RateLimitError,
)
_DECLINED_NAMES: Final = frozenset(kind.__name__ for kind in _DECLINED)
_BUSY: Final = (503, 529)
_NOT_REACHED: Final = frozenset(
    {
        "connect_failed",
        "connect_refused",
        "connect_timeout",
        "dns_failure",
        "pool_timeout",
        "proxy_unreachable",
        "tls_error",
        "tls_handshake_failed",
    }
)


def _check_key(text: str) -> None:
    if not text or len(text) > MAX_KEY_CHARS or not (text.isascii() and text.isprintable()):
        message = f"{HEADER} must have 1 to {MAX_KEY_CHARS} printable characters of ASCII."
        raise invalid(message, HEADER)
