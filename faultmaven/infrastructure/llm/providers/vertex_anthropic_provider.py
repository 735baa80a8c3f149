"""Claude on Google's Vertex AI: Anthropic's bodies, Google's addresses and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.google_cloud_provider import GoogleCloudProvider
from faultmaven.infrastructure.llm.providers.model_path import path_segment

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest

# In the body, in place of the header anthropic-version (documentation, read 2026-11-21).
VERTEX_VERSION = "vertex-2023-10-16"


class VertexAnthropicProvider(GoogleCloudProvider, AnthropicProvider):
    """Anthropic's Messages below `…/publishers/anthropic/models`; the model is in the address."""

    # A client's body names its model, which has no place here.
    wire_format: ClassVar[str | None] = None

    @override
    def _get_headers(self) -> dict[str, str]:
        headers = super()._get_headers()
        headers.pop("anthropic-version", None)
        return headers

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
        return {"anthropic_version": VERTEX_VERSION, **body}

    @override
    def _count_url(self) -> str:
        return f"{self.config.base_url}/count-tokens:rawPredict"

    @override
    def _counted_body(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"anthropic_version": VERTEX_VERSION, "model": model, **body}
