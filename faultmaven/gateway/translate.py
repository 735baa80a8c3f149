"""The long way: a request in our terms to a provider of any dialect, and its answer written anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faultmaven.gateway.opened import Whole
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.types import Attempt, LLMChunk, Route, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from faultmaven.gateway.front import Ask, Encoder, FrontEnd
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse


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
    usage, estimated = usage_of(response)
    return Whole(front.write_answer(response, ask), usage, route, asked, estimated)


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
    return TranslatedStream(chunks, encoder, first, asked, _one_try(provider, asked))


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
                chunk = await anext(self._chunks, None)
            except LLMError as error:
                self.error = error
                self.is_over = True
                return b""
            if data := self._write(chunk):
                return data
        return b""

    async def close(self) -> None:
        """End the provider's stream; twice is fine."""
        await self._chunks.aclose()

    def _write(self, chunk: LLMChunk | None) -> bytes:
        if chunk is None:
            self.is_over = True
            return self.encoder.end()
        if chunk.usage is not None:
            self._usage = chunk.usage
        return self.encoder.encode(chunk)


def usage_of(response: LLMResponse) -> tuple[Usage | None, bool]:
    """Give a response's token counts, and whether they are an estimate."""
    if response.input_tokens is None and response.output_tokens is None:
        return response.estimated_usage, response.estimated_usage is not None
    counts = Usage(
        response.input_tokens,
        response.output_tokens,
        response.cache_read_tokens,
        response.cache_write_tokens,
        response.reasoning_tokens,
    )
    return counts, response.usage_source == "estimated"


def _request(
    front: FrontEnd, ask: Ask, model: str | None, timeout_s: float | None, *, stream: bool
) -> LLMRequest:
    request = front.make_request(ask)
    return replace(request, model=model, timeout=timeout_s, stream=stream)


def _one_try(provider: BaseLLMProvider, model: str) -> Route:
    return Route(attempts=[Attempt(provider.provider_name, model, "ok")])
