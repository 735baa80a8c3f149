"""Reading fields of a body that a provider sent: typed, or a `ResponseFormatError` that names them.

A field that is absent or null is empty; one of the wrong type is an error, never a guess.  Token
counts are the exception: a count that cannot be true is the same as none (it is then estimated).
"""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm.errors import ResponseFormatError

MAX_TOKEN_COUNT = 10**12


def malformed(value: object, where: str, expected: str) -> ResponseFormatError:
    """Build the error for a field of the wrong type."""
    found = "nothing" if value is None else f"a value of the type {type(value).__name__}"
    return ResponseFormatError(
        f"The provider's answer has {found} at {where!r} where {expected} belongs.",
        code="malformed_response",
    )


def as_object(value: object, where: str) -> dict[str, Any]:
    """Take a JSON object.

    Raises:
        ResponseFormatError: it is something else.
    """
    if isinstance(value, dict):
        return value
    raise malformed(value, where, "an object")


def object_in(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Take an object field; absent or null is `{}`.

    Raises:
        ResponseFormatError: it is something else.
    """
    value = data.get(name)
    return {} if value is None else as_object(value, name)


def list_in(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Take a field that is a list of objects; absent or null is `[]`.

    Raises:
        ResponseFormatError: it is something else.
    """
    value = data.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed(value, name, "a list")
    return [as_object(item, name) for item in value]


def text_in(data: dict[str, Any], name: str) -> str:
    """Take a text field; absent or null is `""`.

    Raises:
        ResponseFormatError: it is something else, a number too.
    """
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise malformed(value, name, "text")


def optional_text_in(data: dict[str, Any], name: str) -> str | None:
    """Take a text field; absent, null and `""` are None.

    Raises:
        ResponseFormatError: it is something else.
    """
    return text_in(data, name) or None


def count_in(data: object, name: str) -> int | None:
    """Take a token count; None where it is absent or cannot be one."""
    return count(data.get(name)) if isinstance(data, dict) else None


def count(value: object) -> int | None:
    """Give a token count, or None for what cannot be one (negative, text, absurd)."""
    if type(value) is int and 0 <= value <= MAX_TOKEN_COUNT:
        return value
    if type(value) is float and value.is_integer() and 0 <= value <= MAX_TOKEN_COUNT:
        return int(value)
    return None


def sum_of(*counts: int | None) -> int | None:
    """Add the counts that are known; None where none is."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None
