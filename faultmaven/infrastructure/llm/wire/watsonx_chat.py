"""IBM watsonx.ai's chat and embeddings: OpenAI's in most things, named otherwise.

Source: IBM's API reference of watsonx.ai and its open client (read 2026-11-21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, list_in, malformed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Whether to stream is said by the address, the model in another field.
_ELSEWHERE: Final = frozenset({"model", "stream", "stream_options", "tool_choice"})


def body_to_wire(body: Mapping[str, Any], place: Mapping[str, str]) -> dict[str, Any]:
    """Say a body of OpenAI's chat as watsonx takes it.

    Args:
        body: what OpenAI would be sent.
        place: `project_id` or `space_id`, on whose account the call goes.
    """
    said: dict[str, Any] = {"model_id": body["model"], **place}
    said |= {name: value for name, value in body.items() if name not in _ELSEWHERE}
    choice = body.get("tool_choice")
    if isinstance(choice, str):
        said["tool_choice_option"] = choice
    elif choice is not None:
        said["tool_choice"] = choice
    return said


def with_openai_names(data: Any) -> Any:
    """Give an answer with the model's name where OpenAI has it."""
    if isinstance(data, dict) and "model_id" in data and not data.get("model"):
        return {**data, "model": data["model_id"]}
    return data


def embedding_dialect(place: Mapping[str, str]) -> EmbeddingDialect:
    """Give how texts are embedded on the account of a project or a space."""

    def to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
        del dimensions
        return {"model_id": model, **place, "inputs": list(texts)}

    return EmbeddingDialect(to_wire, _embeddings_from_wire, max_texts=1000, takes_dimensions=False)


def _embeddings_from_wire(data: object, model: str) -> EmbeddingResponse:
    body = as_object(data, "body")
    vectors = [entry.get("embedding") for entry in list_in(body, "results")]
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise malformed(body.get("results"), "results", "a list of vectors")
    found = [vector for vector in vectors if isinstance(vector, list)]
    return EmbeddingResponse(found, model, count_in(body, "input_token_count"))
