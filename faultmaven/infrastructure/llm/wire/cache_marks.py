"""`cache_control`, the mark by which Anthropic and a few routers are told what to cache.

It may stand in a message, in its parts, in a tool and in a tool's function.  Other hosts of OpenAI's API
answer 400 to it.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

MARK: Final = "cache_control"
_INNER: Final = ("content", "function")

Items = TypeVar("Items")


def without_marks(items: Items) -> Items:
    """Give messages or tools without marks; the same object where there are none.

    Anything that is no list of objects is given back as it is.
    """
    if not isinstance(items, list) or not any(map(_is_marked, items)):
        return items
    bare: Any = [_bare(item) for item in items]
    found: Items = bare
    return found


def _is_marked(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if MARK in item:
        return True
    inner = item.get("content") or item.get("function")
    if isinstance(inner, list):
        return any(isinstance(part, dict) and MARK in part for part in inner)
    return isinstance(inner, dict) and MARK in inner


def _bare(item: Any) -> Any:
    if not _is_marked(item):
        return item
    kept = {name: value for name, value in item.items() if name != MARK}
    for name in _INNER:
        inner = kept.get(name)
        if isinstance(inner, dict):
            kept[name] = _bare(inner)
        elif isinstance(inner, list):
            kept[name] = [_bare(part) for part in inner]
    return type(item)(kept)
