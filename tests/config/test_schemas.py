"""The quick checker and jsonschema agree, whatever they are given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator

from faultmaven.config.schemas import _MAKERS, CONFIG_FILE, PROVIDER, accepts, faults, load_schema

FIELDS = sorted(load_schema(PROVIDER)["properties"])
STRUCTURE = {"$schema", "$id", "$ref", "$defs", "title", "description", "default", "properties"}
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5000)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["", "a", "A_KEY", "bearer", "active", "/path", "https://a.example", "warn", "a b\n"]
    )
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["path", "vars", "name", "match", "style", "drop", "clamp", "x-a", "tools"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "x-mine", "timeuot"]), VALUES, max_size=4))
@settings(deadline=None, max_examples=300)
def test_both_checkers_agree(row: dict[str, Any]) -> None:
    assert accepts(PROVIDER)(row) == (not faults(PROVIDER, row))


def keywords(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for name in ("properties", "patternProperties", "$defs"):
        for sub in schema.get(name, {}).values():
            found |= keywords(sub)
    for name in ("items", "additionalProperties"):
        found |= keywords(schema.get(name))
    return found


@pytest.mark.parametrize("name", [PROVIDER, CONFIG_FILE])
def test_the_schemas_use_only_what_the_quick_checker_knows(name: str) -> None:
    schema = load_schema(name)

    Draft202012Validator.check_schema(schema)
    assert keywords(schema) - STRUCTURE - {"patternProperties"} <= set(_MAKERS)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_row_is_described(field: str) -> None:
    schema = load_schema(PROVIDER)
    described = schema["properties"][field]
    if "$ref" in described:
        described = schema["$defs"][described["$ref"].rpartition("/")[2]]

    assert described["description"].endswith(("…", "."))
