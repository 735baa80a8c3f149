"""Google's Gemini API (AI Studio): generateContent, embeddings, token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.model_path import path_segment
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.providers.wire_provider import Wire, WireProvider
from faultmaven.infrastructure.llm.wire.embeddings import EMBEDDING_DIALECTS
from faultmaven.infrastructure.llm.wire.gemini_generate import (
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.gemini_stream import GeminiStreamReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

_COLLECTIONS = ("models/", "tunedModels/")


class GeminiProvider(WireProvider, EmbeddingProvider):
    """Any host that speaks generateContent; the key goes into a header, never into the address."""

    wire: ClassVar[Wire] = Wire(
        request_to_wire, response_from_wire, GeminiStreamReader, unsupported_parameters
    )
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "header", "header": "x-goog-api-key"}
    default_embedding_model: ClassVar[str] = "gemini-embedding-001"
    own_tools: ClassVar[str] = "gemini"
    takes_cache_marks: ClassVar[bool] = False
    # A proxy that loses alt=sse leaves one JSON array.
    streams_json: ClassVar[bool] = True

    def _method_url(self, model: str, method: str) -> str:
        """Give the address of a method of a model, which may be named with its collection."""
        collection = next((c for c in _COLLECTIONS if model.startswith(c)), "")
        name = path_segment(model.removeprefix(collection))
        return f"{self.config.base_url}/{collection or 'models/'}{name}:{method}"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        # Without alt=sse the stream is one JSON array.
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        return self._method_url(request.model or "", method)

    @override
    def _models_url(self) -> str | None:
        return f"{self.config.base_url}/models?pageSize=1000"

    @override
    def _make_stream_reader(self) -> GeminiStreamReader:
        optional = bool(self.config.row.get("finish_reason_optional"))
        return GeminiStreamReader(finish_reason_optional=optional)

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return EMBEDDING_DIALECTS["gemini"]

    @override
    def _embedding_url(self, model: str) -> str:
        return self._method_url(model, "batchEmbedContents")

    @override
    async def count_tokens(self, request: LLMRequest) -> int:
        """Count a request's prompt as the model will: system prompt, tools and turns.

        Raises:
            LLMError: the call failed.
        """
        self._require_configuration()
        asked = self._as_asked(request)
        model = asked.model or ""
        return await self._ask(
            self._method_url(model, "countTokens"),
            self._count_body(model, self._transform_request(asked)),
            token_count_from_wire,
            model,
        )

    def _count_body(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        # Only within this field are system prompt and tools counted as well.
        name = model if model.startswith(_COLLECTIONS) else f"models/{model}"
        return {"generateContentRequest": {"model": name, **body}}
