"""Asking a plan's targets in their order, until one answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from faultmaven.infrastructure.llm.errors import (
    AllProvidersFailedError,
    ContentFilterError,
    InvalidRequestError,
    LLMError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
) -> tuple[BaseLLMProvider, Found]:
    """Ask the targets in order until one answers.

    Raises:
        LLMError: none did, or the request itself is wrong.
    """
    errors: list[LLMError] = []
    for target in plan.targets:
        record.provider, record.model = target.provider, target.model or ""
        record.rule = "fallback" if errors else plan.rule
        try:
            provider = gateway.get_provider(target.provider)
            found = await ask_one(provider, target)
        except LLMError as error:
            errors.append(error)
            record.attempts += len(error.attempts)
            is_over = deadline is not None and time.monotonic() >= deadline
            if is_over or isinstance(error, InvalidRequestError | ContentFilterError):
                break
        else:
            record.model = found.model
            record.attempts += len(found.route.attempts) or 1
            return provider, found
    raise _together(errors)


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
