"""Hugging Face: OpenAI's chat through its router, embeddings through its task API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.model_path import path_segments
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.wire.embeddings import EMBEDDING_DIALECTS

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect


class HuggingFaceProvider(EmbeddingProvider, OpenAIProvider):
    """The router; `model:backend` chooses who runs a model."""

    wire_format: ClassVar[str | None] = "openai_chat"
    default_embedding_model: ClassVar[str] = "BAAI/bge-small-en-v1.5"

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return EMBEDDING_DIALECTS["huggingface"]

    @override
    def _embedding_url(self, model: str) -> str:
        root = (self.config.base_url or "").removesuffix("/v1")
        name = path_segments(model)
        return f"{root}/hf-inference/models/{name}/pipeline/feature-extraction"
