"""Whether providers answer: a few at a time, each within its limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import LLMError, LLMTimeoutError, ResponseFormatError
from faultmaven.infrastructure.llm.providers.base import elapsed_ms
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

LIMIT_S = 10.0
AT_ONCE = 8
_QUESTION = "Answer with the word OK."
_MAX_TOKENS = 16  # the fewest that every provider accepts


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying one provider; `latency_ms` is None where nothing was sent."""

    provider: str
    ok: bool
    latency_ms: int | None
    model: str | None
    error: str = ""


async def try_all(
    registry: ProviderRegistry, names: Sequence[str], *, key_only: bool, limit_s: float = LIMIT_S
) -> list[Trial]:
    """Try providers, at most `AT_ONCE` at the same time; the results come in the order of names."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Trial:
        async with places:
            return await _try(registry, name, key_only=key_only, limit_s=limit_s)

    async with registry:
        return list(await asyncio.gather(*map(one, names)))


async def _try(registry: ProviderRegistry, name: str, *, key_only: bool, limit_s: float) -> Trial:
    try:
        provider = registry.get_provider(name)
    except LLMError as error:
        return Trial(name, ok=False, latency_ms=None, model=None, error=error.message)
    model = provider.get_effective_model(None)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(limit_s):
            problem = await (_check_key(provider) if key_only else _ask(provider, limit_s))
    except TimeoutError:
        problem = f"{name}: no answer within {limit_s:g} s."
    model = (
        provider.get_effective_model(None) or model
    )  # a local one may have been found meanwhile
    return Trial(name, not problem, elapsed_ms(started), model, problem)


async def _check_key(provider: BaseLLMProvider) -> str:
    return (await provider.check_key()).reason


async def _ask(provider: BaseLLMProvider, limit_s: float) -> str:
    """Ask for an answer; give what is wrong, "" for nothing."""
    question = [LLMMessage(role="user", content=_QUESTION)]
    request = LLMRequest(question, max_tokens=_MAX_TOKENS, temperature=None, timeout=limit_s)
    try:
        await provider.complete(request)
    except ResponseFormatError as error:
        # A model that only thought in its few tokens did answer.
        return "" if error.code == "empty_response" else error.message
    except LLMTimeoutError:
        return f"{provider.provider_name}: no answer within {limit_s:g} s."
    except LLMError as error:
        return error.message
    return ""
