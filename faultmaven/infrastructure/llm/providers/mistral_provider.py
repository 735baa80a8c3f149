"""Mistral's chat API: OpenAI's in most things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.wire.mistral_chat import messages_to_wire

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest


class MistralProvider(OpenAIProvider):
    """Mistral and Codestral; the names of parameters are in their rows."""

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        body = super()._transform_request(request)
        body["messages"] = messages_to_wire(body["messages"])
        return body
