"""Names of models as parts of an address."""

from __future__ import annotations

from urllib.parse import quote

from faultmaven.infrastructure.llm.errors import ModelNotFoundError


def path_segment(model: str) -> str:
    """Quote a model's name so that it is one segment of a path, whatever is in it.

    Raises:
        ModelNotFoundError: it is empty, "." or "..", which no quoting keeps from changing the path.
    """
    if model in {"", ".", ".."}:
        msg = f"{model!r} is no model's name"
        raise ModelNotFoundError(msg, model=model, code="model_not_found")
    # Vertex AI has versions behind an @, which a path may hold as it is.
    return quote(model, safe="@")


def path_segments(model: str) -> str:
    """Quote a name of the form owner/model, the slashes of which are the path's own.

    Raises:
        ModelNotFoundError: a part of it is empty, "." or "..".
    """
    return "/".join(path_segment(part) for part in model.split("/"))
