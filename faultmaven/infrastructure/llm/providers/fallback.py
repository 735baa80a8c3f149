"""One call through a chain of providers: the next one answers where one fails.

A caller's own mistake is not repeated elsewhere, and a stream changes provider only before its first
piece.  One deadline and one number of tries hold for the whole chain; a provider that keeps failing is
left out for a while.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import (
    AllProvidersFailedError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
)
from faultmaven.infrastructure.llm.health import UNWATCHED, Circuits
from faultmaven.infrastructure.llm.providers.chain import Chain
from faultmaven.infrastructure.llm.types import Attempt, Route

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse

    Prompt = str | Iterable[Mapping[str, Any]]


@dataclass(slots=True)
class ChainCall:
    """What is asked of a chain.

    Attributes:
        chain: names, in the order they are asked.
        provider_of: gives the instance; may raise LLMError.
        prompt: text or messages.
        model: for the first provider, and for others that know it; None is each one's own.
        options: further arguments of `generate`.
        timeout_s: for everything together; None is no bound but the providers' own.
        confidence_threshold: answers below it are kept, and given only where nothing better comes.
        circuits: who is left out for now.
    """

    chain: Sequence[str]
    provider_of: Callable[[str], BaseLLMProvider]
    prompt: Prompt
    model: str | None
    options: dict[str, Any]
    timeout_s: float | None = None
    confidence_threshold: float | None = None
    circuits: Circuits = field(default_factory=Circuits)
    attempts: list[Attempt] = field(default_factory=list)
    errors: list[LLMError] = field(default_factory=list)
    # Windows up to this have been too small for the prompt.
    small_window: int = 0


async def generate_with_fallback(call: ChainCall) -> LLMResponse:
    """Give the first good answer of a chain.

    Raises:
        AllProvidersFailedError: every provider of several failed.
        LLMError: the only one failed, or the request itself is wrong.
    """
    deadline = _Deadline(call.timeout_s)
    chain = Chain(call.circuits, call.chain)
    best: LLMResponse | None = None
    while (name := chain.next()) is not None:
        begun = perf_counter()
        model = call.model
        try:
            provider = call.provider_of(name)
            model = _model_for(provider, call, name)
            if not _may_fit(provider, model, call):
                continue
            turn = chain.enter(name, provider, model)
            if turn is None:
                continue
            with turn:
                async with deadline.kept(provider):
                    prompt, options = provider._as_arguments(call.prompt, call.options)  # noqa: SLF001
                    response = await provider.generate(prompt, model=model, **options)
            turn.passage.succeeded()
        except LLMError as exc:
            _note(call, name, model, exc, begun)
            if _is_final(exc, call) or deadline.is_over():
                break
            continue
        _give_receipt(call, response, name, begun)
        if call.confidence_threshold is None or response.confidence >= call.confidence_threshold:
            return response
        best = response if best is None or response.confidence > best.confidence else best
    if best is not None:
        return best
    raise _failure(call)


async def stream_with_fallback(call: ChainCall) -> AsyncGenerator[LLMChunk]:
    """Give the pieces of the first answer that begins.

    Raises:
        AllProvidersFailedError: none of several began.
        LLMError: the only one failed, the request is wrong, or a stream broke after its beginning.
    """
    deadline = _Deadline(call.timeout_s)
    chain = Chain(call.circuits, call.chain)
    while (name := chain.next()) is not None:
        begun = perf_counter()
        model, started, passage = call.model, False, UNWATCHED
        try:
            provider = call.provider_of(name)
            model = _model_for(provider, call, name)
            if not _may_fit(provider, model, call):
                continue
            turn = chain.enter(name, provider, model)
            if turn is None:
                continue
            passage = turn.passage
            with turn:
                prompt, options = provider._as_arguments(call.prompt, call.options)  # noqa: SLF001
            async with aclosing(provider.stream(prompt, model=model, **options)) as chunks:
                with turn:
                    chunk = await _next(chunks, deadline, provider)
                passage.began()
                while chunk is not None:
                    started = True
                    yield chunk
                    chunk = await _next(chunks, deadline, provider)
                passage.succeeded()
                return
        except LLMError as exc:
            _note(call, name, model, exc, begun)
            if started:
                passage.failed(exc)
                exc.attempts = tuple(call.attempts)
                raise
            if _is_final(exc, call) or deadline.is_over():
                break
    raise _failure(call)


async def _next(
    chunks: AsyncGenerator[LLMChunk], deadline: _Deadline, provider: BaseLLMProvider
) -> LLMChunk | None:
    async with deadline.kept(provider):
        return await anext(chunks, None)


class _Deadline:
    """The instant at which a whole chain must have answered."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._at = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s

    def is_over(self) -> bool:
        return self._at is not None and asyncio.get_running_loop().time() >= self._at

    @asynccontextmanager
    async def kept(self, provider: BaseLLMProvider) -> AsyncIterator[None]:
        """Turn whatever a provider raises into an LLMError; end it at the deadline."""
        try:
            async with asyncio.timeout_at(self._at):
                yield
        except LLMError:
            raise
        except Exception as exc:
            raise self._as_llm_error(provider, exc) from exc

    def _as_llm_error(self, provider: BaseLLMProvider, exc: Exception) -> LLMError:
        if isinstance(exc, TimeoutError) and self.is_over():
            name = provider.provider_name
            return LLMTimeoutError(
                f"{name}: no answer within the call's {self._timeout_s:g} s.",
                provider=name,
                code="deadline_exceeded",
            )
        return provider._wrap_error(exc)  # noqa: SLF001 - what a class of somebody's own raised


