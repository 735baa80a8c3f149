"""What is known of one request when it is over: for metrics, logs and whoever listens to events."""

from __future__ import annotations

from asyncio import CancelledError
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from faultmaven.gateway.faults import Fault
from faultmaven.infrastructure.llm.events import CallFinished
from faultmaven.infrastructure.llm.health import UNWATCHED, Passage
from faultmaven.infrastructure.llm.types import Usage

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.db.call_store import Row


@dataclass(slots=True)
class Record:
    """One request.

    Attributes:
        request_id: ours.
        front: the API that it came through.
        caller: who asked, never a key.
        started: `perf_counter` at its beginning.
        provider: who answered, or failed last; "" before one was chosen.
        model: that provider's name for the model.
        rule: what chose the provider.
        attempts: tries made.
        streamed: whether a stream was asked for.
        status: what the client was told.
        outcome: "ok", "cancelled", "incomplete", the class of the error, or the kind of the fault.
        code: the error's code.
        usage: the token counts, None if unknown.
        estimated: whether they are our own estimate.
        cost_usd: the price, None if unknown.
        first_s: seconds until the first piece of a stream.
        duration_s: seconds until the end.
        passage: what is told how the call ended.
        began_as: the ledger's number of its beginning, 0 without one.
        request: the body as it came, where contents are kept.
        answer: what the client was sent, where contents are kept.
    """

    request_id: str
    front: str
    caller: str
    started: float
    provider: str = ""
    model: str = ""
    rule: str = ""
    attempts: int = 0
    streamed: bool = False
    status: int = 200
    outcome: str = "ok"
    code: str | None = None
    usage: Usage | None = None
    estimated: bool = False
    cost_usd: float | None = None
    first_s: float | None = None
    duration_s: float = 0.0
    passage: Passage = UNWATCHED
    began_as: int = 0
    request: bytes = b""
    answer: bytes | bytearray = b""

    def note_first(self) -> None:
        """Say that the first piece of the stream is on its way to the client."""
        self.first_s = perf_counter() - self.started

    def ended_by(self, exc: BaseException) -> None:
        """Say what ended it before its time; the client that has gone is told nothing any more.

        One that is told a fault is told the tries with it.
        """
        if isinstance(exc, Fault):
            exc.attempts = self.attempts
            self.outcome, self.status, self.code = exc.kind, exc.status, exc.code
        elif isinstance(exc, CancelledError | ConnectionError | TimeoutError):
            self.outcome, self.status = "cancelled", 499
        else:
            self.outcome, self.status, self.code = "internal", 500, "internal_error"

    @property
    def began_ms(self) -> int:
        """When it began, of a request that has ended: UTC, in milliseconds since 1970."""
        return (time_ns() - int(self.duration_s * 1e9)) // 1_000_000

    @property
    def usage_source(self) -> str:
        """Who says the token counts: provider, estimated, or none."""
        return "none" if self.usage is None else "estimated" if self.estimated else "provider"

    def to_row(self) -> Row:
        """Say it to the ledger, in the order of its columns."""
        usage = self.usage or _NO_USAGE
        return (
            self.began_ms,
            self.request_id,
            self.front,
            self.caller,
            self.provider,
            self.model,
            self.rule,
            self.attempts,
            self.status,
            self.outcome,
            self.code,
            int(self.streamed),
            round(self.duration_s * 1000),
            None if self.first_s is None else round(self.first_s * 1000),
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            self.usage_source,
            self.cost_usd,
        )

    def to_event(self) -> CallFinished:
        """Say it to the rest of the house."""
        usage = self.usage
        return CallFinished(
            provider=self.provider,
            model=self.model or None,
            outcome=self.outcome,
            status=self.status,
            code=self.code,
            attempts=self.attempts,
            streamed=self.streamed,
            duration_ms=round(self.duration_s * 1000),
            first_chunk_ms=None if self.first_s is None else round(self.first_s * 1000),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cache_read_tokens=usage.cache_read_tokens if usage else None,
            cache_write_tokens=usage.cache_write_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            usage_source=self.usage_source,
            cost_usd=self.cost_usd,
            request_id=self.request_id,
        )


_NO_USAGE: Final = Usage()
