"""Anthropic Messages, the API of Anthropic and of hosts that speak it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    request_to_wire,
    response_from_wire,
)
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse

# The only version of the API so far (documentation, read 2026-11-20).
ANTHROPIC_VERSION = "2023-06-01"
# OpenAI's parameters that the API answers 400 to (documentation, read 2026-11-20).
_NOT_TAKEN = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
)


class AnthropicProvider(HTTPProvider):
    """Any host that speaks Anthropic's Messages API."""

    wire_format: ClassVar[str | None] = "anthropic_messages"
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "header", "header": "x-api-key"}

    def _get_endpoint(self) -> str:
        return self._url("chat", "/messages")

    def _get_headers(self) -> dict[str, str]:
        return {"anthropic-version": ANTHROPIC_VERSION} | super()._get_headers()

    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        del request
        return _NOT_TAKEN

    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        model = request.model or ""
        info = self._find_model(model)
        limit = info.max_output_tokens if info is not None else None
        return request_to_wire(
            request, model, options=self._rules_for(model).row, max_tokens_default=limit or 4096
        )

    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request) | {"stream": True}

    def _transform_response(self, data: Any) -> LLMResponse:
        return response_from_wire(data)

    def _make_stream_reader(self) -> AnthropicStreamReader:
        return AnthropicStreamReader()
