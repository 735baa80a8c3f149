"""Mistral's chat API: OpenAI's in most things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.wire.foreign import foreign_fields
from faultmaven.infrastructure.llm.wire.mistral_chat import messages_to_wire

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest

# Of OpenAI's fields; any other is answered 422 (types of the official client mistralai 3.7).
_TAKEN: Final = frozenset({
    "frequency_penalty", "logprobs", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "user",
})  # fmt: skip


class MistralProvider(OpenAIProvider):
    """Mistral and Codestral; the names of parameters are in their rows."""

    takes_pictures_in_results: ClassVar[bool] = True

    @override
    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        return foreign_fields(request, _TAKEN)

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        body = super()._transform_request(request)
        body["messages"] = messages_to_wire(body["messages"])
        return body