def _model_for(provider: BaseLLMProvider, call: ChainCall, name: str) -> str | None:
    """Pass the caller's model to the first provider, and to others that have it."""
    if (
        call.model is None
        or name == call.chain[0]
        or call.model in provider.get_supported_models()
    ):
        return call.model
    return None


def _may_fit(provider: BaseLLMProvider, model: str | None, call: ChainCall) -> bool:
    """Tell whether a prompt that was too long elsewhere may fit here: in a window known as larger."""
    if not call.small_window:
        return True
    return (provider.get_context_window(model) or 0) > call.small_window


def _is_final(error: LLMError, call: ChainCall) -> bool:
    """Tell whether another provider would only refuse the same request again."""
    if isinstance(error, ContextLengthError):
        call.small_window = max(call.small_window, _window_of(error, call) or 0)
        return not call.small_window
    if isinstance(error, ModelNotFoundError):
        return call.model is not None
    return isinstance(error, (InvalidRequestError, ContentFilterError))


def _window_of(error: ContextLengthError, call: ChainCall) -> int | None:
    """Give the window that was too small, as the error or what is known of the model says."""
    if error.limit_tokens is not None or error.provider is None:
        return error.limit_tokens
    return call.provider_of(error.provider).get_context_window(error.model)


def _note(call: ChainCall, name: str, model: str | None, error: LLMError, begun: float) -> None:
    error.provider = error.provider or name
    own = list(error.attempts) or [
        Attempt(name, error.model or model or "", type(error).__name__, _ms(begun), error.status)
    ]
    call.attempts += own
    call.errors.append(error)


def _give_receipt(call: ChainCall, response: LLMResponse, name: str, begun: float) -> None:
    route = response.route or Route()
    own = route.attempts or [Attempt(name, response.model, "ok", _ms(begun))]
    call.attempts += own
    rule = "CHAT_PROVIDER" if name == call.chain[0] else "fallback"
    response.route = Route(rule, list(call.attempts), route.unsupported)


def _failure(call: ChainCall) -> LLMError:
    last = call.errors[-1]
    if len(call.errors) == 1:
        last.attempts = tuple(call.attempts)
        return last
    told = "\n".join(f"- {error.message}" for error in call.errors)
    failure = AllProvidersFailedError(
        f"All {len(call.errors)} providers failed:\n{told}",
        attempts=tuple(call.attempts),
        errors=tuple(call.errors),
        code="all_providers_failed",
        retryable=any(error.retryable for error in call.errors),
    )
    failure.__cause__ = last
    return failure


def _ms(begun: float) -> int:
    return max(1, round((perf_counter() - begun) * 1000))
