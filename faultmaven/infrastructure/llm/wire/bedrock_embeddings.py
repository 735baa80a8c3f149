"""Embeddings on Amazon Bedrock, where every family has bodies of its own.

Source: the models' pages in the Amazon Bedrock user guide (read 2026-11-21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.embeddings import (
    EMBEDDING_DIALECTS,
    EmbeddingDialect,
    cohere_from_wire,
)
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, list_in, malformed

if TYPE_CHECKING:
    from collections.abc import Sequence


def cohere_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body for Cohere's models, which the address names; texts are to be searched in."""
    del model
    body: dict[str, Any] = {
        "texts": list(texts),
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    return body if dimensions is None else {**body, "output_dimension": dimensions}


def nova_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body for Nova's multimodal embeddings, one text a call."""
    del model
    params: dict[str, Any] = {
        "embeddingPurpose": "GENERIC_INDEX",
        "text": {"truncationMode": "END", "value": "".join(texts)},
    }
    if dimensions is not None:
        params["embeddingDimension"] = dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def nova_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Nova's `{embeddings: [{embedding}]}`.

    Raises:
        ResponseFormatError: there are no vectors in it.
    """
    body = as_object(data, "body")
    vectors = [entry.get("embedding") for entry in list_in(body, "embeddings")]
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise malformed(body.get("embeddings"), "embeddings", "a list of vectors")
    tokens = count_in(body, "inputTextTokenCount")
    return EmbeddingResponse([v for v in vectors if isinstance(v, list)], model, tokens)


_COHERE: Final = EmbeddingDialect(cohere_to_wire, cohere_from_wire, max_texts=96)
_NOVA: Final = EmbeddingDialect(nova_to_wire, nova_from_wire, max_texts=1)
_TITAN: Final = EMBEDDING_DIALECTS["titan"]


def dialect_of(model: str) -> EmbeddingDialect:
    """Give how a model on Bedrock is asked, by the family that its id names."""
    if "cohere." in model:
        return _COHERE
    return _NOVA if "nova-" in model else _TITAN
