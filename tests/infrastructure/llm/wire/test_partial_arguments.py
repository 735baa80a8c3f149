"""Arguments in pieces: any object comes out as it was, and what has no place is refused."""

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.wire.partial_arguments import PartialArguments
from faultmaven.testing.dialects.gemini import call_pieces

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
# What is empty has no value that a piece could hold.
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text(), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def written(values):
    arguments = PartialArguments()
    return "".join([arguments.write([value]) for value in values]) + arguments.close()


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_arguments_come_out_as_they_were(whole):
    parts = call_pieces({"functionCall": {"id": "c", "name": "f", "args": whole}})
    values = [value for part in parts for value in part["functionCall"].get("partialArgs", ())]

    assert json.loads(written(values)) == whole


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.a", {"a": 1}),
        ("$['a b']", {"a b": 1}),
        ("$['it\\'s \"so\"\\n']", {'it\'s "so"\n': 1}),
        ('$["\\u00fc"].x[0][0]', {"ü": {"x": [[1]]}}),
    ],
)
def test_paths_are_read(path, expected):
    assert json.loads(written([{"jsonPath": path, "numberValue": 1}])) == expected


@pytest.mark.parametrize(
    "paths",
    [
        ["a"],
        ["$"],
        ["$[0]"],
        ["$.a.", "$.b"],
        ["$..a"],
        ["$.a[1]"],
        ["$.a", "$.a"],
        ["$.a.b", "$.c", "$.a.d"],
        ["$.a[0]", "$.a.b"],
        ["$.a", "$.a.b"],
        [None],
    ],
    ids=str,
)
def test_values_without_a_place_are_refused(paths):
    with pytest.raises(ResponseFormatError, match=r"partialArgs\.jsonPath"):
        written([{"jsonPath": path, "numberValue": 1} for path in paths])


def test_a_path_without_value_adds_nothing():
    assert written([{"jsonPath": "$.a", "willContinue": True}]) == "{}"


def test_text_goes_on_until_another_path_comes():
    values = [{"jsonPath": "$.a", "stringValue": text} for text in ("x", "", "y")]

    assert written(values) == '{"a":"xy"}'


@given(st.lists(st.text("$.a[]0'\\\" ", max_size=12), max_size=4))
def test_any_paths_are_read_or_refused(paths):
    try:
        text = written([{"jsonPath": path, "stringValue": "v"} for path in paths])
    except ResponseFormatError:
        return

    json.loads(text)
