"""OpenAI embeddings: vectors as lists of numbers or as base64 of little-endian floats."""

from __future__ import annotations

import base64
import binascii
from array import array
from typing import Any

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.openai_chat import count, is_error_object, text_or_none


def embeddings_from_wire(data: Any, model: str) -> EmbeddingResponse:
    """Read vectors, in the order of the texts.

    Args:
        data: the parsed body.
        model: the model asked for, where the body names none.

    Raises:
        LLMError: the body is an error under a status of success.
        ResponseFormatError: the body holds no vectors.
    """
    entries = data.get("data") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        if isinstance(data, dict) and is_error_object(data):
            raise parse_error_object(data)
        msg = "the answer holds no embeddings"
        raise ResponseFormatError(msg, code="no_embeddings")
    ordered = sorted(entries, key=lambda entry: entry.get("index", 0))
    usage = data.get("usage") or {}
    return EmbeddingResponse(
        vectors=[_vector(entry.get("embedding")) for entry in ordered],
        model=text_or_none(data.get("model")) or model,
        input_tokens=count(usage.get("prompt_tokens")),
    )


def _vector(value: Any) -> list[float]:
    if isinstance(value, list) and all(isinstance(n, int | float) for n in value):
        return value
    if isinstance(value, str):
        try:
            return array("f", base64.b64decode(value, validate=True)).tolist()
        except (binascii.Error, ValueError):
            pass
    msg = "an embedding is neither numbers nor base64"
    raise ResponseFormatError(msg, code="wrong_type")
