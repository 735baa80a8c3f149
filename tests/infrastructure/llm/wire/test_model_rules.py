from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.wire.model_rules import row_for_model

ROW = {
    "content": "parts",
    "params": {"drop": ["n"]},
    "model_rules": [
        {"match": "/^o[0-9]/", "params": {"drop": ["temperature"]}},
        {"match": "llama-3*", "content": "string"},
        {"match": "*", "stream_usage": "none"},
    ],
}


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        ("o3-pro", "params", {"drop": ["temperature"]}),
        ("llama-3.3-70b", "content", "string"),
        ("llama-3.3-70b", "params", {"drop": ["n"]}),
        ("my-llama-3", "content", "parts"),
        ("my-llama-3", "stream_usage", "none"),
        ("foo3", "params", {"drop": ["n"]}),
    ],
)
def test_the_first_rule_that_matches_takes_the_place_of_the_rows_fields(model, field, value):
    assert row_for_model(ROW, model)[field] == value


def test_a_row_without_rules_is_given_as_it_is():
    row = {"content": "string"}

    assert row_for_model(row, "any") is row
