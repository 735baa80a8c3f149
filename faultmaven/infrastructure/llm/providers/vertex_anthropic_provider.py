"""Claude on Google's Vertex AI: Anthropic's bodies, Google's addresses and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.google_cloud_provider import GoogleCloudProvider
from faultmaven.infrastructure.llm.providers.model_path import path_segment

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest


class VertexAnthropicProvider(GoogleCloudProvider, AnthropicProvider):
    """Anthropic's Messages below `…/publishers/anthropic/models`; the model is in the address."""

    # A client's body names its model, which has no place here.
    wire_format: ClassVar[str | None] = None
    version_in_body: ClassVar[str] = "vertex-2023-10-16"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        method = "streamRawPredict" if request.stream else "rawPredict"
        return f"{self.config.base_url}/{path_segment(request.model or '')}:{method}"

    @override
    def _models_url(self) -> str | None:
        return None

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        body = super()._transform_request(request)
        del body["model"]
        return {"anthropic_version": self.version_in_body, **body}

    @override
    def _count_url(self) -> str:
        return f"{self.config.base_url}/count-tokens:rawPredict"

    @override
    def _counted_body(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"anthropic_version": self.version_in_body, "model": model, **body}
