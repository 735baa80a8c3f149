"""The smallest value of a schema."""

import jsonschema
import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.wire.example import example_of

leaf_schemas = st.one_of(
    st.sampled_from([{"type": "string"}, {"type": "boolean"}, {"type": "null"}, {}]),
    st.integers(-5, 5).map(lambda n: {"type": "integer", "minimum": n}),
    st.integers(-5, 5).map(lambda n: {"type": "number", "exclusiveMinimum": n}),
    st.integers(-5, 5).map(lambda n: {"type": "integer", "maximum": n}),
    st.integers(1, 30).map(lambda n: {"type": "string", "minLength": n}),
    st.lists(st.integers(), min_size=1).map(lambda values: {"enum": values}),
)
schemas = st.recursive(
    leaf_schemas,
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=5), inner, max_size=4).map(
            lambda p: {"type": "object", "properties": p, "required": sorted(p)}
        ),
        st.builds(
            lambda items, n: {"type": "array", "items": items, "minItems": n},
            inner,
            st.integers(0, 3),
        ),
        inner.map(lambda s: {"anyOf": [s, {"type": "null"}]}),
    ),
    max_leaves=8,
)


@given(schemas)
def test_example_of_fits_its_schema(schema):
    jsonschema.validate(example_of(schema), schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"const": 7}, 7, id="const"),
        pytest.param({"type": "integer", "default": 5}, 5, id="default"),
        pytest.param({"type": ["string", "null"]}, "text", id="list of types"),
        pytest.param({"type": "string", "format": "date"}, "2026-01-01", id="format"),
        pytest.param({"type": "string", "maxLength": 2}, "te", id="maxLength"),
        pytest.param({"type": "integer", "minimum": 5, "multipleOf": 4}, 8, id="multipleOf"),
        pytest.param({"properties": {"a": {}}, "required": ["a"]}, {"a": "text"}, id="no type"),
        pytest.param({"type": "object", "properties": {"a": {}}}, {}, id="nothing required"),
        pytest.param(
            {"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, False, id="reference"
        ),
        pytest.param(
            {
                "allOf": [
                    {"properties": {"a": {"type": "null"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "null"}}, "required": ["b"]},
                ],
                "type": "object",
            },
            {"a": None, "b": None},
            id="allOf",
        ),
        pytest.param({"$ref": "#/nowhere"}, None, id="dangling reference"),
        pytest.param({"$ref": "#"}, None, id="endless"),
        pytest.param(True, None, id="anything"),
    ],
)
def test_example_of_known_schemas(schema, value):
    assert example_of(schema) == value
