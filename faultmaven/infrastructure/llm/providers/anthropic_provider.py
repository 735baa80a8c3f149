"""Anthropic Messages, the API of Anthropic and of hosts that speak it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from faultmaven.infrastructure.llm.providers.question_provider import QuestionProvider
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    count_request_to_wire,
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse

# The version that compatible hosts know.  2026-10-21 is newer: it refuses the sampling parameters that
# older models take (documentation, read 2026-11-21).
ANTHROPIC_VERSION = "2023-06-01"
# For `can_forward`: a body of `POST /messages/count_tokens`.
COUNT_FORMAT = "anthropic_count_tokens"


class AnthropicProvider(QuestionProvider):
    """Any host that speaks Anthropic's Messages API."""

    own_tools: ClassVar[str] = "anthropic"
    wire_format: ClassVar[str | None] = "anthropic_messages"
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "header", "header": "x-api-key"}
    # At clouds that want it in the body, in place of the header (their documentation, read 2026-11-21).
    version_in_body: ClassVar[str] = ""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        stated = any(name.lower() == "anthropic-version" for name in self.config.headers)
        has_own = stated or bool(self.version_in_body)
        self._version = {} if has_own else {"anthropic-version": ANTHROPIC_VERSION}

    def _get_endpoint(self) -> str:
        return self._url("chat", "/messages")

    def _get_headers(self) -> dict[str, str]:
        return self._version | super()._get_headers()

    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        model = self.get_effective_model(request.model)
        return unsupported_parameters(request, model, options=self._rules_for(model).row)

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

    async def count_tokens(self, request: LLMRequest) -> int:
        """Count a request's prompt as the model will: system prompt, tools and turns.

        Raises:
            LLMError: the call failed, at many compatible hosts with 404.
        """
        self._require_configuration()
        asked = self._as_asked(request)
        model = asked.model or ""
        body = self._counted_body(model, count_request_to_wire(self._transform_request(asked)))
        return await self._ask(self._count_url(), body, token_count_from_wire, model)

    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a client's body may be posted as it is, but for the model's name."""
        if wire_format == COUNT_FORMAT:
            wire_format = "anthropic_messages"
        return super().can_forward(wire_format, body)

    def _forward_url(self, wire_format: str) -> str:
        del wire_format
        return self._count_url()

    def _count_url(self) -> str:
        """Give where tokens are counted."""
        return self._url("tokens", "/messages/count_tokens")

    def _counted_body(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give the body to count, with what the host wants beside it."""
        del model
        return body
