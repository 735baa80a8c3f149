"""Tool calls as OpenAI's clients need them, where hosts that call themselves compatible leave things out.

Each has an id of its own, its arguments are text, and the pieces of a stream say by their index to which
call they belong.  What is so already is passed on untouched.
"""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.wire.content import make_call_id


def mend_calls(calls: list[dict[str, Any]], seed: object) -> bool:
    """Put a plain answer's calls right, in place; whether anything was wrong.

    Args:
        calls: `message.tool_calls`.
        seed: what tells this answer from others, for ids that are invented.
    """
    mended = False
    for place, call in enumerate(calls):
        if not call.get("id"):
            call["id"] = make_call_id(place, seed)
            mended = True
        mended = _mend_arguments(call.get("function")) or mended
    return mended


class CallPieces:
    """Follows the calls of one stream."""

    __slots__ = ("_last", "_seen")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._last = -1

    def are_usual(self, pieces: list[dict[str, Any]]) -> bool:
        """Tell whether nothing about these pieces needs mending."""
        for piece in pieces:
            index = piece.get("index")
            if type(index) is not int or not (index in self._seen or piece.get("id")):
                return False
            function = piece.get("function")
            if function is not None and type(function.get("arguments", "")) is not str:
                return False
            self._seen.add(index)
            self._last = index
        return True

    def mend(self, pieces: list[dict[str, Any]], seed: object) -> bool:
        """Put pieces right, in place; whether anything was wrong."""
        mended = False
        for piece in pieces:
            function = piece.get("function") or {}
            if type(piece.get("index")) is not int:
                is_new = piece.get("id") or function.get("name") or self._last < 0
                piece["index"] = len(self._seen) if is_new else self._last
                mended = True
            index = piece["index"]
            if index not in self._seen and not piece.get("id"):
                piece["id"] = make_call_id(index, seed)
                mended = True
            mended = _mend_arguments(function) or mended
            self._seen.add(index)
            self._last = index
        return mended


def _mend_arguments(function: dict[str, Any] | None) -> bool:
    if function is None:
        return False
    arguments = function.get("arguments")
    if arguments is None or type(arguments) is str:
        return False
    function["arguments"] = codec.dumps(arguments).decode()
    return True
