from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.errors import UnsupportedParameterError
from faultmaven.infrastructure.llm.wire.parameters import apply_rules


@pytest.mark.parametrize(
    ("rules", "body", "sent", "said"),
    [
        pytest.param({}, {"seed": 1}, {"seed": 1}, 0, id="no rule"),
        pytest.param({"drop": ["seed"]}, {"seed": 1, "n": 2}, {"n": 2}, 1, id="drop"),
        pytest.param({"drop": ["seed"]}, {"n": 2}, {"n": 2}, 0, id="nothing to drop"),
        pytest.param(
            {"rename": {"seed": "random_seed"}}, {"seed": 1}, {"random_seed": 1}, 0, id="rename"
        ),
        pytest.param({"clamp": {"t": [0, 1]}}, {"t": 1.5}, {"t": 1}, 1, id="too high"),
        pytest.param({"clamp": {"t": [0.01, None]}}, {"t": 0}, {"t": 0.01}, 1, id="too low"),
        pytest.param({"clamp": {"t": [None, 1]}}, {"t": -5}, {"t": -5}, 0, id="no lower bound"),
        pytest.param({"defaults": {"x": 1}}, {}, {"x": 1}, 0, id="default"),
        pytest.param({"defaults": {"x": 1}}, {"x": 2}, {"x": 2}, 0, id="own value"),
        pytest.param(
            {"tool_choice": {"required": "any"}},
            {"tool_choice": "required"},
            {"tool_choice": "any"},
            0,
            id="another word",
        ),
        pytest.param(
            {"tool_choice": {"required": "any"}},
            {"tool_choice": "auto"},
            {"tool_choice": "auto"},
            0,
            id="the same word",
        ),
        pytest.param(
            {"tool_choice": {"required": None}}, {"tool_choice": "required"}, {}, 1, id="no word"
        ),
        pytest.param(
            {"tool_choice": {"function": "any"}},
            {"tool_choice": {"type": "function"}},
            {"tool_choice": "any"},
            0,
            id="a word for a named function",
        ),
        pytest.param(
            {"tool_choice": None}, {"tool_choice": "auto"}, {"tool_choice": "auto"}, 0, id="none"
        ),
    ],
)
def test_rules_change_the_body_and_say_so(rules, body, sent, said):
    report: list[str] = []

    assert apply_rules(body, rules, report) == sent
    assert len(report) == said


def test_error_refuses_and_drop_is_silent():
    with pytest.raises(UnsupportedParameterError, match="seed"):
        apply_rules({"seed": 1}, {"drop": ["seed"]}, [], on_unsupported="error")

    report: list[str] = []
    assert apply_rules({"seed": 1}, {"drop": ["seed"]}, report, on_unsupported="drop") == {}
    assert report == []
