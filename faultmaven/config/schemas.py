"""The JSON Schemas of `schemas/`: accepted quickly, explained fully.

`accepts` answers yes or no with a small checker of its own, so that starting up with a sound
configuration never imports jsonschema; `faults` uses jsonschema to say everything that is wrong.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faultmaven.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema.exceptions import ValidationError

    Check = Callable[[Any], bool]

PROVIDER: Final = "provider.schema.json"
CONFIG_FILE: Final = "faultmaven.schema.json"
DIALECT: Final = "dialect.schema.json"
MAX_SHOWN_CHARS: Final = 60


class Fault(NamedTuple):
    """One thing wrong in a document: where, what, and what to do ("" for nothing to add)."""

    path: tuple[str | int, ...]
    problem: str
    remedy: str


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Read a schema, from the package or from the source tree's top-level `schemas/`."""
    from importlib.resources import files

    package = files("faultmaven")
    found = package.joinpath("schemas", name)
    if not found.is_file():
        found = package.joinpath("..", "schemas", name)
    schema: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return schema


@cache
def accepts(name: str) -> Check:
    """Give the function that tells whether a document is valid by a schema."""
    return _compile({"$ref": name}, name)


def _accepts_dialect(value: Any) -> bool:
    return accepts(DIALECT)(value)


def faults(name: str, document: object) -> list[Fault]:
    """Say everything that is wrong with a document; empty for a valid one."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    schemas = [load_schema(PROVIDER), load_schema(DIALECT), load_schema(name)]
    registry: Registry[Any] = Registry().with_resources(
        [(schema["$id"], Resource.from_contents(schema)) for schema in schemas]
    )
    validator = Draft202012Validator(load_schema(name), registry=registry)
    found = [fault for error in validator.iter_errors(document) for fault in _faults_of(error)]
    return sorted(found, key=lambda fault: tuple(map(str, fault.path)))


def _faults_of(error: ValidationError) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    schema: Any = error.schema
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        instance: Any = error.instance
        for key in instance:
            if key not in known and not any(re.search(p, str(key)) for p in patterns):
                remedy = (
                    did_you_mean(str(key), known) or "Known are: " + ", ".join(sorted(known)) + "."
                )
                yield Fault((*path, key), "unknown field", remedy)
        return
    described = schema.get("description", "")
    yield Fault(path, _sentence(error), described)


def _sentence(error: ValidationError) -> str:
    shown = repr(error.instance)
    if len(shown) > MAX_SHOWN_CHARS:
        shown = f"{shown[:MAX_SHOWN_CHARS]}…"
    told = _SENTENCES.get(str(error.validator))
    if told is None:
        return error.message
    if error.validator == "enum":
        allowed: Any = error.validator_value
        words = [str(word) for word in allowed]
        hint = did_you_mean(str(error.instance), words)
        return f"{shown} is not one of {', '.join(words)}. {hint}".rstrip()
    if error.validator == "required":
        return error.message
    return f"{shown} {told} {_shown_limit(error)}".rstrip()


def _shown_limit(error: ValidationError) -> str:
    schema: Any = error.schema
    if error.validator == "type":
        kinds: Any = error.validator_value
        return " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if error.validator == "pattern":
        return ""
    ranged = [f"{word} {_number(schema[key])}" for key, word in _BOUNDS.items() if key in schema]
    return " and ".join(ranged) or str(error.validator_value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


_BOUNDS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
}
_SENTENCES: Final = {
    "enum": "is not one of",
    "required": "lacks",
    "type": "must be of type",
    "pattern": "is not in the expected form",
    "minimum": "must be",
    "maximum": "must be",
    "exclusiveMinimum": "must be",
}


def _compile(schema: Any, document: str) -> Check:
    if isinstance(schema, bool):
        return lambda _: schema
    if reference := schema.get("$ref"):
        return _reference(reference, document)
    checks = [make(schema, document) for key, make in _MAKERS.items() if key in schema]
    if len(checks) == 1:
        return checks[0]
    return lambda value: all(check(value) for check in checks)


def _reference(reference: str, document: str) -> Check:
    file, _, pointer = reference.partition("#")
    name = file or document
    if file == DIALECT != document:
        # Few rows have a dialect of their own: its schema is read when the first one does.
        return _accepts_dialect
    schema: Any = load_schema(name)
    for step in pointer.split("/")[1:]:
        schema = schema[step]
    return _compile(schema, name)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return _is_number(value) and (isinstance(value, int) or float(value).is_integer())  # type: ignore[arg-type]  # a number by then


_TYPES: Final[dict[str, Check]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": _is_integer,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(schema: Mapping[str, Any], _: str) -> Check:
    kinds = schema["type"]
    if isinstance(kinds, str):
        return _TYPES[kinds]
    checks = [_TYPES[kind] for kind in kinds]
    return lambda value: any(check(value) for check in checks)


def _enum(schema: Mapping[str, Any], _: str) -> Check:
    words = frozenset(schema["enum"])  # every enum of ours is of strings
    return lambda value: isinstance(value, str) and value in words


def _pattern(schema: Mapping[str, Any], _: str) -> Check:
    search = re.compile(schema["pattern"]).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _bound(
    key: str, holds: Callable[[Any, Any], bool]
) -> Callable[[Mapping[str, Any], str], Check]:
    def make(schema: Mapping[str, Any], _: str) -> Check:
        limit = schema[key]
        return lambda value: not _is_number(value) or holds(value, limit)

    return make


def _length(key: str, kind: type[Any], holds: Callable[[int, int], bool]) -> Callable[..., Check]:
    def make(schema: Mapping[str, Any], _: str) -> Check:
        limit = schema[key]
        return lambda value: not isinstance(value, kind) or holds(len(value), limit)

    return make


def _required(schema: Mapping[str, Any], _: str) -> Check:
    names = schema["required"]
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _items(schema: Mapping[str, Any], document: str) -> Check:
    check = _compile(schema["items"], document)
    return lambda value: not isinstance(value, list) or all(check(item) for item in value)


def _members(schema: Mapping[str, Any], document: str) -> Check:
    """Check `properties`, `patternProperties` and `additionalProperties`, which belong together."""
    named = {key: _compile(sub, document) for key, sub in schema.get("properties", {}).items()}
    patterns = [
        (re.compile(key).search, _compile(sub, document))
        for key, sub in schema.get("patternProperties", {}).items()
    ]
    other = _compile(schema.get("additionalProperties", True), document)

    def check(value: Any) -> bool:
        return not isinstance(value, dict) or all(member(*item) for item in value.items())

    def member(key: Any, value: Any) -> bool:
        if not isinstance(key, str):
            return False
        by_name = named.get(key)
        by_pattern = [sub for search, sub in patterns if search(key)]
        if by_name is None and not by_pattern:
            return other(value)
        return (by_name is None or by_name(value)) and all(sub(value) for sub in by_pattern)

    return check


_MAKERS: Final[dict[str, Callable[[Mapping[str, Any], str], Check]]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _bound("minimum", lambda value, limit: not value < limit),
    "maximum": _bound("maximum", lambda value, limit: not value > limit),
    "exclusiveMinimum": _bound("exclusiveMinimum", lambda value, limit: not value <= limit),
    "minLength": _length("minLength", str, lambda size, limit: size >= limit),
    "minItems": _length("minItems", list, lambda size, limit: size >= limit),
    "maxItems": _length("maxItems", list, lambda size, limit: size <= limit),
    "required": _required,
    "items": _items,
    "additionalProperties": _members,
}
