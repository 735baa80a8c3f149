from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.wire.model_rules import find_rule

BY_EXPRESSION = {"match": "/^o[0-9]/", "params": {"drop": ["temperature"]}}
BY_PATTERN = {"match": "llama-3*", "content": "string"}
ANY = {"match": "*", "stream_usage": "none"}


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("o3-pro", BY_EXPRESSION),
        ("llama-3.3-70b", BY_PATTERN),
        ("my-llama-3", ANY),
        ("foo3", ANY),
    ],
)
def test_the_first_rule_that_matches_is_found(model, rule):
    assert find_rule({"model_rules": [BY_EXPRESSION, BY_PATTERN, ANY]}, model) is rule


@pytest.mark.parametrize(
    "row", [{}, {"model_rules": []}, {"model_rules": [BY_PATTERN]}], ids=["none", "empty", "other"]
)
def test_a_row_without_a_rule_for_the_model_has_none(row):
    assert find_rule(row, "o3-pro") is None
