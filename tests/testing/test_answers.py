"""What the fake model says: deterministic, and valid for the schema that is asked for."""

from __future__ import annotations

import contextlib
import json

import jsonschema
import pytest
from hypothesis import given, strategies as st

from faultmaven.testing.answers import (
    Question,
    Reply,
    SchemaError,
    make_answer,
    make_document,
    minimal_document,
    split_text,
)

SCHEMAS = [
    {},
    {"type": "object"},
    {"const": 5},
    {"enum": ["b", "a"]},
    {"type": ["string", "null"], "minLength": 9},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 7, "multipleOf": 5},
    {"type": "integer", "exclusiveMinimum": 3},
    {"type": "number", "maximum": -2},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}], "type": "object"},
    {
        "$defs": {
            "node": {"type": "object", "properties": {"x": {"enum": [1]}}, "required": ["x"]}
        },
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/node"}, "free": {"type": "string"}},
        "required": ["node"],
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_minimal_document_is_valid(schema):
    jsonschema.validate(minimal_document(schema, schema), schema)


def test_minimal_document_ends_for_a_schema_without_end():
    schema = {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}

    assert minimal_document(schema, schema)["me"]["me"]


@given(st.text())
def test_split_text_loses_nothing(text):
    assert "".join(split_text(text)) == text


def test_answers_are_the_same_for_the_same_question():
    question = Question(prompt_text="Hello", wants_reasoning=True)

    assert make_answer(question, Reply(), 1) == make_answer(question, Reply(), 1)
    assert make_answer(question, Reply(), 1).usage.reasoning_tokens > 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_WORDS = st.sampled_from([
    "$ref", "allOf", "anyOf", "const", "enum", "exclusiveMinimum", "format", "items", "maxLength",
    "maximum", "minItems", "minLength", "minimum", "multipleOf", "oneOf", "properties", "required",
    "type",
])  # fmt: skip
_KINDS = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
_SCHEMAS = st.dictionaries(_WORDS, _JSON | _KINDS | st.dictionaries(st.text(max_size=2), _JSON))


@given(_SCHEMAS)
def test_a_schema_has_a_document_or_is_none(schema):
    with contextlib.suppress(SchemaError):
        assert json.dumps(make_document(schema, "schema"))
