"""Cohere's own API, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.providers.wire_provider import Wire, WireProvider
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.cohere_chat import (
    request_to_wire,
    response_from_wire,
    unsupported_parameters,
)
from faultmaven.infrastructure.llm.wire.cohere_stream import CohereStreamReader
from faultmaven.infrastructure.llm.wire.embeddings import EMBEDDING_DIALECTS

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

# What one call of the tokenizer takes (reference, read 2026-11-21).
_TOKENIZE_CHARS = 65_536


class CohereProvider(WireProvider, EmbeddingProvider):
    """Cohere's `/v2/chat` and `/v2/embed`; models and tokens are counted by version 1."""

    wire: ClassVar[Wire] = Wire(
        request_to_wire, response_from_wire, CohereStreamReader, unsupported_parameters
    )
    default_embedding_model: ClassVar[str] = "embed-v4.0"
    takes_cache_marks: ClassVar[bool] = False

    @override
    def _get_endpoint(self) -> str:
        return self._url("chat", "/chat")

    def _first_version_url(self, path: str) -> str:
        return f"{(self.config.base_url or '').removesuffix('/v2')}/v1{path}"

    @override
    def _models_url(self) -> str | None:
        return self._first_version_url("/models?page_size=1000")

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return EMBEDDING_DIALECTS["cohere"]

    @override
    def _embedding_url(self, model: str) -> str:
        return self._url("embeddings", "/embed")

    @override
    async def count_tokens(self, request: LLMRequest) -> int:
        """Count the tokens of a request's texts with the model's own tokenizer.

        The few tokens that the chat template puts around each turn are not among them.

        Raises:
            LLMError: the call failed.
        """
        self._require_configuration()
        asked = self._as_asked(request)
        texts = [asked.system_prompt or ""]
        texts += [content.text_of(message.get("content")) for message in asked.messages]
        whole = "\n".join(text for text in texts if text)
        model = asked.model or ""
        url = self._first_version_url("/tokenize")
        counts = [
            await self._ask(
                url, {"text": whole[at : at + _TOKENIZE_CHARS], "model": model}, _count, model
            )
            for at in range(0, len(whole), _TOKENIZE_CHARS)
        ]
        return sum(counts)


def _count(data: Any) -> int:
    return len(data["tokens"])
