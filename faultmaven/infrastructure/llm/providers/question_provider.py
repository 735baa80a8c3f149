"""Calls that are no chats: vectors and token counts, with the retries and errors of a chat."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.types import EmbeddingResponse, LLMRequest
from faultmaven.infrastructure.llm.wire.structured import ask_for_structure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

T = TypeVar("T")

# Calls side by side where one takes fewer texts than there are.
_CONCURRENCY = 8

# What reading an answer of an unexpected shape raises.
_SHAPE_ERRORS = (KeyError, IndexError, TypeError, AttributeError, ValueError)


class QuestionProvider(HTTPProvider):
    """A provider that can be asked something else than for an answer to a prompt."""

    async def _ask(
        self, url: str, body: Mapping[str, Any], read: Callable[[Any], T], model: str
    ) -> T:
        """Post a body and read its answer, tried again as a chat is.

        Raises:
            LLMError: the last try's error.
        """
        encoded = self._written(body)
        deadline = self._deadline(LLMRequest([]))
        call = Call(LLMRequest([]), model, url, deadline=deadline, body=encoded)

        async def attempt() -> T:
            reply = await self._send("POST", url, encoded, self.config.timeout, call.deadline)
            data = parse_json(reply.body)
            try:
                return read(data)
            except _SHAPE_ERRORS as exc:
                msg = f"the answer has an unexpected shape: {type(exc).__name__} {exc}"
                raise ResponseFormatError(msg, code="unexpected_shape") from exc

        return await self._retried(call, attempt)

    def _as_asked(self, request: LLMRequest) -> LLMRequest:
        """Give a request as a chat would send it: with its model, its structure asked for."""
        model = self.get_effective_model(request.model)
        asked = ask_for_structure(request, self._structured_level(request))
        return replace(asked, model=model, stream=False)


class EmbeddingProvider(QuestionProvider):
    """A provider with embeddings; a dialect says how and where."""

    # The model to use where neither the caller nor the row names one; "" is the configured one.
    default_embedding_model: ClassVar[str] = ""

    @abstractmethod
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        """Give how this model is asked."""

    @abstractmethod
    def _embedding_url(self, model: str) -> str:
        """Give where this model is asked."""

    @override
    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in order.

        Args:
            texts: any number; more than one call takes become several calls.
            model: an embedding model; None is the row's `embeddings.model`, else the dialect's.
            dimensions: length of the vectors; what cannot be chosen is told in `unsupported`.

        Raises:
            LLMError: a call failed.
        """
        self._require_configuration()
        described = self.config.row.get("embeddings") or {}
        asked = model or described.get("model") or self.default_embedding_model
        asked = self.get_effective_model(asked or None)
        dialect = self._embedding_dialect(asked)
        unsupported: list[str] = []
        length = self._vector_length(dimensions, asked, unsupported, can=dialect.takes_dimensions)
        size = dialect.max_texts or len(texts) or 1
        batches = [list(texts[at : at + size]) for at in range(0, len(texts), size)]
        limit = asyncio.Semaphore(_CONCURRENCY)

        async def ask(batch: list[str]) -> EmbeddingResponse:
            async with limit:
                return await self._embed_batch(dialect, batch, asked, length)

        whole = self._joined(await _together([ask(batch) for batch in batches]), asked)
        whole.unsupported = unsupported
        return whole

    async def _embed_batch(
        self, dialect: EmbeddingDialect, batch: list[str], model: str, dimensions: int | None
    ) -> EmbeddingResponse:
        def read(data: Any) -> EmbeddingResponse:
            answer = dialect.from_wire(data, model)
            if len(answer.vectors) != len(batch):
                msg = f"{len(batch)} texts gave {len(answer.vectors)} vectors"
                raise ResponseFormatError(msg, code="wrong_count")
            return answer

        url = self._embedding_url(model)
        return await self._ask(url, dialect.to_wire(batch, model, dimensions), read, model)

    def _joined(self, answers: list[EmbeddingResponse], model: str) -> EmbeddingResponse:
        counts = [a.input_tokens for a in answers if a.input_tokens is not None]
        whole = EmbeddingResponse(
            vectors=[vector for answer in answers for vector in answer.vectors],
            model=answers[0].model if answers else model,
            input_tokens=sum(counts) if len(counts) == len(answers) else None,
        )
        if whole.input_tokens is not None:
            whole.cost_usd = self.calculate_cost(model, whole.input_tokens, 0)
        return whole


async def _together(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Wait for all; with the first error the others are ended."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
