"""Both ways to read and write JSON do the same: orjson's, and the standard library's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm import codec

orjson = pytest.importorskip("orjson")

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
