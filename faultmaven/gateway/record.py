"""What is known of one request when it is over: for metrics, logs and whoever listens to events."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.events import CallFinished
from faultmaven.infrastructure.llm.health import UNWATCHED, Passage

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import Usage


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
        outcome: "ok", "cancelled", "incomplete", or the class of the error.
        code: the error's code.
        usage: the token counts, None if unknown.
        estimated: whether they are our own estimate.
        cost_usd: the price, None if unknown.
        first_s: seconds until the first piece of a stream.
        duration_s: seconds until the end.
        passage: what is told how the call ended.
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

    def note_first(self) -> None:
        """Say that the first piece of the stream is on its way to the client."""
        self.first_s = perf_counter() - self.started

    def to_event(self) -> CallFinished:
        """Say it to the rest of the house."""
        usage = self.usage
        source = "none" if usage is None else "estimated" if self.estimated else "provider"
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
            usage_source=source,
            cost_usd=self.cost_usd,
            request_id=self.request_id,
        )
