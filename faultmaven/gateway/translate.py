"""The long way: a request in our terms to a provider of any dialect, and its answer written anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faultmaven.gateway.opened import Whole
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.types import Attempt, LLMChunk, Route
from faultmaven.infrastructure.llm.wire.answer import told_usage
from faultmaven.infrastructure.llm.wire.estimate import chunk_bytes, text_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from faultmaven.gateway.front import Ask, Encoder, FrontEnd
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse, ToolCall, Usage


async def translate_whole(
    front: FrontEnd,
    provider: BaseLLMProvider,
    ask: Ask,
    model: str | None,
    timeout_s: float | None,
) -> Whole:
    """Get a plain answer.

    Raises:
        LLMError: the request cannot be understood, or there was no answer.
    """
    request = _request(front, ask, model, timeout_s, stream=False)
    response = await provider.complete(request)
    asked = provider.get_effective_model(model)
    route = response.route or _one_try(provider, asked)
    return whole_of(front, ask, response, route, asked)


async def open_translation(
    front: FrontEnd,
    provider: BaseLLMProvider,
    ask: Ask,
    model: str | None,
    timeout_s: float | None,
) -> TranslatedStream:
    """Get a streamed answer up to its first piece.

    Raises:
        LLMError: it did not begin.
    """
    request = _request(front, ask, model, timeout_s, stream=True)
    chunks = provider.stream_complete(request)
    asked = provider.get_effective_model(model)
    try:
        first = await anext(chunks, None)
    except BaseException:
        await chunks.aclose()
        raise
    encoder = front.make_encoder(ask, asked)
    route = first.route if first is not None else None
    return TranslatedStream(chunks, encoder, first, asked, route or _one_try(provider, asked))


class TranslatedStream:
    """A stream that is written anew; see `Opened`."""

    def __init__(
        self,
        chunks: AsyncGenerator[LLMChunk, None],
        encoder: Encoder,
        first: LLMChunk | None,
        model: str,
        route: Route,
    ) -> None:
        self._chunks = chunks
        self.encoder = encoder
        self.model = model
        self.route = route
        self.error: LLMError | None = None
        self.estimated = False
        self.is_over = False
        self.said_bytes = 0
        self._usage: Usage | None = None
        self.first = self._write(first)

    @property
    def usage(self) -> Usage | None:
        """The token counts as far as they are known."""
        return self._usage

    async def next(self) -> bytes:
        """Wait for more; see `Opened.next`."""
        while not self.is_over:
            try:
                data = self._write(await anext(self._chunks, None))
            except LLMError as error:
                self.error = error
                self.is_over = True
                return b""
            if data:
                return data
        return b""

    async def close(self) -> None:
        """End the provider's stream; twice is fine."""
        await self._chunks.aclose()

    def _write(self, chunk: LLMChunk | None) -> bytes:
        if chunk is None:
            self.is_over = True
            return self.encoder.end()
        self.said_bytes += chunk_bytes(chunk)
        if chunk.usage is not None:
            self._usage = chunk.usage
        return self.encoder.encode(chunk)


def whole_of(front: FrontEnd, ask: Ask, response: LLMResponse, route: Route, model: str) -> Whole:
    """Write a response in the client's API; its token counts are what the provider has told."""
    usage = told_usage(response)
    whole = Whole(b"", usage, route, model, response.usage_source == "estimated")
    if not response.output_tokens:
        said = (response.content, response.reasoning, *map(_arguments, response.tool_calls))
        whole.said_bytes = sum(map(text_bytes, said))
    if whole.estimated:
        whole.usage = response.estimated_usage or usage
    whole.body = front.write_answer(response, ask)
    return whole


def _arguments(call: ToolCall) -> str:
    return call.arguments_raw


def _request(
    front: FrontEnd, ask: Ask, model: str | None, timeout_s: float | None, *, stream: bool
) -> LLMRequest:
    request = front.make_request(ask)
    return replace(request, model=model, timeout=timeout_s, stream=stream)


def _one_try(provider: BaseLLMProvider, model: str) -> Route:
    return Route(attempts=[Attempt(provider.provider_name, model, "ok")])
