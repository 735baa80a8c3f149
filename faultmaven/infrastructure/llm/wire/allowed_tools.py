"""A choice among some of the tools: said by offering no others, as most APIs have no other way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def only_named(
    tools: Iterable[Mapping[str, Any]] | None, names: Iterable[object]
) -> list[dict[str, Any]]:
    """Give the functions of these names, in OpenAI's shape."""
    allowed = {*map(str, names)}
    return [dict(tool) for tool in tools or () if _name_of(tool) in allowed]


def _name_of(tool: Mapping[str, Any]) -> str | None:
    function = tool.get("function")
    return str(function.get("name")) if isinstance(function, dict) else None
