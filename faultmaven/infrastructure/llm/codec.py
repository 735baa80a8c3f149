"""JSON text to values and back, strictly: no NaN, no infinities, bounded depth.

orjson where it is installed (the extra `fast`), the standard library otherwise.  Both read the same;
in writing, orjson turns a number that is not finite into null, and the standard library refuses it.
"""

from __future__ import annotations

import json
from typing import Any

MAX_INTEGER_DIGITS = 1000

try:
    import orjson
except ModuleNotFoundError:
    orjson = None  # type: ignore[assignment]  # the fallback below is used instead


def _refuse_constant(name: str) -> Any:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _bounded_int(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        msg = f"an integer of {len(text)} digits is too long"
        raise ValueError(msg)
    return int(text)


_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_bounded_int).decode


def _stdlib_loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Parse one JSON document.

    Raises:
        ValueError: it is not strict JSON, not UTF-8, or nested too deep.
    """
    try:
        return _decode(data if isinstance(data, str) else bytes(data).decode("utf-8"))
    except RecursionError:
        msg = "nested too deep"
        raise ValueError(msg) from None


def _stdlib_dumps(value: Any) -> bytes:
    """Write one JSON document as UTF-8.

    Raises:
        ValueError: a number is not finite, or a string holds half a surrogate pair.
        TypeError: a value has no JSON form.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _orjson_dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # Integers beyond 64 bits and keys that are not strings: rare, and legal for json.
        return _stdlib_dumps(value)


def _stdlib_loads_mended(data: bytes | str) -> Any:
    """Parse a document that others wrote: half a surrogate pair in a string becomes U+FFFD.

    JSON can write one as an escape, and UTF-8, which we write, has none.

    Raises:
        ValueError: it is not strict JSON, not UTF-8, or nested too deep.
    """
    value = _stdlib_loads(data)
    if not _has_surrogate(data):
        return value
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _stdlib_loads(whole)


def _orjson_loads_mended(data: bytes | str) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        if not _has_surrogate(data):
            raise
        return _stdlib_loads_mended(data)


def dumps_mended(value: Any) -> bytes:
    """Write one JSON document as UTF-8; half a surrogate pair in a string becomes U+FFFD.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value has no JSON form.
    """
    try:
        return dumps(value)
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _has_surrogate(data: bytes | str) -> bool:
    mark: Any = "\\ud" if isinstance(data, str) else b"\\ud"
    return mark in data.lower()


_HAS_ORJSON: bool = orjson is not None

loads = orjson.loads if _HAS_ORJSON else _stdlib_loads
loads_mended = _orjson_loads_mended if _HAS_ORJSON else _stdlib_loads_mended
dumps = _orjson_dumps if _HAS_ORJSON else _stdlib_dumps
