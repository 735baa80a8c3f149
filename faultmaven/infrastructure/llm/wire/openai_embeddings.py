"""OpenAI embeddings: vectors as lists of numbers or as base64 of little-endian numbers."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from typing import Any, Final

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import count
from faultmaven.infrastructure.llm.wire.openai_chat import is_error_object, text_or_none

# What base64 holds: the array module's word for a number.
_NUMBERS: Final = {"float": "f", "int8": "b"}


def embeddings_from_wire(data: Any, model: str, *, numbers: str = "float") -> EmbeddingResponse:
    """Read vectors, in the order of the texts.

    Args:
        data: the parsed body.
        model: the model asked for, where the body names none.
        numbers: what base64 text holds, "float" (4 bytes each) or "int8"; lists speak for themselves.

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
        vectors=[_vector(entry.get("embedding"), _NUMBERS[numbers]) for entry in ordered],
        model=text_or_none(data.get("model")) or model,
        # Voyage counts images too, and gives the total alone.
        input_tokens=count(usage.get("prompt_tokens", usage.get("total_tokens"))),
    )


def _vector(value: Any, typecode: str) -> list[float]:
    if isinstance(value, list) and all(isinstance(n, int | float) for n in value):
        return value
    if isinstance(value, str):
        try:
            read = array(typecode, base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            read = None
        if read is not None:
            if sys.byteorder == "big":
                read.byteswap()
            return [float(number) for number in read]
    msg = "an embedding is neither numbers nor base64"
    raise ResponseFormatError(msg, code="wrong_type")
