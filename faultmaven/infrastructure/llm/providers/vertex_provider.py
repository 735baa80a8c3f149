"""Gemini on Google's Vertex AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.providers.gemini_provider import GeminiProvider
from faultmaven.infrastructure.llm.providers.google_cloud_provider import GoogleCloudProvider
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.wire.embeddings import (
    EMBEDDING_DIALECTS,
    EmbeddingDialect,
    gemini_from_wire,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# What counting takes of a body; it refuses the rest.
_COUNTED = frozenset({"contents", "generationConfig", "systemInstruction", "tools"})


def _one_text_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    del model
    body: dict[str, Any] = {"content": {"parts": [{"text": text} for text in texts]}}
    return body if dimensions is None else {**body, "outputDimensionality": dimensions}


_EMBED_CONTENT = EmbeddingDialect(_one_text_to_wire, gemini_from_wire, max_texts=1)
_VERTEX = EMBEDDING_DIALECTS["vertex"]
# The first of Gemini's own takes one text a call.
_PREDICT_ONE = EmbeddingDialect(_VERTEX.to_wire, _VERTEX.from_wire, max_texts=1)


class VertexProvider(GoogleCloudProvider, GeminiProvider):
    """Gemini's API below a project and a location, `…/publishers/google`."""

    @override
    def _models_url(self) -> str | None:
        parts = urlsplit(self.config.base_url or "")
        return f"{parts.scheme}://{parts.netloc}/v1beta1/publishers/google/models?pageSize=1000"

    @override
    async def _fetch_model_ids(self, timeout_s: float) -> list[str]:
        self._require_configuration()
        reply = await self._send("GET", self._models_url() or "", None, timeout_s, None)
        data = parse_json(reply.body)
        entries = data.get("publisherModels") if isinstance(data, dict) else None
        if not isinstance(entries, list):
            msg = "the answer holds no list of models"
            raise ResponseFormatError(msg, code="no_models")
        return [str(entry["name"]).rpartition("/")[2] for entry in entries if "name" in entry]

    @override
    def _count_body(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name in _COUNTED}

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        if not model.startswith("gemini-embedding-"):
            return _VERTEX
        return _PREDICT_ONE if model.startswith("gemini-embedding-001") else _EMBED_CONTENT

    @override
    def _embedding_url(self, model: str) -> str:
        has_own = self._embedding_dialect(model) is _EMBED_CONTENT
        return self._method_url(model, "embedContent" if has_own else "predict")
