"""OpenAI embeddings and model lists, and the vectors all dialects give."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.testing.answers import CREATED, Question, count_tokens
from faultmaven.testing.dialects.base import Dialect, as_dict, as_list

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer
    from faultmaven.testing.journal import RecordedRequest

DIMENSIONS = 8
# Whatever length is asked for, vectors are no longer: an answer has to fit into memory.
MAX_DIMENSIONS = 4096


class OpenAIEmbeddings(Dialect):
    """`POST …/v1/embeddings`."""

    name = "openai-embeddings"
    pattern = re.compile(
        r"(?:/[^/]+)*/(?:v\d\w*|openai|openai/deployments/(?P<model>[^/]+))/embeddings"
    )

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        dimensions = body.get("dimensions")
        return Question(
            model=str(body.get("model") or path.groupdict().get("model") or ""),
            texts=inputs_of(body.get("input")),
            dimensions=dimensions if isinstance(dimensions, int) else DIMENSIONS,
            embedding_format=str(body.get("encoding_format") or "float"),
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        tokens = sum(count_tokens(text) for text in question.texts)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _encoded(text, question)}
                for index, text in enumerate(question.texts)
            ],
            "model": question.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


class OpenAIModels(Dialect):
    """`GET …/v1/models`; also what Anthropic and Gemini read from their lists."""

    name = "openai-models"
    method = "GET"
    pattern = re.compile(r"(?:/[^/]+)*/(?:v\d\w*|openai)/models")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        return Question()

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        model = {
            "id": question.model,
            "object": "model",
            "created": CREATED,
            "owned_by": "fake",
            "type": "model",
            "display_name": "Fake Model",
        }
        gemini = {
            "name": f"models/{question.model}",
            "supportedGenerationMethods": ["generateContent", "embedContent"],
        }
        ends = {"has_more": False, "first_id": question.model, "last_id": question.model}
        return {"object": "list", "data": [model], "models": [gemini], **ends}


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Give a text's vector: of length 1, the same every time, another for another text."""
    size = min(max(dimensions, 1), MAX_DIMENSIONS)
    seed = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * size)
    numbers = [value - 32767.5 for (value,) in struct.iter_unpack("<H", seed)]
    length = math.hypot(*numbers)
    return [struct.unpack("<f", struct.pack("<f", number / length))[0] for number in numbers]


def inputs_of(value: Any) -> list[str]:
    """Give an embeddings request's inputs as texts; token lists become text as well."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return [str(value)]
    return [item if isinstance(item, str) else str(item) for item in as_list(value)]


def _encoded(text: str, question: Question) -> list[float] | str:
    vector = vector_of(text, question.dimensions)
    if question.embedding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
