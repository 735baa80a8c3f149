"""Tool calls as OpenAI's clients need them, where hosts that call themselves compatible leave things out.

Each has an id of its own, its arguments are text, and the pieces of a stream say by their index to which
call they belong.  What is so already is passed on untouched.
"""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.wire.content import make_call_id
from faultmaven.infrastructure.llm.wire.openai_chat_front import NO_ARGUMENTS


def mend_calls(calls: list[dict[str, Any]], seed: object, *, is_cut_off: bool) -> bool:
    """Put a plain answer's calls right, in place; whether anything was wrong.

    Args:
        calls: `message.tool_calls`.
        seed: what tells this answer from others, for ids that are invented.
        is_cut_off: the answer ended by its length, so that arguments may be missing.
    """
    mended = False
    for place, call in enumerate(calls):
        if not call.get("id"):
            call["id"] = make_call_id(place, seed)
            mended = True
        function = call.get("function")
        mended = _mend_arguments(function) or mended
        if function and not function.get("arguments") and not is_cut_off:
            function["arguments"] = NO_ARGUMENTS
            mended = True
    return mended


class CallPieces:
    """Follows the calls of one stream."""

    __slots__ = ("_last", "_seen", "_told")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        # Of which arguments have come.
        self._told: set[int] = set()
        self._last = -1

    def are_usual(self, pieces: list[dict[str, Any]]) -> bool:
        """Tell whether nothing about these pieces needs mending."""
        for piece in pieces:
            index = piece.get("index")
            if type(index) is not int or not (index in self._seen or piece.get("id")):
                return False
            function = piece.get("function")
            if function is not None:
                arguments = function.get("arguments", "")
                if type(arguments) is not str:
                    return False
                if arguments:
                    self._told.add(index)
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
            if function.get("arguments"):
                self._told.add(index)
            self._seen.add(index)
            self._last = index
        return mended

    @property
    def has_bare(self) -> bool:
        """Tell whether there is a call of which no arguments have come."""
        return len(self._told) < len(self._seen)

    def complete(self) -> list[dict[str, Any]]:
        """Give the pieces that say of such calls that they have none."""
        bare = sorted(self._seen - self._told)
        self._told |= self._seen
        return [{"index": index, "function": {"arguments": NO_ARGUMENTS}} for index in bare]


def _mend_arguments(function: dict[str, Any] | None) -> bool:
    if function is None:
        return False
    arguments = function.get("arguments")
    if arguments is None or type(arguments) is str:
        return False
    function["arguments"] = codec.dumps(arguments).decode()
    return True
