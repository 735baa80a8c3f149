"""Claude on Amazon Bedrock by InvokeModel: Anthropic's bodies with all that they can say."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.aws_provider import AWSProvider
from faultmaven.infrastructure.llm.wire.bedrock_invoke import (
    InvokeStreamReader,
    response_from_wire,
)

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse
    from faultmaven.infrastructure.llm.wire.stream import ChunkReader


class BedrockAnthropicProvider(AWSProvider, AnthropicProvider):
    """Anthropic's Messages as Bedrock passes them on; streams hold its events in binary frames."""

    # A client's body names its model, which has no place here.
    wire_format: ClassVar[str | None] = None
    version_in_body: ClassVar[str] = "bedrock-2023-05-31"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        operation = "invoke-with-response-stream" if request.stream else "invoke"
        return self._model_url(request.model or "", operation)

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        body = super()._transform_request(request)
        for name in ("model", "stream"):
            body.pop(name, None)
        return {"anthropic_version": self.version_in_body, **body}

    @override
    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        # Whether to stream is said by the address.
        return self._transform_request(request)

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        # It tells the families of models apart, as the stream's reader does.
        return response_from_wire(data)

    @override
    def _make_stream_reader(self) -> ChunkReader:  # type: ignore[override]  # another framing
        return InvokeStreamReader()

    @override
    def _counted_input(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"invokeModel": {"body": base64.b64encode(codec.dumps(body)).decode()}}
