"""Arguments that Vertex AI sends as values under JSON paths, written as JSON text piece by piece.

Sources: `FunctionCall.partial_args` of Google's API definitions (`tool.proto`), and traces of streams
in reports to clients that read them (read 2026-11-21).  No value says where its object or array ends,
and text goes on under the same path: both are closed only when something else comes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.wire.fields import malformed, text_in

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,9})\]"""
    r"""|\['(?P<single>(?:[^'\\]|\\.)*)'\]|\["(?P<double>(?:[^"\\]|\\.)*)"\]""",
    re.DOTALL,
)
_QUOTES = re.compile(r"""\\'|\\.|\"""", re.DOTALL)


class PartialArguments:
    """Writes one call's arguments in the order in which their values come."""

    def __init__(self) -> None:
        self._opened: list[_Container] = []
        self._path: list[str | int] = []
        self._has_text = False

    def write(self, values: Iterable[dict[str, Any]]) -> str:
        """Give the JSON text that further values add.

        Raises:
            ResponseFormatError: a value has no place behind those that came before it.
        """
        return "".join([self._write(value) for value in values])

    def close(self) -> str:
        """Give what the text lacks to be whole."""
        return self._leave(0) if self._opened else "{}"

    def _write(self, value: dict[str, Any]) -> str:
        path = _steps(text_in(value, "jsonPath"))
        if "stringValue" in value:
            text = codec.dumps(text_in(value, "stringValue")).decode()[1:-1]
            if self._has_text and path == self._path:
                return text
            opened = self._go_to(path) + '"' + text
            self._has_text = True
            return opened
        for name in ("numberValue", "boolValue", "nullValue"):
            if name in value:
                scalar = None if name == "nullValue" else value[name]
                return self._go_to(path) + codec.dumps(scalar).decode()
        # Only that the path goes on, or has ended.
        return ""

    def _go_to(self, path: list[str | int]) -> str:
        """Leave what is open beside the path, open what leads to it, and write its key."""
        shared = 0
        while shared < len(path) - 1 and path[: shared + 1] == self._path[: shared + 1]:
            shared += 1
        # The root is left only at the end.
        shared = min(shared, max(len(self._opened) - 1, 0))
        written = self._leave(shared + 1)
        for depth in range(shared, len(path)):
            if depth == len(self._opened):
                self._opened.append(_Container(is_array=isinstance(path[depth], int)))
                written += self._opened[-1].begin
            written += self._opened[-1].key(path[depth])
        self._path = path
        return written

    def _leave(self, depth: int) -> str:
        """End a text that is open, and all objects and arrays but the first ones."""
        written = '"' if self._has_text else ""
        self._has_text = False
        while len(self._opened) > depth:
            written += self._opened.pop().end
        return written


class _Container:
    """An object or array that is still open."""

    __slots__ = ("begin", "end", "keys")

    def __init__(self, *, is_array: bool) -> None:
        self.begin, self.end = "[]" if is_array else "{}"
        self.keys: set[str | int] = set()

    def key(self, step: str | int) -> str:
        """Give what stands before the value of a key or place that is new here."""
        comma = "," if self.keys else ""
        expected = len(self.keys) if self.begin == "[" else step
        fits = isinstance(step, int) == (self.begin == "[") and step == expected
        if not fits or step in self.keys:
            raise malformed(step, "partialArgs.jsonPath", "the next key or place of the arguments")
        self.keys.add(step)
        return comma if isinstance(step, int) else f"{comma}{codec.dumps(step).decode()}:"


def _steps(path: str) -> list[str | int]:
    """Take a JSON path (RFC 9535) apart: names and places, as in `$.foo.bar[0]['a b']`."""
    steps: list[str | int] = []
    place = 1
    while found := _STEP.match(path, place):
        place = found.end()
        if found["index"] is not None:
            steps.append(int(found["index"]))
        elif found["name"] is not None:
            steps.append(found["name"])
        else:
            steps.append(_unquoted(found["single"], found["double"]))
    if path[:1] != "$" or place != len(path) or not steps or isinstance(steps[0], int):
        raise malformed(path, "partialArgs.jsonPath", "the path of an argument")
    return steps


def _unquoted(single: str | None, double: str | None) -> str:
    """Read a quoted name, whose escapes are JSON's besides that of the single quote."""
    text = double
    if single is not None:
        text = _QUOTES.sub(lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), single)
    return str(codec.loads(f'"{text}"'))
