"""What becomes of parameters at one model, and that nothing of it is silent."""

import sys

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.catalog import ModelInfo, get_catalog
from faultmaven.infrastructure.llm.errors import UnsupportedParameterError
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.types import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    LLMRequest,
    is_default,
    make_request,
)
from faultmaven.infrastructure.llm.wire.parameters import make_rules

TOOLS = [{"type": "function", "function": {"name": n}} for n in ("f", "g")]
NAMED = {"type": "function", "function": {"name": "g"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def ask(**options):
    return make_request("Hi", options=options)


def adapt(row, request, *, info=None, **settings):
    report = []
    return make_rules(row, "m", info, **settings).adapt(request, report), report


def test_a_typed_default_is_the_callers():
    typed = ask(temperature=float("0.7"), max_tokens=int("1000"))

    assert is_default(make_request("Hi").temperature)
    assert is_default(make_request("Hi").max_tokens)
    assert not is_default(typed.temperature)
    assert not is_default(typed.max_tokens)
    assert not is_default(0.7)
    assert not is_default(1000)
    assert (DEFAULT_TEMPERATURE, DEFAULT_MAX_TOKENS) == (0.7, 1000)


def test_a_typed_default_survives_being_written_as_data():
    back = LLMRequest.from_dict(LLMRequest([], temperature=0.7).to_dict())

    assert not is_default(back.temperature)
    assert is_default(LLMRequest.from_dict(LLMRequest([]).to_dict()).temperature)


@pytest.mark.parametrize("name", BUILTIN_ROWS)
def test_a_plain_call_is_no_reason_to_complain_at_any_provider(name):
    row = {**BUILTIN_ROWS[name], "on_unsupported": "error"}
    model = row.get("default_model") or "m"
    info = get_catalog().find(row.get("catalog") or row.get("base") or name, model)
    rules, report = make_rules(row, model, info), []

    adapted = rules.adapt(make_request("Hi"), report)
    sent = {"temperature": adapted.temperature, "max_tokens": adapted.max_tokens}
    rules.finish({n: v for n, v in sent.items() if v is not None}, report)

    assert report == []


def test_nothing_to_do_gives_the_same_request():
    request = ask(temperature=0, tools=TOOLS)

    adapted, report = adapt({}, request, takes_cache_marks=False)

    assert adapted is request
    assert report == []


def test_a_default_goes_without_a_word():
    adapted, report = adapt({"params": {"drop": ["temperature"]}}, make_request("Hi"))

    assert adapted.temperature is None
    assert report == []


@pytest.mark.parametrize("value", [0, 0.7, 0.2, 1])
def test_a_callers_own_value_is_reported(value):
    request = ask(temperature=value)

    adapted, report = adapt({"params": {"drop": ["temperature"]}}, request)

    assert (adapted.temperature, request.temperature) == (None, value)
    assert report == ["temperature was not sent: m does not take it"]


@pytest.mark.parametrize(
    ("capability", "options"),
    [
        ("temperature", {"temperature": 0.1}),
        ("tools", {"tools": TOOLS, "tool_choice": "required"}),
        ("reasoning", {"reasoning_effort": "high"}),
        ("seed", {"seed": 1}),
        ("logprobs", {"logprobs": True}),
    ],
)
def test_what_the_catalog_says_a_model_lacks_is_not_sent(capability, options):
    info = ModelInfo("p", "m", lacks=frozenset({capability}))

    adapted, report = adapt({}, ask(**options), info=info)

    assert len(report) == 1
    assert [getattr(adapted, name, None) for name in options] == [None] * len(options)
    assert adapted.extra == {}


def test_the_row_knows_better_than_the_catalog_where_it_names_the_model():
    info = ModelInfo("p", "m", lacks=frozenset({"tools"}))
    named = {"models": [{"name": "m", "capabilities": {"tools": True}}]}
    ruled = {"model_rules": [{"match": "m*", "capabilities": {"tools": True}}]}
    general = {"capabilities": {"tools": True}}

    kept = [adapt(row, ask(tools=TOOLS), info=info)[0].tools for row in (named, ruled, general)]

    assert kept == [TOOLS, TOOLS, None]


@pytest.mark.parametrize(
    "options",
    [
        {"reasoning_effort": "none"},
        {"n": 1},
        {"logprobs": False},
        {"parallel_tool_calls": False},
        {"frequency_penalty": 0},
    ],
)
def test_a_value_that_asks_for_nothing_is_not_missed(options):
    row = {"params": {"drop": list(options)}, "on_unsupported": "error"}

    adapted, report = adapt(row, ask(**options))

    assert adapted.extra == {}
    assert adapted.reasoning_effort is None
    assert report == []


@pytest.mark.parametrize(
    ("row", "options", "parameter"),
    [
        ({"params": {"drop": ["seed"]}}, {"seed": 1}, "seed"),
        ({"params": {"drop": ["n"]}}, {"n": 2}, "n"),
        ({"params": {"clamp": {"temperature": [0, 1]}}}, {"temperature": 1.5}, "temperature"),
        (
            {"tool_choice": {"required": None}},
            {"tools": TOOLS, "tool_choice": "required"},
            "tool_choice",
        ),
        (
            {"capabilities": {"images": False}},
            {"messages": [{"role": "user", "content": [IMAGE]}]},
            "messages",
        ),
    ],
)
def test_error_refuses(row, options, parameter):
    request = LLMRequest.from_dict({"messages": [], **options})

    with pytest.raises(UnsupportedParameterError) as caught:
        adapt({**row, "on_unsupported": "error"}, request)

    assert caught.value.parameter == parameter
    assert not caught.value.retryable


def test_images_go_to_a_blind_model_and_are_told_of():
    request = LLMRequest([{"role": "user", "content": [IMAGE]}])

    adapted, report = adapt({"capabilities": {"images": False}}, request)

    assert adapted is request
    assert len(report) == 1


@pytest.mark.parametrize(
    ("bounds", "value", "sent", "said"),
    [
        ([0, 1], 1.5, 1, 1),
        ([0.01, None], 0, 0.01, 1),
        ([None, 1], -5, -5, 0),
        ([0, 1], 0.3, 0.3, 0),
        ([0, 0.5], DEFAULT_TEMPERATURE, 0.5, 0),
    ],
)
def test_numbers_are_brought_into_range(bounds, value, sent, said):
    row = {"params": {"clamp": {"temperature": bounds}}}

    adapted, report = adapt(row, ask(temperature=value))

    assert adapted.temperature == sent
    assert len(report) == said


@pytest.mark.parametrize(
    ("words", "choice", "sent", "tools", "said"),
    [
        ({"required": "any"}, "required", "any", TOOLS, 0),
        ({"required": "any"}, "auto", "auto", TOOLS, 0),
        ({"required": None}, "required", None, TOOLS, 1),
        ({"auto": None}, "auto", None, TOOLS, 0),
        ({"none": None}, "none", None, None, 0),
        ({"function": "any"}, NAMED, "any", TOOLS[1:], 0),
        ({"function": None}, NAMED, "required", TOOLS[1:], 0),
        ({"function": None, "required": "any"}, NAMED, "any", TOOLS[1:], 0),
        ({"function": None, "required": None}, NAMED, None, TOOLS, 1),
        ({}, NAMED, NAMED, TOOLS, 0),
    ],
)
def test_tool_choice_is_said_in_the_hosts_words(words, choice, sent, tools, said):
    rules, report = make_rules({"tool_choice": words}, "m"), []

    adapted = rules.adapt(ask(tools=TOOLS, tool_choice=choice), report)
    body = {"tools": adapted.tools, "tool_choice": adapted.tool_choice}
    body = rules.finish({k: v for k, v in body.items() if v is not None}, report)

    assert (body.get("tool_choice"), body.get("tools")) == (sent, tools)
    assert len(report) == said


@pytest.mark.parametrize(
    ("params", "body", "sent", "said"),
    [
        ({"rename": {"seed": "random_seed"}}, {"seed": 1}, {"random_seed": 1}, 0),
        ({"rename": {"a": "b"}}, {"a": 1, "b": 2}, {"b": 2}, 1),
        ({"rename": {"a": "b"}}, {"a": DEFAULT_MAX_TOKENS, "b": 2}, {"b": 2}, 0),
        ({"defaults": {"x": 1}}, {}, {"x": 1}, 0),
        ({"defaults": {"x": 1}}, {"x": 2}, {"x": 2}, 0),
        ({"drop": ["top_k"]}, {"top_k": 4}, {}, 1),
    ],
)
def test_a_finished_body_gets_the_hosts_names(params, body, sent, said):
    report = []

    assert make_rules({"params": params}, "m").finish(body, report) == sent
    assert len(report) == said


def test_another_limit_takes_the_place_of_the_default_one():
    adapted, report = adapt({}, ask(max_completion_tokens=5))

    assert (adapted.max_tokens, adapted.extra) == (None, {"max_completion_tokens": 5})
    assert report == []


MARK = {"cache_control": {"type": "ephemeral"}}
MARKED = LLMRequest(
    [
        {"role": "system", "content": [{"type": "text", "text": "S", **MARK}]},
        {"role": "user", "content": "Hi", **MARK},
    ],
    tools=[{**TOOLS[0], **MARK}, {"type": "function", "function": {"name": "g", **MARK}}],
)


def test_cache_marks_go_where_they_are_not_taken():
    adapted, report = adapt({}, MARKED, takes_cache_marks=False)

    assert adapted.messages == [
        {"role": "system", "content": [{"type": "text", "text": "S"}]},
        {"role": "user", "content": "Hi"},
    ]
    assert adapted.messages[0].role == "system"
    assert adapted.tools == TOOLS
    assert "cache_control" in MARKED.messages[1]
    assert report == ["cache_control was not sent: m does not take it"]


def test_cache_marks_stay_where_they_are_taken():
    assert adapt({"cache_control": True}, MARKED, takes_cache_marks=False) == (MARKED, [])
    assert adapt({}, MARKED) == (MARKED, [])


def test_a_clients_body_is_treated_like_a_request():
    row = {
        "params": {"drop": ["seed"], "clamp": {"temperature": [0, 1]}, "rename": {"a": "b"}},
        "tool_choice": {"required": "any"},
    }
    body = {
        "messages": [{"role": "user", "content": "Hi", **MARK}], "seed": 1, "temperature": 2,
        "a": 1, "tools": TOOLS, "tool_choice": "required",
    }  # fmt: skip
    report = []

    sent = make_rules(row, "m", takes_cache_marks=False).adapt_body(body, report)

    assert sent == {
        "messages": [{"role": "user", "content": "Hi"}], "temperature": 1, "b": 1,
        "tools": TOOLS, "tool_choice": "any",
    }  # fmt: skip
    assert len(report) == 3


def test_a_dialect_may_name_what_it_has_no_place_for():
    rules, report = make_rules({}, "m"), []

    adapted = rules.leave_out(ask(seed=1, n=2, stop="x"), ("seed", "n", "top_p"), report)

    assert (adapted.seed, adapted.extra, adapted.stop) == (None, {}, "x")
    assert len(report) == 2


@given(
    drop=st.lists(st.sampled_from(["temperature", "seed", "n", "tools", "stop", "top_p"])),
    seed=st.none() | st.integers(),
    stop=st.none() | st.text(min_size=1),
    n=st.integers(2, 5),
)
def test_nothing_the_caller_set_vanishes_without_a_sentence(drop, seed, stop, n):
    request = ask(seed=seed, stop=stop, n=n, temperature=0.5)

    adapted, report = adapt({"params": {"drop": drop}}, request)

    for name in ("seed", "stop", "temperature", "n"):
        before = request.extra.get(name) if name == "n" else getattr(request, name)
        after = adapted.extra.get(name) if name == "n" else getattr(adapted, name)
        assert after == before or any(name in sentence for sentence in report)


@pytest.mark.parametrize("messages", [0, 4, 400])
def test_rules_that_do_not_apply_only_look_once_at_each_message(messages):
    rules = make_rules({}, "m", takes_cache_marks=False)
    request = LLMRequest([{"role": "user", "content": "Hi"}] * messages, tools=TOOLS)
    body, before, called, report = {"model": "m"}, {"model": "m"}, [], []

    def see(frame, event, _):
        if event == "call":
            called.append(frame.f_code.co_name)

    sys.setprofile(see)
    try:
        finished, adapted = rules.finish(body, report), rules.adapt(request, report)
    finally:
        sys.setprofile(None)

    assert finished is body == before
    assert adapted is request
    assert not report
    assert len(called) - messages - len(TOOLS) <= 4, called
