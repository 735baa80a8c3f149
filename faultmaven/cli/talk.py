"""One turn of a conversation: asked of the chain of providers, shown as it comes."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faultmaven.cli.output import is_terminal, say, write
from faultmaven.cli.waiting import Waiting
from faultmaven.infrastructure.llm.providers.base import elapsed_ms
from faultmaven.infrastructure.llm.providers.fallback import (
    ChainCall,
    generate_with_fallback,
    stream_with_fallback,
)
from faultmaven.infrastructure.llm.types import LLMMessage, LLMResponse
from faultmaven.infrastructure.llm.wire.assemble import Assembly

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
    from faultmaven.infrastructure.llm.types import LLMChunk


@dataclass(slots=True)
class Talk:
    """A conversation: what was said, and how further answers are asked for.

    Attributes:
        provider: a row's name: that one and no other; None is CHAT_PROVIDER and, where it fails,
            FALLBACK_PROVIDERS.
        timeout_s: for a whole answer; None is LLM_REQUEST_TIMEOUT.
    """

    registry: ProviderRegistry
    provider: str | None = None
    model: str | None = None
    system: str | None = None
    max_tokens: int = 1000
    temperature: float | None = 0.7
    timeout_s: float | None = None
    messages: list[LLMMessage] = field(default_factory=list)

    def chain(self) -> list[str]:
        """Give the providers that are asked, in order."""
        if self.provider is None:
            return self.registry.get_fallback_chain()
        return [self.registry.resolve_name(self.provider)]


class Turn:
    """One question on its way; `answer` or `stream` is called once.

    Attributes:
        first_text_s: seconds until the first piece came; None for a whole answer.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._asked: BaseLLMProvider | None = None
        self._started = time.perf_counter()
        options: dict[str, Any] = {
            "max_tokens": talk.max_tokens,
            "temperature": talk.temperature,
            "system_prompt": talk.system,
        }
        self._call = ChainCall(
            talk.chain(),
            self._provider_of,
            list(talk.messages),
            talk.model,
            options,
            talk.timeout_s or talk.registry.settings.llm_request_timeout,
        )
        self._waiting = Waiting(self._call.chain[0])
        self.first_text_s: float | None = None

    async def answer(self) -> LLMResponse:
        """Give the whole answer.

        Raises:
            LLMError: no provider gave one.
        """
        async with self._waiting:
            response = await generate_with_fallback(self._call)
        if self._talk.provider is not None and response.route is not None:
            response.route.rule = "explicit"
        self._tell_of_fallback()
        return response

    async def stream(self) -> LLMResponse:
        """Print the answer piece by piece, and give it.

        Raises:
            LLMError: no provider began, or the answer broke off.
        """
        assembly, printer = Assembly(), _Printer()
        try:
            async with self._waiting, aclosing(stream_with_fallback(self._call)) as chunks:
                async for chunk in chunks:
                    if self.first_text_s is None:
                        self.first_text_s = time.perf_counter() - self._started
                        self._waiting.stop()
                        self._tell_of_fallback()
                    assembly.add(chunk)
                    printer.show(chunk)
        finally:
            printer.finish()
        return self._completed(assembly.response())

    def _provider_of(self, name: str) -> BaseLLMProvider:
        self._asked = provider = self._talk.registry.get_provider(name)
        self._waiting.is_engine_start = hasattr(provider, "unavailable_reason")
        return provider

    def _tell_of_fallback(self) -> None:
        for error in self._call.errors:
            say(error.message)
        if self._call.errors and self._asked is not None:
            say(f"{self._asked.provider_name} answers instead.")

    def _completed(self, response: LLMResponse) -> LLMResponse:
        provider = self._asked
        assert provider is not None
        response.provider = provider.provider_name
        response.model = response.model or provider.get_effective_model(self._talk.model)
        response.confidence = provider.config.confidence_score
        response.response_time_ms = elapsed_ms(self._started)
        if response.input_tokens is not None or provider.config.row.get("local"):
            response.cost_usd = provider.calculate_cost(
                response.model,
                response.input_tokens or 0,
                response.output_tokens or 0,
                cache_read_tokens=response.cache_read_tokens or 0,
                cache_write_tokens=response.cache_write_tokens or 0,
            )
        return response


class _Printer:
    """Prints chunks: the answer everywhere, the reasoning dimmed on a terminal only."""

    def __init__(self) -> None:
        self._shows_reasoning = is_terminal()
        self._in_reasoning = False
        self._at_line_start = True

    def show(self, chunk: LLMChunk) -> None:
        if chunk.reasoning and self._shows_reasoning:
            self._in_reasoning = True
            self._print(chunk.reasoning, dim=True)
        text = chunk.text or chunk.refusal or ""
        if not text:
            return
        if self._in_reasoning:
            self.finish()
            self._in_reasoning = False
        self._print(text)

    def finish(self) -> None:
        """End the line that was begun."""
        if not self._at_line_start:
            write()
            self._at_line_start = True

    def _print(self, text: str, *, dim: bool = False) -> None:
        write(text, end="", dim=dim)
        self._at_line_start = text.endswith("\n")


def figures(response: LLMResponse, first_text_s: float | None = None) -> str:
    """Give tokens, time and cost in a line."""
    seconds = f"{response.response_time_ms / 1000:.2f} s"
    if first_text_s is not None:
        seconds += f" (first after {first_text_s:.2f} s)"
    tokens = "tokens unknown"
    if response.output_tokens is not None:
        tokens = f"{response.input_tokens or 0} + {response.output_tokens} tokens"
    parts = [response.provider, response.model, tokens, seconds, _money(response.cost_usd)]
    if response.finish_reason not in (None, "stop"):
        parts.append(f"ended by {response.finish_reason}")
    return f"[{' · '.join(parts)}]"


def _money(usd: float | None) -> str:
    if usd is None:
        return "cost unknown"
    return f"${usd:.6f}" if usd else "free"
