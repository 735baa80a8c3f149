"""What every provider is.

`BaseLLMProvider` is all that a custom provider needs to extend: with its four abstract members it has
streaming, request objects, error wrapping, cost and clean-up.  A provider that speaks HTTP extends
`HTTPProvider` instead, which adds transport, retries and real streams.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from abc import ABC, abstractmethod
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, ClassVar, Self

from faultmaven.infrastructure.llm.catalog import get_catalog
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
    ServerError,
)
from faultmaven.infrastructure.llm.pricing import Cost, price_call
from faultmaven.infrastructure.llm.providers.config import ProviderConfig, make_provider_config
from faultmaven.infrastructure.llm.providers.remedy import explain
from faultmaven.infrastructure.llm.secret import redact, remember_secret
from faultmaven.infrastructure.llm.tokens import count_prompt_tokens
from faultmaven.infrastructure.llm.types import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    ChatRequest,
    ChatResponse,
    EmbeddingResponse,
    LLMChunk,
    LLMMessage,
    LLMRequest,
    LLMResponse,
    Usage,
)
from faultmaven.infrastructure.llm.wire.answer import chunk_of
from faultmaven.infrastructure.llm.wire.context_window import find_window
from faultmaven.infrastructure.llm.wire.errors import parse_error
from faultmaven.infrastructure.llm.wire.estimate import estimate_prompt_tokens
from faultmaven.infrastructure.llm.wire.transcript import transcript_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from faultmaven.infrastructure.llm.catalog import Catalog, ModelInfo

    Prompt = str | Iterable[Mapping[str, Any]]

__all__ = [
    "BaseLLMProvider",
    "ChatRequest",
    "ChatResponse",
    "EmbeddingResponse",
    "KeyCheck",
    "LLMChunk",
    "LLMError",
    "LLMMessage",
    "LLMRequest",
    "LLMResponse",
    "ProviderConfig",
]

logger = logging.getLogger("faultmaven.providers")

_STATUS_IN_TEXT = re.compile(r"\b(?:error|status|http)\D{0,12}([45]\d\d)\b", re.IGNORECASE)

# What HTTP clients raise for a broken connection (aiohttp's, httpx's), by name: neither is imported here.
_CONNECTION_ERRORS = frozenset({"ClientConnectionError", "TransportError"})

KEY_CHECK_TIMEOUT_S = 10.0

# When the call of the running task began; one value a task, so that calls side by side don't mix.
_call_started: ContextVar[float] = ContextVar("faultmaven_call_started")


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Whether a key works, and if not, why."""

    ok: bool
    reason: str = ""


