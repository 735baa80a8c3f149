"""What happened to calls, told to whoever listens: ledger, metrics, logs and health are listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One try at one provider failed.

    Attributes:
        provider: the row's name.
        model: the model asked for, None where the provider's own default was left to it.
        error: the class name of the error.
        code: the error's code, None if it has none.
        status: the HTTP status, None where there was none.
        duration_ms: wall time of the try.
        retry_in_s: seconds until the same provider is tried again, None if it is not.
        request_id: the provider's id of the request, None if it gave none.
    """

    provider: str
    model: str | None
    error: str
    code: str | None = None
    status: int | None = None
    duration_ms: int = 0
    retry_in_s: float | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call ended, well or not; exactly one is published for each call.

    Attributes:
        provider: the row that answered, or failed last.
        model: the model that answered, or was asked for.
        outcome: "ok", "cancelled", "incomplete" or the class name of the error.
        status: the HTTP status, None where there was none.
        code: the error's code, None without one.
        attempts: tries made, retries and fallbacks included.
        streamed: whether the answer was a stream.
        cached: whether the answer came from our own cache.
        duration_ms: wall time of the whole call.
        first_chunk_ms: wall time until the first content of a stream, None otherwise.
        input_tokens: whole prompt, cached tokens included; None if unknown.
        output_tokens: whole answer, reasoning included; None if unknown.
        cache_read_tokens: of the input, read from the provider's cache.
        cache_write_tokens: of the input, written to it.
        reasoning_tokens: of the output.
        usage_source: "provider", "estimated" or "none".
        cost_usd: the price, None if unknown.
        request_id: the provider's id of the request, None if it gave none.
    """

    provider: str
    model: str | None
    outcome: str = "ok"
    status: int | None = None
    code: str | None = None
    attempts: int = 1
    streamed: bool = False
    cached: bool = False
    duration_ms: int = 0
    first_chunk_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str = "none"
    cost_usd: float | None = None
    request_id: str | None = None


Event: TypeAlias = AttemptFailed | CallFinished
Listener: TypeAlias = Callable[[Event], None]

_listeners: tuple[Listener, ...] = ()


def subscribe(listener: Listener) -> Callable[[], None]:
    """Tell `listener` of every event from now on; call what is returned to stop.

    A listener runs on the caller's thread, in the midst of the call: it must not block.
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


def publish(event: Event) -> None:
    """Tell every listener; what one of them raises is logged and stops neither call nor listeners."""
    for listener in _listeners:
        try:
            listener(event)
        except Exception:  # a listener's fault must not become the call's
            logger.exception("a listener failed on %s", type(event).__name__)
