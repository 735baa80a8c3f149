"""Amazon Bedrock by Converse, the one API for all its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.aws_provider import AWSProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.providers.wire_provider import Wire, WireProvider
from faultmaven.infrastructure.llm.wire.bedrock_converse import (
    request_to_wire,
    response_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.bedrock_embeddings import dialect_of
from faultmaven.infrastructure.llm.wire.bedrock_stream import ConverseStreamReader

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

_COUNTED = frozenset({"additionalModelRequestFields", "messages", "system", "toolConfig"})


class BedrockProvider(AWSProvider, WireProvider, EmbeddingProvider):
    """Every model that Converse takes; embeddings go through InvokeModel."""

    wire: ClassVar[Wire] = Wire(
        request_to_wire, response_from_wire, ConverseStreamReader, unsupported_parameters
    )
    takes_cache_marks: ClassVar[bool] = False
    default_embedding_model: ClassVar[str] = "amazon.titan-embed-text-v2:0"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        operation = "converse-stream" if request.stream else "converse"
        return self._model_url(request.model or "", operation)

    @override
    def _counted_input(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"converse": {name: body[name] for name in body if name in _COUNTED}}

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return dialect_of(model)

    @override
    def _embedding_url(self, model: str) -> str:
        return self._model_url(model, "invoke")
