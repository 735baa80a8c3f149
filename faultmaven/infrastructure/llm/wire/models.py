"""Model lists in the shapes that hosts give them."""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm.errors import ResponseFormatError

_LISTS = ("data", "models", "modelSummaries", "items", "result")
_IDS = ("id", "name", "model", "modelId", "model_id")


def model_ids_from_wire(data: Any, id_path: str | None = None) -> list[str]:
    """Give the ids of a model list: `{data: [{id}]}`, `{models: [{name}]}`, or a bare array.

    Args:
        data: the parsed body.
        id_path: where a row says that the ids are, e.g. `models[].name`.

    Raises:
        ResponseFormatError: there is no list in it.
    """
    entries: Any = data
    keys: tuple[str, ...] = _IDS
    if id_path:
        holder, _, key = id_path.partition("[].")
        keys = (key or "id",)
        entries = data.get(holder) if holder and isinstance(data, dict) else data
    elif isinstance(data, dict):
        entries = next((data[name] for name in _LISTS if isinstance(data.get(name), list)), None)
    if not isinstance(entries, list):
        msg = "the answer holds no list of models"
        raise ResponseFormatError(msg, code="no_models")
    ids = (_id_of(entry, keys) for entry in entries)
    return [found.removeprefix("models/") for found in ids if found]


def _id_of(entry: Any, keys: tuple[str, ...]) -> str | None:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict):
        return next((entry[k] for k in keys if isinstance(entry.get(k), str)), None)
    return None