class BaseLLMProvider(ABC):
    """One provider, ready to be called.

    Subclasses must define `provider_name`, `is_available`, `get_supported_models` and `generate`.

    Args:
        config: what the registry resolved from the row; a mapping with the same names works too
            (`api_base` for `base_url` and `default_model` for the first of `models` are understood).
        **settings: single settings in place of, or on top of, `config`.

    Raises:
        ConfigurationError: a setting has an unknown name.
    """

    # Whether `generate` says that its prompt is text; it is then given no messages.
    _takes_text_only: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls).get("calculate_cost")
        if inspect.isfunction(own):
            cls.calculate_cost = _with_cache_counts(own)  # type: ignore[method-assign]
        if generate := vars(cls).get("generate"):
            prompt = getattr(generate, "__annotations__", {}).get("prompt")
            cls._takes_text_only = prompt in (str, "str")

    def __init__(
        self, config: ProviderConfig | Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self.config = make_provider_config(config, settings)
        self.api_key = self.config.api_key
        if self.api_key:
            remember_secret(self.api_key)
        self._known_models: dict[str, ModelInfo | None] = {}
        self._catalog: Catalog | None = None

    @property
    @abstractmethod
    def provider_name(self) -> str:
        """The provider's unique name, lower case."""

    @abstractmethod
    def is_available(self) -> bool:
        """Tell whether everything that a call needs is configured; asks nobody."""

    @abstractmethod
    def get_supported_models(self) -> list[str]:
        """Give the configured models, the default one first; a new list each time."""

    def get_models(self) -> list[str]:
        """Give the models that the class knows; one that knows some of itself overrides it."""
        return list(self.config.models)

    def get_default_model(self) -> str:
        """Give the model that answers where neither call nor configuration names one, "" for none."""
        return next(iter(self.config.models or self.get_models()), "")

    @abstractmethod
    async def generate(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> LLMResponse:
        """Answer a prompt or a conversation.

        Args:
            prompt: text, or OpenAI-shaped messages.
            model: the provider's name for a model; None is the configured one.
            max_tokens: bound of the answer; None sends none.
            temperature: 0 is 0; None sends none.
            **kwargs: the other options of `LLMRequest`; anything else goes into the provider's body.

        Raises:
            LLMError: one of its subclasses, see `faultmaven.infrastructure.llm.errors`.
        """

    async def stream(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> AsyncGenerator[LLMChunk, None]:
        """Answer piece by piece; arguments and errors as for `generate`.

        A provider that cannot stream gives its whole answer as one piece.
        """
        response = await self.generate(
            prompt, model=model, max_tokens=max_tokens, temperature=temperature, **kwargs
        )
        yield chunk_of(response)

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer a request object.

        Raises:
            LLMError: also where `generate` raised something else.
        """
        prompt, options = self._as_arguments(*_call_arguments(request))
        try:
            async with asyncio.timeout(request.timeout):
                return await self.generate(prompt, **options)
        except LLMError:
            raise
        except Exception as exc:
            # A custom provider may raise anything; callers are promised one tree of errors.
            raise self._wrap_error(exc) from exc

    async def stream_complete(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        """Answer a request object piece by piece; closing the iterator cancels the call."""
        prompt, options = self._as_arguments(*_call_arguments(request))
        ends = None if request.timeout is None else _loop_time() + request.timeout
        try:
            async with aclosing(self.stream(prompt, **options)) as chunks:
                while True:
                    async with asyncio.timeout_at(ends):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        return
                    yield chunk
        except LLMError:
            raise
        except Exception as exc:
            raise self._wrap_error(exc) from exc

    async def try_complete(self, request: LLMRequest) -> LLMResponse:
        """Answer a request object without ever raising: look at `success` and `error`."""
        started = time.perf_counter()
        try:
            return await self.complete(request)
        except LLMError as error:
            said = error.message.removeprefix(f"{error.provider}: ")
            text = error.upstream_message or said.removeprefix(f"HTTP {error.status}: ")
            return LLMResponse(
                content="",
                confidence=0.0,
                provider=self.provider_name,
                model=request.model or self.get_effective_model(None),
                tokens_used=0,
                response_time_ms=elapsed_ms(started),
                success=False,
                error=f"HTTP {error.status}: {text}" if error.status else error.message,
            )

    async def validate_key(self, api_key: str | None = None) -> bool:
        """Tell whether the key works, with the cheapest request there is, within 10 s.

        Args:
            api_key: another key than the configured one.
        """
        check = await self.check_key(api_key)
        if not check.ok:
            logger.warning("%s: the key was not accepted: %s", self.provider_name, check.reason)
        return check.ok

    async def check_key(self, api_key: str | None = None) -> KeyCheck:
        """As `validate_key`, with the reason."""
        del api_key
        hello = [LLMMessage(role="user", content="Hi")]
        request = LLMRequest(hello, max_tokens=1, timeout=KEY_CHECK_TIMEOUT_S)
        try:
            await self.complete(request)
        except ResponseFormatError:
            return KeyCheck(ok=True)  # it answered, if badly: the key was accepted
        except LLMError as error:
            return KeyCheck(ok=False, reason=error.message)
        return KeyCheck(ok=True)

    async def get_available_models(self) -> list[str]:
        """Ask the provider which models there are; the configured ones where it cannot be asked."""
        return self.get_supported_models()

    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in order.

        Args:
            texts: what to embed.
            model: an embedding model; None is the configured one.
            dimensions: length of the vectors, where it can be chosen; None is the model's own.

        Raises:
            ConfigurationError: the provider has no embeddings.
        """
        del texts, model, dimensions
        msg = f"{self.provider_name} has no embeddings; choose another provider for them."
        raise ConfigurationError(msg, provider=self.provider_name, code="no_embeddings")

    async def count_tokens(self, request: LLMRequest) -> int:
        """Count the tokens of a request's prompt, tools and images included.

        Where the provider has nothing that counts: exact for text in OpenAI's vocabularies with
        `faultmaven[tokens]`, otherwise an estimate of ours.  Nothing is billed.

        Raises:
            LLMError: the provider was asked, and failed.
        """
        model = self.get_effective_model(request.model) or ""
        counted = await asyncio.to_thread(count_prompt_tokens, request, model)
        return estimate_prompt_tokens(request) if counted is None else counted

    def calculate_cost(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        *,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
    ) -> float | None:
        """Price a call in US dollars; None where a price is not known, 0.0 for local models.

        A class that prices by the two counts alone may override it with the first three arguments.

        Args:
            model: the provider's name for the model.
            input_tokens: the whole prompt, cached tokens included.
            output_tokens: the whole answer, reasoning included.
            cache_read_tokens: those of the prompt that were read from the provider's cache.
            cache_write_tokens: those that were written to it.
        """
        if self.config.row.get("local"):
            return 0.0
        usage = Usage(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
        return price_call(self._find_model(model), usage, datetime.now(UTC)).usd

    def price(self, model: str, usage: Usage) -> Cost:
        """Price a call by its tokens: what the provider stated itself, else `calculate_cost`.

        Args:
            model: the provider's name for the model.
            usage: tokens that were reported, or estimated.
        """
        if usage.cost_usd is not None:
            return Cost(usage.cost_usd, "actual")
        usd = self.calculate_cost(
            model,
            usage.input_tokens or 0,
            usage.output_tokens or 0,
            cache_read_tokens=usage.cache_read_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
        )
        return Cost(usd, "unknown" if usd is None else "estimated")

    async def close(self) -> None:  # noqa: B027  # most custom providers have nothing to release
        """Release connections and processes; closing twice is fine."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __getstate__(self) -> dict[str, Any]:
        # A pickle ends up in files and other processes: it carries no key.
        return {**vars(self), "api_key": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.api_key = self.config.api_key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.provider_name!r} at {self.config.base_url}>"

    def get_effective_model(self, model: str | None) -> str:
        """Choose the model: the one asked for, else the configured one."""
        if model:
            return self._map_model_name(model)
        return self.config.models[0] if self.config.models else self.get_default_model()

    def get_context_window(self, model: str | None = None) -> int | None:
        """Give a model's window in tokens, as the row or the catalog has it; None for unknown."""
        return find_window(self.config.row, self.get_effective_model(model), self._find_model)

    def _map_model_name(self, unified_model: str) -> str:
        """Translate a name that the caller's house uses; the row's `model_map` says how."""
        mapping: Mapping[str, str] = self.config.row.get("model_map") or {}
        return mapping.get(unified_model, unified_model)

    def _find_model(self, model: str) -> ModelInfo | None:
        """Look a model up in the catalog, once for each name."""
        catalog = get_catalog()
        if catalog is not self._catalog:
            self._known_models.clear()
            self._catalog = catalog
        if model not in self._known_models:
            row = self.config.row
            shelf = row.get("catalog") or row.get("base") or self.provider_name
            # What a user states for this row counts above what is known of its base.
            found = catalog.find(self.provider_name, model) or catalog.find(shelf, model)
            self._known_models[model] = found
        return self._known_models[model]

    def _start_timing(self) -> None:
        """Note when this call began; calls side by side keep their own."""
        _call_started.set(time.perf_counter())

    def _get_response_time_ms(self) -> int:
        """Give the milliseconds since `_start_timing`, at least 1."""
        return elapsed_ms(_call_started.get(time.perf_counter()))

    def _validate_response_content(self, content: str | None) -> str:
        """Give the content back.

        Raises:
            ResponseFormatError: it is empty or only white space.
        """
        if content is None or not content.strip():
            msg = f"{self.provider_name} answered with empty content."
            raise ResponseFormatError(msg, provider=self.provider_name, code="empty_response")
        return content

    def _as_arguments(
        self, prompt: Prompt, options: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Give prompt and options as `generate` takes them: a conversation as text, if it must be.

        Raises:
            UnsupportedParameterError: the conversation has an image, and the class takes text.
        """
        if not self._takes_text_only or (
            isinstance(prompt, str) and not options.get("system_prompt")
        ):
            return prompt, dict(options)
        talk = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        rest = {name: value for name, value in options.items() if name != "system_prompt"}
        text = transcript_of(talk, options.get("system_prompt"), self.provider_name)
        return text, rest

    def _wrap_error(self, exc: Exception) -> LLMError:
        """Turn what a custom provider raised into an `LLMError` that says what to do."""
        config = self.config
        if config.name != self.provider_name:
            config = replace(config, name=self.provider_name)
        return explain(_error_of(exc), config, None)


def _error_of(exc: Exception) -> LLMError:
    if isinstance(exc, TimeoutError):
        return LLMTimeoutError("it did not answer in time", code="read_timeout")
    text = redact(str(exc)) or type(exc).__name__
    if isinstance(exc, OSError) or any(
        c.__name__ in _CONNECTION_ERRORS for c in type(exc).__mro__
    ):
        return LLMConnectionError(f"it cannot be reached: {text}", code="connect_failed")
    if isinstance(exc, KeyError | IndexError | TypeError | AttributeError | JSONDecodeError):
        msg = f"it answered in an unexpected shape: {type(exc).__name__} {text}"
        return ResponseFormatError(msg, code="unexpected_shape")
    if said := _STATUS_IN_TEXT.search(text):
        # All that such a class gives is its sentence, which names the status.
        return parse_error(int(said[1]), {}, text.encode("utf-8", "replace")).with_message(text)
    return ServerError(f"it failed: {text}")


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def elapsed_ms(started: float) -> int:
    """Give the milliseconds since a `perf_counter` reading, at least 1."""
    return max(1, round((time.perf_counter() - started) * 1000))


def _with_cache_counts(price: Callable[..., float | None]) -> Callable[..., float | None]:
    """Let a price function that knows two counts be called with the cache's counts as well."""
    parameters = inspect.signature(price).parameters.values()
    if any(p.kind is p.VAR_KEYWORD or p.name == "cache_read_tokens" for p in parameters):
        return price

    @wraps(price)
    def priced(
        self: Any, model: str, input_tokens: int, output_tokens: int, **_counts: int
    ) -> float | None:
        return price(self, model, input_tokens, output_tokens)

    return priced


def _call_arguments(request: LLMRequest) -> tuple[Any, dict[str, Any]]:
    """Say a request as the arguments of `generate`, with only the options that are set."""
    messages: Any = request.messages
    if request.system_prompt:
        messages = [LLMMessage(role="system", content=request.system_prompt), *messages]
    only = messages[0] if len(messages) == 1 else None
    if only is not None and only.role == "user" and isinstance(only.content, str):
        messages = only.content
    options = request.to_dict()
    for name in ("messages", "system_prompt", "stream", "extra", "timeout", "metadata"):
        options.pop(name, None)
    options["temperature"] = request.temperature
    options["max_tokens"] = (
        DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    )
    return messages, {**options, **request.extra}
