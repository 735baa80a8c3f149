"""llama.cpp servers that have only their own `/completion`, without OpenAI's routes before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ResponseFormatError, UnsupportedParameterError
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.wire.llamacpp_completion import (
    LlamaCppStreamReader,
    messages_to_wire,
    request_to_wire,
    response_from_wire,
)

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse


class LlamaCppProvider(HTTPProvider):
    """A model behind llama.cpp's raw completion; the server applies its own chat template."""

    @override
    def _get_endpoint(self) -> str:
        return f"{self.config.base_url}/completion"

    @override
    def _models_url(self) -> str | None:
        return None

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        if request.tools:
            msg = f"{self.provider_name} takes no tools: its server completes text only."
            raise UnsupportedParameterError(
                msg, provider=self.provider_name, parameter="tools", code="unsupported_parameter"
            )
        return request_to_wire(request)

    @override
    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request)

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        return response_from_wire(data)

    @override
    def _make_stream_reader(self) -> LlamaCppStreamReader:
        return LlamaCppStreamReader()

    @override
    async def _begin(self, request: LLMRequest) -> Call:
        call = await super()._begin(request)
        body = codec.loads(call.body)
        body["prompt"] = await self._apply_template(call)
        call.body = codec.dumps(body)
        return call

    async def _apply_template(self, call: Call) -> str:
        url = f"{self.config.base_url}/apply-template"
        asking = replace(call, url=url, route=replace(call.route, attempts=[]))
        body = codec.dumps({"messages": messages_to_wire(call.request)})

        async def attempt() -> str:
            reply = await self._send("POST", url, body, self.config.timeout, call.deadline)
            answer = parse_json(reply.body)
            if isinstance(answer, dict) and isinstance(answer.get("prompt"), str):
                return str(answer["prompt"])
            msg = "the server gave no prompt for the conversation"
            raise ResponseFormatError(msg, code="unexpected_shape")

        return await self._retried(asking, attempt)
