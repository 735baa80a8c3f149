"""Snowflake Cortex: OpenAI's chat at an account, embeddings in bodies of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, list_in, malformed

if TYPE_CHECKING:
    from collections.abc import Sequence


def _to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    del dimensions
    return {"model": model, "text": list(texts)}


def _from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read `{data: [{embedding: [[…]]}]}`: a list of one vector for each text."""
    body = as_object(data, "body")
    found = [entry.get("embedding") for entry in list_in(body, "data")]
    vectors = [v[0] if isinstance(v, list) and v and isinstance(v[0], list) else v for v in found]
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise malformed(body.get("data"), "data", "a list of vectors")
    tokens = count_in(body.get("usage"), "total_tokens")
    return EmbeddingResponse([v for v in vectors if isinstance(v, list)], model, tokens)


_DIALECT = EmbeddingDialect(_to_wire, _from_wire, takes_dimensions=False)


class SnowflakeProvider(EmbeddingProvider, OpenAIProvider):
    """Cortex' REST API, `…/api/v2/cortex/v1`."""

    wire_format: ClassVar[str | None] = "openai_chat"
    default_embedding_model: ClassVar[str] = "snowflake-arctic-embed-m-v1.5"

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return _DIALECT

    @override
    def _embedding_url(self, model: str) -> str:
        return f"{(self.config.base_url or '').removesuffix('/v1')}/inference:embed"
