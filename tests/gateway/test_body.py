"""Bodies are read strictly, whoever wrote them and however large they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.gateway.body import MAX_DEPTH, parse_object
from faultmaven.gateway.faults import Fault

# Small bodies are looked at as bytes, large ones as what was parsed.
SIZES = [0, 1_000, 100_000]


def nested(levels: int, padding: int) -> bytes:
    """Write an object of so many levels; the innermost is an object with something in it."""
    inner = '{"a":' * (levels - 1) + '{"a":1}' + "}" * (levels - 1)
    return f'{{"padding":"{"x" * padding}",{inner[1:]}'.encode()


@pytest.mark.parametrize("padding", SIZES)
def test_as_many_levels_as_allowed_are_read(padding: int) -> None:
    raw = nested(MAX_DEPTH, padding)

    assert parse_object(raw) == json.loads(raw)


@pytest.mark.parametrize("padding", SIZES)
def test_one_level_more_is_refused(padding: int) -> None:
    with pytest.raises(Fault, match="nested deeper"):
        parse_object(nested(MAX_DEPTH + 1, padding))


@pytest.mark.parametrize("padding", SIZES)
def test_a_key_twice_is_refused_in_compact_json(padding: int) -> None:
    raw = b'{"padding":"%b","a":{"b":1,"b":2}}' % (b"x" * padding)

    with pytest.raises(Fault, match="'b' is there twice"):
        parse_object(raw)


@pytest.mark.parametrize(
    "raw",
    [rb'{"a":1,"\u0061":2}', rb'{"a\"":1,"a\u0022":2}', rb'{"a":"\u0022\u0022","b":1,"b":2}'],
    ids=["letter", "quote", "quotes elsewhere"],
)
def test_a_key_twice_is_refused_in_escapes(raw: bytes) -> None:
    with pytest.raises(Fault, match="twice"):
        parse_object(raw)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), min_size=1), st.data())
def test_a_key_twice_is_found_in_what_we_would_write(
    fields: dict[str, str], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(fields)))
    again = json.dumps({key: data.draw(st.text(max_size=4))}, separators=(",", ":"))
    text = json.dumps(fields, separators=(",", ":"))

    with pytest.raises(Fault, match="twice"):
        parse_object(f"{text[:-1]},{again[1:]}".encode())
