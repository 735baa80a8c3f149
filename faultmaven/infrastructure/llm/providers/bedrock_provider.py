"""Amazon Bedrock by Converse, the one API for all its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.aws_provider import AWSProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.wire.bedrock_converse import (
    request_to_wire,
    response_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.bedrock_embeddings import dialect_of
from faultmaven.infrastructure.llm.wire.bedrock_stream import ConverseStreamReader

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

_COUNTED = frozenset({"additionalModelRequestFields", "messages", "system", "toolConfig"})


class BedrockProvider(AWSProvider, EmbeddingProvider):
    """Every model that Converse takes; embeddings go through InvokeModel."""

    default_embedding_model: ClassVar[str] = "amazon.titan-embed-text-v2:0"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        operation = "converse-stream" if request.stream else "converse"
        return self._model_url(request.model or "", operation)

    @override
    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        return unsupported_parameters(request)

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        model = request.model or ""
        return request_to_wire(request, model, options=self._rules_for(model).row)

    @override
    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request)

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        return response_from_wire(data)

    @override
    def _make_stream_reader(self) -> ConverseStreamReader:
        return ConverseStreamReader()

    @override
    def _counted_input(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"converse": {name: body[name] for name in body if name in _COUNTED}}

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return dialect_of(model)

    @override
    def _embedding_url(self, model: str) -> str:
        return self._model_url(model, "invoke")
