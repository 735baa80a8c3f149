"""The smallest JSON value that a JSON Schema allows, for answers made without a model."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 32

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "someone@example.com",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """Make a value that fits a schema; always the same one.

    Patterns, conditions and other constraints that relate fields to one another are not looked at.

    Args:
        schema: the schema.
        root: where `$ref` points into; None is the schema itself.
        depth: how deep in the value this is; a schema without end gives None at `MAX_DEPTH`.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    for name in ("enum", "examples"):
        if schema.get(name):
            return schema[name][0]
    if "$ref" in schema:
        return example_of(_resolve(str(schema["$ref"]), root), root, depth + 1)
    for name in ("anyOf", "oneOf"):
        if schema.get(name):
            return example_of(schema[name][0], root, depth + 1)
    for part in schema.get("allOf") or ():
        schema = _merge(schema, part if "$ref" not in part else _resolve(part["$ref"], root))
    return _example_of_type(schema, root, depth)


def _example_of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties") or {}
            wanted = schema.get("required") or ()
            return {name: example_of(properties.get(name, {}), root, depth + 1) for name in wanted}
        case "array":
            item = schema.get("items") or {}
            return [example_of(item, root, depth + 1) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            text = _FORMATS.get(str(schema.get("format")), "text")
            text = text.ljust(schema.get("minLength", 0), ".")
            return text[: schema.get("maxLength", len(text))]


def _number(schema: dict[str, Any]) -> int | float:
    if "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + 1
    else:
        least = schema.get("minimum", min(0, schema.get("maximum", 0)))
    step = schema.get("multipleOf")
    value: int | float = -(-least // step) * step if step else least
    return value


def _resolve(reference: str, root: Any) -> Any:
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
    return found


def _merge(schema: dict[str, Any], part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return schema
    return {
        **schema,
        **part,
        "properties": {**schema.get("properties", {}), **part.get("properties", {})},
        "required": [*schema.get("required", ()), *part.get("required", ())],
    }
