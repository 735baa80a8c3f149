"""The provider template: its dialect in six methods; all else comes from `HTTPProvider`."""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm.providers import HTTPProvider
from faultmaven.infrastructure.llm.types import ChatRequest, ChatResponse

# What a caller may ask for and `_transform_request` does not write: reported, never lost.
_NOT_WRITTEN = ("top_p", "stop", "seed", "tools", "tool_choice", "reasoning_effort")


class TemplateProvider(HTTPProvider):
    """Template."""

    def get_models(self) -> list[str]:
        """Give the models that it has."""
        return list(self.config["models"])

    def get_default_model(self) -> str:
        """Give the model that answers where none is named."""
        return str(self.config["default_model"])

    def _get_endpoint(self) -> str:
        return f"{self.config['api_base']}/chat/completions"

    def _get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}

    def _transform_request(self, request: ChatRequest) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        if request.system_prompt:
            turns.insert(0, {"role": "system", "content": request.system_prompt})
        body = {
            "model": request.model,
            "messages": turns,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        return {name: value for name, value in body.items() if value is not None} | request.extra

    def _transform_response(self, data: Any) -> ChatResponse:
        usage = {
            "input_tokens": data["usage"]["prompt_tokens"],
            "output_tokens": data["usage"]["completion_tokens"],
        }
        return ChatResponse(data["choices"][0]["message"]["content"], data["model"], usage)

    def _parse_stream_chunk(self, data: Any) -> str | None:
        text: str | None = data["choices"][0]["delta"].get("content") if data["choices"] else None
        return text

    def _unsupported_parameters(self, _request: ChatRequest) -> tuple[str, ...]:
        return _NOT_WRITTEN
