"""OpenAI Chat Completions, the API of OpenAI and of most other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.types import EmbeddingResponse, LLMRequest
from faultmaven.infrastructure.llm.wire.foreign import CHAT_FIELDS, foreign_fields
from faultmaven.infrastructure.llm.wire.openai_chat import request_to_wire, response_from_wire
from faultmaven.infrastructure.llm.wire.openai_chat_stream import OpenAIChatStreamReader
from faultmaven.infrastructure.llm.wire.openai_embeddings import embeddings_from_wire
from faultmaven.infrastructure.llm.wire.tool_pictures import with_pictures_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultmaven.infrastructure.llm.types import LLMResponse


class OpenAIProvider(HTTPProvider):
    """Any host that speaks OpenAI's chat API; what it does differently is in its row."""

    wire_format: ClassVar[str | None] = "openai_chat"
    takes_cache_marks: ClassVar[bool] = False
    # Whether a tool's result may hold pictures and files; OpenAI's own take text (reference, read 2026-11).
    takes_pictures_in_results: ClassVar[bool] = False

    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a client's body may be posted as it is, but for the model's name."""
        row = self.config.row
        if wire_format == "openai_embeddings":
            has_any = row.get("embeddings", {}) is not None
            return has_any and super().can_forward("openai_chat", body)
        if row.get("content") == "string":
            return False
        if (
            "response_format" in body
            and row.get("structured_output", "json_schema") != "json_schema"
        ):
            return False
        if "reasoning_effort" in body and "request" in row.get("reasoning", {}):
            return False
        return super().can_forward(wire_format, body)

    @override
    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        return foreign_fields(request, CHAT_FIELDS)

    def _forward_model(self, model: str | None, wire_format: str) -> str:
        del wire_format
        described = self.config.row.get("embeddings") or {}
        return model or described.get("model") or self.get_effective_model(None)

    def _forward_url(self, wire_format: str) -> str:
        del wire_format
        return self._embeddings_url("")

    def _embeddings_url(self, model: str) -> str:
        """Give where this model's embeddings are asked for."""
        del model
        path: str = (self.config.row.get("embeddings") or {}).get("path", "/embeddings")
        return path if "://" in path else f"{self.config.base_url}{path}"

    def _prepare_forward(self, body: dict[str, Any]) -> None:
        # Token counts are wanted whether or not the client asked for them.
        if body.get("stream") and self.config.row.get("stream_usage", "option") == "option":
            options = body.get("stream_options")
            body["stream_options"] = {**(options or {}), "include_usage": True}

    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        model = request.model or ""
        if not self.takes_pictures_in_results:
            request = with_pictures_apart(request)
        return request_to_wire(request, model, options=self._rules_for(model).row)

    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request)

    def _transform_response(self, data: Any) -> LLMResponse:
        return response_from_wire(data)

    def _make_stream_reader(self) -> OpenAIChatStreamReader:
        optional = bool(self.config.row.get("finish_reason_optional"))
        return OpenAIChatStreamReader(finish_reason_optional=optional)

    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in order.

        Args:
            texts: at most 2048 at OpenAI; other hosts take fewer.
            model: an embedding model; None is the row's `embeddings.model`, else the configured one.
            dimensions: length of the vectors; what cannot be chosen is told in `unsupported`.

        Raises:
            ConfigurationError: the row says that the provider has no embeddings.
            LLMError: the call failed.
        """
        self._require_configuration()
        described = self.config.row.get("embeddings", {})
        if described is None:
            return await super().embed(texts, model, dimensions)
        asked = model or described.get("model") or self.get_effective_model(None)
        url = self._embeddings_url(asked)
        call = Call(LLMRequest([]), asked, url)
        length = self._vector_length(dimensions, asked, call.route.unsupported)
        sized = {} if length is None else {"dimensions": length}
        call.body = self._written({"model": asked, "input": list(texts), **sized})

        async def attempt() -> EmbeddingResponse:
            reply = await self._send("POST", url, call.body, self.config.timeout, None)
            numbers = described.get("numbers", "float")
            return embeddings_from_wire(parse_json(reply.body), asked, numbers=numbers)

        answer = await self._retried(call, attempt)
        answer.unsupported = call.route.unsupported
        if answer.input_tokens is not None:
            answer.cost_usd = self.calculate_cost(asked, answer.input_tokens, 0)
        return answer
