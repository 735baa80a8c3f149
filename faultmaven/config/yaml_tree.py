"""YAML to plain data, safely and with the line of every value.

Only the types of JSON come out.  Refused: a key twice in one mapping, a tag, more than `MAX_NODES`
values or `MAX_DEPTH` levels after aliases are followed (an alias bomb), an alias inside itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.expand import MissingVariableError, expand

if TYPE_CHECKING:
    from collections.abc import Callable

Steps = tuple[str | int, ...]

MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 32
_TAG: Final = "tag:yaml.org,2002:"
_CONSTANTS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "false": False,
    "no": False,
    "off": False,
}


def parse_yaml(
    text: str, label: str, lookup: Callable[[str], str | None]
) -> tuple[Any, dict[Steps, int]]:
    """Read one document; give its data and the line of each path in it.

    Raises:
        ConfigFileError: the text is not YAML, or holds what is refused, or names a variable that is
            not set.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else None
        column = f" (column {mark.column + 1})" if mark else ""
        raise ConfigFileError(label, line, problem=f"is not YAML: {exc.problem}{column}") from None
    except (yaml.YAMLError, RecursionError) as exc:
        raise ConfigFileError(label, problem=f"is not YAML: {type(exc).__name__}") from None
    if root is None:
        return None, {}
    reader = _Reader(label, lookup)
    return reader.value(root, ()), reader.lines


class _Reader:
    def __init__(self, label: str, lookup: Callable[[str], str | None]) -> None:
        self.lines: dict[Steps, int] = {}
        self._label = label
        self._lookup = lookup
        self._count = 0

    def value(self, node: Any, path: Steps) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._error(node, path, "is too large or too deep once its aliases are followed")
        self.lines.setdefault(path, node.start_mark.line + 1)
        read = {"mapping": self._mapping, "sequence": self._sequence, "scalar": self._scalar}[
            node.id
        ]
        return read(node, path)

    def _mapping(self, node: Any, path: Steps) -> dict[str, Any]:
        self._check_tag(node, path, "map")
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merged(value_node, path)
                continue
            key = self._key(key_node, path)
            if key in data:
                raise self._error(
                    key_node, (*path, key), "is given twice", "Remove one of the two."
                )
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            data[key] = self.value(value_node, (*path, key))
        return merged | data

    def _merged(self, node: Any, path: Steps) -> dict[str, Any]:
        nodes = node.value if node.id == "sequence" else [node]
        merged: dict[str, Any] = {}
        for one in reversed(nodes):
            value = self.value(one, (*path, "<<"))
            if not isinstance(value, dict):
                raise self._error(one, path, "<< must name a mapping")
            merged |= value
        return merged

    def _key(self, node: Any, path: Steps) -> str:
        if node.id != "scalar":
            raise self._error(node, path, "has a key that is not text")
        return str(node.value)

    def _sequence(self, node: Any, path: Steps) -> list[Any]:
        self._check_tag(node, path, "seq")
        return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]

    def _scalar(self, node: Any, path: Steps) -> Any:
        kind = node.tag.removeprefix(_TAG)
        text: str = node.value
        try:
            if kind == "int":
                return _integer(text)
            if kind == "float":
                return _float(text)
        except ValueError:
            raise self._error(node, path, f"{text!r} is not a number") from None
        if kind == "bool":
            return _CONSTANTS[text.lower()]
        if kind == "null":
            return None
        if kind not in ("str", "timestamp"):
            raise self._error(node, path, f"has the tag {node.tag}", "Only plain YAML is read.")
        return self._expanded(node, text, path)

    def _expanded(self, node: Any, text: str, path: Steps) -> str:
        try:
            return expand(text, self._lookup)
        except MissingVariableError as exc:
            raise self._error(
                node, path, f"refers to {exc.name}, which is not set",
                f"Set {exc.name}, or write ${{{exc.name}:-default}}.",
            ) from None  # fmt: skip

    def _check_tag(self, node: Any, path: Steps, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            raise self._error(node, path, f"has the tag {node.tag}", "Only plain YAML is read.")

    def _error(self, node: Any, path: Steps, problem: str, remedy: str = "") -> ConfigFileError:
        dotted = ".".join(map(str, path))
        return ConfigFileError(self._label, node.start_mark.line + 1, dotted, problem, remedy)


def _integer(text: str) -> int:
    plain = text.replace("_", "").lower()
    if ":" in plain:
        raise ValueError(text)
    if plain.startswith("0") and plain.isdigit() and len(plain) > 1:
        return int(plain, 8)
    return int(plain, 0)


def _float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
