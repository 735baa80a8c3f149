"""Embeddings in every dialect but OpenAI's: texts out, vectors in.

Source: the vendors' client types and recorded traffic (read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.content import without_none
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    count_in,
    list_in,
    malformed,
    object_in,
    optional_text_in,
    sum_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    # Takes texts, model and the wanted length of the vectors (None: the model's own).
    ToWire = Callable[[Sequence[str], str, int | None], dict[str, Any]]
    # Takes a body and the model asked for.
    FromWire = Callable[[object, str], EmbeddingResponse]


@dataclass(frozen=True, slots=True)
class EmbeddingDialect:
    """How one API embeds texts.

    Attributes:
        to_wire: writes the body for texts, a model and a length of vectors.
        from_wire: reads the vectors; it raises `LLMError` for a body that is none.
        max_texts: how many texts one call takes, None for no limit that is known.
        takes_dimensions: whether a caller may choose the length of the vectors.
    """

    to_wire: ToWire
    from_wire: FromWire
    max_texts: int | None = None
    takes_dimensions: bool = True


def ollama_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body of Ollama's `/api/embed`."""
    return without_none(model=model, input=list(texts), dimensions=dimensions)


def ollama_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Ollama's `{embeddings}`, or the older `{embedding}` of one text."""
    body = _body(data)
    vectors = [body["embedding"]] if "embedding" in body else body.get("embeddings")
    return EmbeddingResponse(
        _vectors(vectors, "embeddings"),
        optional_text_in(body, "model") or model,
        count_in(body, "prompt_eval_count"),
    )


def gemini_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body of Gemini's `:batchEmbedContents`."""
    name = model if model.startswith("models/") else f"models/{model}"
    return {
        "requests": [
            without_none(
                model=name, content={"parts": [{"text": text}]}, outputDimensionality=dimensions
            )
            for text in texts
        ]
    }


def gemini_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Gemini's `{embeddings: [{values}]}`, or `{embedding: {values}}` of one text."""
    body = _body(data)
    found = [object_in(body, "embedding")] if "embedding" in body else list_in(body, "embeddings")
    tokens = count_in(body.get("usageMetadata"), "promptTokenCount")
    return EmbeddingResponse(_vectors([e.get("values") for e in found], "values"), model, tokens)


def vertex_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body of Vertex AI's `:predict`."""
    del model
    body: dict[str, Any] = {"instances": [{"content": text} for text in texts]}
    if dimensions is not None:
        body["parameters"] = {"outputDimensionality": dimensions}
    return body


def vertex_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Vertex AI's `{predictions: [{embeddings: {values, statistics}}]}`."""
    found = [object_in(p, "embeddings") for p in list_in(_body(data), "predictions")]
    tokens = sum_of(*(count_in(e.get("statistics"), "token_count") for e in found))
    return EmbeddingResponse(_vectors([e.get("values") for e in found], "values"), model, tokens)


def cohere_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body of Cohere's `/v2/embed`; texts are taken for documents to search in."""
    return without_none(
        model=model,
        texts=list(texts),
        input_type="search_document",
        embedding_types=["float"],
        output_dimension=dimensions,
    )


def cohere_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Cohere's `{embeddings: {float}}`, or the bare list of older answers."""
    body = _body(data)
    found = body.get("embeddings")
    vectors = found.get("float") if isinstance(found, dict) else found
    tokens = count_in(object_in(body, "meta").get("billed_units"), "input_tokens")
    return EmbeddingResponse(_vectors(vectors, "embeddings"), model, tokens)


def titan_to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    """Write a body of Titan on Bedrock, which embeds one text a call.

    Raises:
        InvalidRequestError: there is more than one text.
    """
    del model
    if len(texts) != 1:
        msg = f"Titan embeds one text a call, not {len(texts)}; call it once for each."
        raise InvalidRequestError(msg, code="too_many_texts")
    return without_none(inputText=texts[0], dimensions=dimensions)


def titan_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Titan's `{embedding, inputTextTokenCount}`."""
    body = _body(data)
    tokens = count_in(body, "inputTextTokenCount")
    return EmbeddingResponse(_vectors([body.get("embedding")], "embedding"), model, tokens)


def huggingface_to_wire(
    texts: Sequence[str], model: str, dimensions: int | None
) -> dict[str, Any]:
    """Write a body of Hugging Face's feature extraction; the length cannot be chosen."""
    del model, dimensions
    return {"inputs": list(texts)}


def huggingface_from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read Hugging Face's bare list: of vectors, or one vector for one text."""
    if not isinstance(data, list):
        data = _body(data).get("embeddings")
    one = isinstance(data, list) and data and not isinstance(data[0], list)
    return EmbeddingResponse(_vectors([data] if one else data, "body"), model)


def _body(data: object) -> dict[str, Any]:
    body = as_object(data, "body")
    if body.get("error"):
        raise parse_error_object(body)
    return body


def _vectors(value: object, where: str) -> list[list[float]]:
    if not isinstance(value, list) or not value:
        raise malformed(value, where, "a list of vectors")
    for vector in value:
        is_vector = isinstance(vector, list) and vector
        if not is_vector or not all(type(number) in {int, float} for number in vector):
            raise malformed(vector, where, "a list of numbers")
    return value


EMBEDDING_DIALECTS: Final[Mapping[str, EmbeddingDialect]] = {
    "cohere": EmbeddingDialect(cohere_to_wire, cohere_from_wire, max_texts=96),
    "gemini": EmbeddingDialect(gemini_to_wire, gemini_from_wire, max_texts=100),
    "huggingface": EmbeddingDialect(
        huggingface_to_wire, huggingface_from_wire, takes_dimensions=False
    ),
    "ollama": EmbeddingDialect(ollama_to_wire, ollama_from_wire),
    "titan": EmbeddingDialect(titan_to_wire, titan_from_wire, max_texts=1),
    "vertex": EmbeddingDialect(vertex_to_wire, vertex_from_wire, max_texts=250),
}
