"""Ollama's own API, on this machine or in its cloud."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.providers.wire_provider import Wire, WireProvider
from faultmaven.infrastructure.llm.types import EmbeddingResponse, LLMRequest
from faultmaven.infrastructure.llm.wire.embeddings import ollama_to_wire
from faultmaven.infrastructure.llm.wire.ollama_chat import (
    OllamaStreamReader,
    request_to_wire,
    response_from_wire,
    unsupported_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class OllamaProvider(WireProvider):
    """Ollama's `/api/chat`, `/api/embed` and `/api/tags`; without a key it costs nothing.

    The address is taken with or without the `/v1` of Ollama's OpenAI-compatible routes.
    """

    wire: ClassVar[Wire] = Wire(
        request_to_wire, response_from_wire, OllamaStreamReader, unsupported_parameters
    )
    takes_cache_marks: ClassVar[bool] = False
    # Ollama's cloud names its lines of JSON so.
    streams_json: ClassVar[bool] = True

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        base_url = (self.config.base_url or "").removesuffix("/v1").removesuffix("/api")
        self.config = replace(self.config, base_url=base_url or None)

    @override
    def _get_endpoint(self) -> str:
        return f"{self.config.base_url}/api/chat"

    @override
    def _models_url(self) -> str | None:
        return f"{self.config.base_url}/api/tags"

    @override
    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in order.

        Args:
            texts: any number; the server works through them one after the other.
            model: an embedding model; None is the row's `embeddings.model`, else the configured one.
            dimensions: length of the vectors; what cannot be chosen is told in `unsupported`.

        Raises:
            LLMError: the call failed.
        """
        self._require_configuration()
        described = self.config.row.get("embeddings") or {}
        asked = model or described.get("model") or self.get_effective_model(None)
        url = f"{self.config.base_url}/api/embed"
        call = Call(LLMRequest([]), asked, url)
        length = self._vector_length(dimensions, asked, call.route.unsupported)
        call.body = self._written(ollama_to_wire(texts, asked, length))

        async def attempt() -> EmbeddingResponse:
            reply = await self._send("POST", url, call.body, self.config.timeout, None)
            return _embeddings_from_wire(parse_json(reply.body), asked, len(texts))

        answer = await self._retried(call, attempt)
        answer.unsupported = call.route.unsupported
        answer.cost_usd = self.calculate_cost(asked, answer.input_tokens or 0, 0)
        return answer

    @override
    def calculate_cost(
        self, model: str, input_tokens: int, output_tokens: int, **details: int
    ) -> float | None:
        """Price a call: 0.0 without a key, since then it is somebody's own machine."""
        if self.config.row.get("local", self.config.api_key is None):
            return 0.0
        return super().calculate_cost(model, input_tokens, output_tokens, **details)


def _embeddings_from_wire(data: Any, model: str, count: int) -> EmbeddingResponse:
    vectors = data.get("embeddings") if isinstance(data, dict) else None
    if not isinstance(vectors, list) or len(vectors) != count:
        msg = f"the answer does not hold {count} vectors"
        raise ResponseFormatError(msg, code="unexpected_shape")
    tokens = data.get("prompt_eval_count")
    return EmbeddingResponse(
        vectors, data.get("model") or model, tokens if isinstance(tokens, int) else None
    )
