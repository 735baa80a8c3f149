"""What became of the gateway's calls, told to whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call ended, well or not; exactly one is published for each call.

    Attributes:
        provider: the row that answered, or failed last; "" where none was chosen.
        model: that provider's name for the model, None where none was chosen.
        outcome: "ok", "cancelled", "incomplete", the class of the error, or the kind of the fault.
        status: what the client was told.
        code: the error's code, None without one.
        attempts: tries made, retries and fallbacks included.
        streamed: whether a stream was asked for.
        duration_ms: wall time of the whole call.
        first_chunk_ms: wall time until the first piece of a stream, None otherwise.
        input_tokens: whole prompt, cached tokens included; None if unknown.
        output_tokens: whole answer, reasoning included; None if unknown.
        cache_read_tokens: of the input, read from the provider's cache.
        cache_write_tokens: of the input, written to it.
        reasoning_tokens: of the output.
        usage_source: "provider", "estimated" or "none".
        cost_usd: the price, None if unknown.
        request_id: the gateway's, which the client is told.
    """

    provider: str
    model: str | None
    outcome: str = "ok"
    status: int = 200
    code: str | None = None
    attempts: int = 1
    streamed: bool = False
    duration_ms: int = 0
    first_chunk_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str = "none"
    cost_usd: float | None = None
    request_id: str = ""


Listener: TypeAlias = Callable[[CallFinished], None]

_listeners: tuple[Listener, ...] = ()


def subscribe(listener: Listener) -> Callable[[], None]:
    """Tell `listener` of every call that ends from now on; call what is returned to stop.

    A listener runs on the event loop, at the end of the call: it must not block.
    """
    global _listeners  # noqa: PLW0603  # a tuple that is replaced, so that publishing needs no lock
    subscription: list[Listener] = [listener]
    _listeners = (*_listeners, listener)

    def unsubscribe() -> None:
        global _listeners  # noqa: PLW0603  # as above
        if subscription:
            subscription.clear()
            remaining = list(_listeners)
            remaining.remove(listener)
            _listeners = tuple(remaining)

    return unsubscribe


def has_listeners() -> bool:
    """Say whether an event would reach anyone, so that it need not be made if not."""
    return bool(_listeners)


def publish(event: CallFinished) -> None:
    """Tell every listener; what one of them raises is logged and stops neither call nor listeners."""
    for listener in _listeners:
        try:
            listener(event)
        except Exception:  # a listener's fault must not become the call's
            logger.exception("a listener failed on %s", type(event).__name__)
