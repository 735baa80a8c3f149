"""OpenAI Responses, the newer API of OpenAI and of a growing number of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.providers.wire_provider import Wire, WireProvider
from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect
from faultmaven.infrastructure.llm.wire.openai_embeddings import embeddings_from_wire
from faultmaven.infrastructure.llm.wire.openai_responses import (
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.openai_responses_stream import ResponsesStreamReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultmaven.infrastructure.llm.types import LLMRequest

# What adds to the prompt; the counting endpoint refuses the rest of a body.
_COUNTED = frozenset({
    "conversation", "input", "instructions", "model", "parallel_tool_calls",
    "previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation",
})  # fmt: skip


def _embeddings_to_wire(
    texts: Sequence[str], model: str, dimensions: int | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": list(texts)}
    return body if dimensions is None else {**body, "dimensions": dimensions}


_EMBEDDINGS = EmbeddingDialect(_embeddings_to_wire, embeddings_from_wire, max_texts=2048)


class OpenAIResponsesProvider(WireProvider, EmbeddingProvider):
    """Any host that speaks `/responses`; nothing is asked to be stored unless the caller says so."""

    wire: ClassVar[Wire] = Wire(
        request_to_wire, response_from_wire, ResponsesStreamReader, unsupported_parameters
    )
    wire_format: ClassVar[str | None] = "openai_responses"
    own_tools: ClassVar[str] = "responses"
    takes_cache_marks: ClassVar[bool] = False

    @override
    def _get_endpoint(self) -> str:
        return self._url("chat", "/responses")

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return _EMBEDDINGS

    @override
    def _embedding_url(self, model: str) -> str:
        return self._url("embeddings", "/embeddings")

    @override
    async def count_tokens(self, request: LLMRequest) -> int:
        """Count a request's prompt as the model will: instructions, tools and turns.

        Raises:
            LLMError: the call failed.
        """
        self._require_configuration()
        asked = self._as_asked(request)
        body = self._transform_request(asked)
        return await self._ask(
            self._url("tokens", "/responses/input_tokens"),
            {name: value for name, value in body.items() if name in _COUNTED},
            token_count_from_wire,
            asked.model or "",
        )
