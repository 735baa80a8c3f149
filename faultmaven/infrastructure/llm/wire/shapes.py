"""The shape of a request that came as a client's JSON, as far as dialects read it.

What a client wrote is looked at here once, before it is said in another dialect's words, so that the
dialects need not ask of every field whether it is what it should be.  Fields that nobody reads are free,
and null is the same as absent: some clients write it for empty lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faultmaven.infrastructure.llm.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

# Beyond it a float stands for several whole numbers.
_MAX_WHOLE: Final = 2**53

# A JSON type, an object, a list of things, or several of these.
One: TypeAlias = "type | Fields | Each"
Shape: TypeAlias = "One | tuple[One, ...]"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object, by the fields that are read."""

    fields: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose entries have one shape."""

    entry: Shape


_FILE: Final = Fields(dict.fromkeys(["file_data", "file_id", "file_url", "filename"], str))
_PART: Final = Fields({
    "type": str,
    "text": str,
    "image_url": (str, Fields({"url": str, "detail": str})),
    "file": _FILE,
    "input_audio": Fields({"data": str, "format": str}),
})  # fmt: skip
_CALL: Final = Fields({
    "id": str,
    "function": Fields({"name": str}),
    "extra_content": Fields({"google": Fields({"thought_signature": str})}),
})  # fmt: skip
_DETAIL: Final = Fields(
    {
        **dict.fromkeys(["type", "format", "text", "signature", "data", "id"], str),
        "index": int,
        "summary": (str, Each(str)),
    }
)
_MESSAGE: Final = Fields({
    "content": (str, Each(_PART)),
    "name": str,
    "reasoning": str,
    "reasoning_details": Each(_DETAIL),
    "tool_call_id": str,
    "tool_calls": Each(_CALL),
})  # fmt: skip
_FUNCTION: Final = Fields({"name": str, "description": str, "parameters": dict})
_REQUEST: Final[dict[str, Shape]] = {
    "messages": Each(_MESSAGE),
    "output_schema": dict,
    "reasoning_effort": str,
    "response_format": Fields({
        "type": str,
        "json_schema": Fields({"name": str, "schema": dict}),
    }),
    "stop": (str, Each(str)),
    "tool_choice": (str, Fields({"type": str, "function": Fields({"name": str})})),
    "tools": Each(Fields({"type": str, "function": _FUNCTION})),
}  # fmt: skip
_NAMES: Final[dict[type, str]] = {
    dict: "an object",
    int: "an integer",
    list: "a list",
    str: "a string",
}


def as_integer(value: Any) -> Any:
    """Give a whole number that was written with a point, 6.0, as an integer; all else as it is.

    JSON does not tell the two apart, and some languages have one kind of number only.  Anthropic's API
    and Google's take it.
    """
    if type(value) is float and value.is_integer() and abs(value) <= _MAX_WHOLE:
        return int(value)
    return value


def check_request(request: LLMRequest) -> LLMRequest:
    """Give a request back whose parts have the shapes that dialects read.

    Raises:
        InvalidRequestError: one has not; `code` is where it is.
    """
    for name, shape in _REQUEST.items():
        _check(getattr(request, name), shape, name)
    return request


def _check(value: object, shape: Shape, where: str) -> None:
    if value is None or type(value) is shape:
        return
    found = _fitting(value, shape)
    if found is None:
        raise _wrong(where, _names(shape))
    if isinstance(found, Fields) and isinstance(value, dict):
        for name, inner in value.items():
            expected = found.fields.get(name)
            # Most fields are text and shall be: their place is not written down for nothing.
            if expected is not None and type(inner) is not expected:
                _check(inner, expected, f"{where}.{name}")
    elif isinstance(found, Each) and isinstance(value, list):
        for place, entry in enumerate(value):
            inside = f"{where}[{place}]"
            if entry is None:
                raise _wrong(inside, _names(found.entry))
            _check(entry, found.entry, inside)


def _fitting(value: object, shape: Shape) -> One | None:
    for one in _alternatives(shape):
        if isinstance(value, _kind(one)) and not isinstance(value, bool):
            return one
    return None


def _alternatives(shape: Shape) -> tuple[One, ...]:
    return shape if isinstance(shape, tuple) else (shape,)


def _kind(shape: One) -> type:
    if isinstance(shape, Fields):
        return dict
    return list if isinstance(shape, Each) else shape


def _names(shape: Shape) -> str:
    return " or ".join(_NAMES[_kind(one)] for one in _alternatives(shape))


def _wrong(where: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"{where} must be {expected}.", code=where, status=400)
