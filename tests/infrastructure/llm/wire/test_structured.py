"""Answers held against the schema that was asked for."""

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.wire.structured import first_problem

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [({"n": 1}, None), ({"n": "1"}, "$.n: '1' is not of type 'integer'"), (1, "$: 1 is not of")],
)
def test_first_problem_says_where_an_answer_breaks_its_schema(value, problem):
    found = first_problem(value, SCHEMA)

    assert found == problem or (problem and found.startswith(problem))


@pytest.mark.parametrize("junk", [1, True, [], {}, ["x"]])
@pytest.mark.parametrize("place", ["$schema", "type", "properties"])
def test_a_schema_that_is_none_is_named(place, junk):
    if (place, junk) in (("type", ["x"]), ("properties", {})):
        junk = {"type": 1}

    with pytest.raises(ConfigurationError) as caught:
        first_problem({"n": 1}, SCHEMA | {place: junk})

    assert caught.value.code == "invalid_schema"
