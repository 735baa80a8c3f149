"""Asking a plan's targets in their order, until one answers."""

from __future__ import annotations

import time
from asyncio import CancelledError
from typing import TYPE_CHECKING, TypeVar

from faultmaven.infrastructure.llm.errors import (
    AllProvidersFailedError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    LLMError,
)
from faultmaven.infrastructure.llm.providers.chain import Chain, count_tries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.gateway.admission import Ticket
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.opened import Opened, Whole
    from faultmaven.gateway.record import Record
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.router.names import Plan, Target

    Found = TypeVar("Found", "Whole", "Opened")


async def first_good(
    gateway: Gateway,
    plan: Plan,
    deadline: float | None,
    record: Record,
    ask_one: Callable[[BaseLLMProvider, Target], Awaitable[Found]],
    ticket: Ticket,
) -> tuple[BaseLLMProvider, Found]:
    """Ask the targets in order until one answers; who keeps failing is left out for a while.

    The record gets the passage of the target that answers; `settle` tells it how the call ended.

    Raises:
        LLMError: none did, or the request itself is wrong.
    """
    errors: list[LLMError] = []
    windows = _Windows()
    chain = Chain(gateway.registry.circuits, plan.targets)
    while (target := chain.next()) is not None:
        record.provider, record.model = target.provider, target.model or ""
        record.rule = plan.rule if target is plan.targets[0] else "fallback"
        try:
            provider = gateway.get_provider(target.provider)
            if not windows.may_fit(provider, target):
                continue
            is_last = target is plan.targets[-1]
            ticket.choose(target.provider, provider.config.row, is_last=is_last)
            turn = chain.enter(target.provider, provider, target.model)
            if turn is None:
                continue
            with turn:
                try:
                    found = await ask_one(provider, target)
                except CancelledError:
                    record.attempts += turn.made
                    raise
        except LLMError as error:
            errors.append(error)
            ticket.drop(count_tries(error.attempts))
            record.attempts += count_tries(error.attempts)
            is_over = deadline is not None and time.monotonic() >= deadline
            if is_over or windows.is_final(error, gateway, target):
                break
        else:
            turn.passage.began()
            record.passage = turn.passage
            _note(found, record, gateway)
            return provider, found
    try:
        raise _together(errors)
    finally:
        # The error's traceback holds this frame, and what is held in a circle waits for the collector.
        errors.clear()


def _note(found: Whole | Opened, record: Record, gateway: Gateway) -> None:
    """Write down what has answered, and how."""
    record.model = found.model
    record.attempts += len(found.route.attempts) or 1
    if found.route.oddity:
        gateway.meter.note_oddity(record.provider, found.route.oddity)


class _Windows:
    """Remembers which window a prompt was too long for: only a larger one is worth asking."""

    def __init__(self) -> None:
        self._too_small = 0

    def may_fit(self, provider: BaseLLMProvider, target: Target) -> bool:
        """Tell whether the prompt may fit; where it was refused, only a window known as larger will do."""
        if not self._too_small:
            return True
        return (provider.get_context_window(target.model) or 0) > self._too_small

    def is_final(self, error: LLMError, gateway: Gateway, target: Target) -> bool:
        """Tell whether every other target would refuse the request, too."""
        if not isinstance(error, ContextLengthError):
            return isinstance(error, InvalidRequestError | ContentFilterError)
        known = gateway.get_provider(target.provider).get_context_window(target.model)
        self._too_small = max(self._too_small, error.limit_tokens or known or 0)
        return not self._too_small


def settle(record: Record) -> None:
    """Tell the circuit of whoever answered that the call is over; a client that left counts as nothing."""
    if record.outcome == "ok":
        record.passage.succeeded()
    else:
        record.passage.released()


def _together(errors: list[LLMError]) -> LLMError:
    if len(errors) == 1:
        return errors[0]
    told = " ".join(f"({place}) {error.message}" for place, error in enumerate(errors, 1))
    return AllProvidersFailedError(
        f"All {len(errors)} providers failed: {told}",
        attempts=tuple(attempt for error in errors for attempt in error.attempts),
        errors=tuple(errors),
        code="all_providers_failed",
    )
