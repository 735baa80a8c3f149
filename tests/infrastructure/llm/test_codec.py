"""Both ways to read and write JSON do the same: orjson's, and the standard library's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm import codec

orjson = pytest.importorskip("orjson")

MENDING = [codec._orjson_loads_mended, codec._stdlib_loads_mended]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_one_writes_the_other_reads(value: Any) -> None:
    assert codec._stdlib_loads(codec._orjson_dumps(value)) == value
    assert orjson.loads(codec._stdlib_dumps(value)) == value


def test_integers_beyond_64_bits_are_written() -> None:
    assert codec._orjson_dumps({"n": 2**70}) == codec._stdlib_dumps({"n": 2**70})


@pytest.mark.parametrize("loads", [orjson.loads, codec._stdlib_loads], ids=["orjson", "json"])
@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b"[Infinity]", b'"\xff"', b"[" * 5000 + b"]" * 5000, b"{'a': 1}", b"[1,]"],
    ids=["empty", "cut", "nan", "infinity", "latin", "deep", "quotes", "comma"],
)
def test_what_is_no_json_is_refused(loads: Any, text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - both raise a kind of it with words of their own
        loads(text)


@pytest.mark.parametrize(
    "dumps", [codec._orjson_dumps, codec._stdlib_dumps], ids=["orjson", "json"]
)
@pytest.mark.parametrize("value", ["\ud800", {"a": object()}], ids=["surrogate", "object"])
def test_what_has_no_json_form_is_refused(dumps: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        dumps(value)


@pytest.mark.parametrize("make", [str, str.encode], ids=["text", "bytes"])
@pytest.mark.parametrize("loads", MENDING, ids=["orjson", "stdlib"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"a":"x\\ud83d y"}', {"a": "x\ufffd y"}),
        ('["\\uDE00", 1]', ["\ufffd", 1]),
        ('["\\ud83d\\ude00"]', ["\U0001f600"]),
        ('["\\\\ud83d"]', ["\\ud83d"]),
    ],
)
def test_half_surrogates_of_others_become_replacement_characters(written, read, loads, make):
    value = loads(make(written))

    assert value == read
    assert codec.dumps(value)


@pytest.mark.parametrize("loads", MENDING, ids=["orjson", "stdlib"])
@pytest.mark.parametrize("written", [b'{"a":"\\ud83d', b"NaN", b'["\\ud800", NaN]', b"\xff"])
def test_mending_is_no_licence(written, loads):
    with pytest.raises(ValueError, match=r"line|NaN|utf-8"):
        loads(written)
