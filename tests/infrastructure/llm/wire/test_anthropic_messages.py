"""Requests to Anthropic Messages, and answers that no recording has."""

import pytest

from faultmaven.infrastructure.llm.errors import (
    OverloadedError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    count_request_to_wire,
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": False}},
    "additionalProperties": False,
}


def to_wire(messages="Hi", model="claude-opus-5", options=None, limit=4096, **fields):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    fields = {"temperature": None, **fields}
    request = LLMRequest(messages, **fields)
    return request_to_wire(request, model, options=options, max_tokens_default=limit)


def turns(*messages):
    return to_wire(list(messages))["messages"]


def test_plain_request_has_only_what_is_needed():
    assert to_wire("Hi") == {
        "model": "claude-opus-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_settings_have_their_own_names():
    body = to_wire(
        max_tokens=9, temperature=0, top_p=0.5, stop=["x", ""], stream=True, seed=3,
        metadata={"user_id": 7, "team": "a"}, extra={"top_k": 5},
    )  # fmt: skip

    assert body["max_tokens"] == 9
    assert (body["temperature"], body["top_p"], body["top_k"], body["seed"]) == (0, 0.5, 5, 3)
    assert (body["stop_sequences"], body["stream"]) == (["x"], True)
    assert body["metadata"] == {"user_id": "7"}


def test_system_texts_leave_the_turns():
    request = make_request(
        [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "Hi"},
            {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        ],
        options={"system_prompt": "zero"},
    )
    body = request_to_wire(request, "m")

    assert body["system"] == "zero\n\none\n\ntwo"
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


def test_cache_marks_are_kept():
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = to_wire(
        [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": mark}]},
            {"role": "user", "content": "Hi", "cache_control": mark},
        ],
        tools=[{**TOOL, "cache_control": mark}],
    )

    assert body["system"] == [{"type": "text", "text": "s", "cache_control": mark}]
    assert body["messages"][0]["content"][0]["cache_control"] == mark
    assert body["tools"][0]["cache_control"] == mark


PARTS = {
    "data image": (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ),
    "linked image": (
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    ),
    "pdf": (
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        },
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            "title": "a.pdf",
        },
    ),
    "text file": (
        {"type": "file", "file": {"file_data": "data:text/markdown;base64,aMOp"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}},
    ),
    "uploaded file": (
        {"type": "file", "file": {"file_id": "f_1"}},
        {"type": "document", "source": {"type": "file", "file_id": "f_1"}},
    ),
    "own block": (
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ),
}


@pytest.mark.parametrize(("part", "block"), PARTS.values(), ids=PARTS)
def test_part_becomes_a_block(part, block):
    assert turns({"role": "user", "content": [part]}) == [{"role": "user", "content": [block]}]


def test_audio_is_refused():
    part = {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}
    with pytest.raises(UnsupportedParameterError, match="transcript"):
        turns({"role": "user", "content": [part]})


def test_tool_loop_becomes_alternating_turns():
    other = {**CALL, "id": "c 2", "function": {"name": "now", "arguments": ""}}
    found = turns(
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "", "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c 2", "content": "", "is_error": True},
        {"role": "user", "content": "and?"},
    )

    assert found[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "c_2", "name": "now", "input": {}},
    ]
    assert found[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "3"},
            {"type": "tool_result", "tool_use_id": "c_2", "is_error": True},
            {"type": "text", "text": "and?"},
        ],
    }


def test_thinking_goes_back_first_and_only_where_it_is_readable():
    found = turns(
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": "Done",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "sig"},
                {"type": "reasoning.encrypted", "data": "xyz"},
                {"type": "reasoning.text", "text": "unsigned"},
                {"type": "reasoning.encrypted", "data": "q", "format": "openai-responses-v1"},
            ],
        },
    )

    assert found[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Done"},
    ]


def test_empty_texts_and_turns_are_dropped():
    assert turns(
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "b"},
    ) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


CHOICES = [
    ("auto", None, {"type": "auto"}),
    ("required", None, {"type": "any"}),
    ("none", False, {"type": "none"}),
    ({"type": "function", "function": {"name": "add"}}, None, {"type": "tool", "name": "add"}),
    ({"type": "any"}, None, {"type": "any"}),
    (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
    ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
    (None, True, None),
]


@pytest.mark.parametrize(("choice", "parallel", "expected"), CHOICES)
def test_tool_choice_is_translated(choice, parallel, expected):
    extra = {} if parallel is None else {"parallel_tool_calls": parallel}
    body = to_wire(tools=[TOOL], tool_choice=choice, extra=extra)

    assert body.get("tool_choice") == expected
    assert "parallel_tool_calls" not in body


def test_tools_are_flat_and_own_tools_pass():
    own = {"type": "web_search_20250305", "name": "web_search"}
    body = to_wire(tools=[TOOL, {"type": "function", "function": {"name": "now"}}, own])

    assert body["tools"] == [
        {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        own,
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"output_schema": SCHEMA},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": SCHEMA},
            }
        },
    ],
)
def test_schema_is_asked_for_with_closed_objects(fields):
    body = to_wire(reasoning_effort="low", **fields)

    form = {"type": "json_schema", "schema": CLOSED}
    assert body["output_config"] == {"effort": "low", "format": form}
    assert "additionalProperties" not in SCHEMA


def test_any_json_is_asked_for_in_words():
    assert "JSON" in to_wire(response_format={"type": "json_object"})["system"]


EFFORTS = [
    ("claude-opus-5", None, "none", {"type": "disabled"}, None),
    ("claude-opus-5", None, "minimal", {"type": "adaptive"}, {"effort": "low"}),
    ("claude-opus-4-6", None, "xhigh", {"type": "adaptive"}, {"effort": "xhigh"}),
    ("claude-sonnet-4-5-20250929", None, "none", None, None),
    ("claude-sonnet-4-5-20250929", None, "low", {"type": "enabled", "budget_tokens": 2048}, None),
    ("claude-opus-4-20250514", None, "low", {"type": "enabled", "budget_tokens": 2048}, None),
    ("anthropic.claude-3-7-sonnet", None, "low", {"type": "enabled", "budget_tokens": 2048}, None),
    ("glm-5", "thinking.budget", "minimal", {"type": "enabled", "budget_tokens": 1024}, None),
    ("claude-opus-5", "output_config.effort", "max", None, {"effort": "max"}),
]


@pytest.mark.parametrize(("model", "style", "effort", "thinking", "config"), EFFORTS)
def test_effort_is_said_as_the_model_takes_it(model, style, effort, thinking, config):
    options = {"reasoning": {"request": style}} if style else {}
    body = to_wire(model=model, options=options, reasoning_effort=effort, limit=64000)

    assert body.get("thinking") == thinking
    assert body.get("output_config") == config


@pytest.mark.parametrize(
    ("max_tokens", "limit", "effort", "expected"),
    [
        (1000, 64000, "high", (17384, 16384)),
        (None, 64000, "high", (64000, 16384)),
        (1000, 4096, "high", (4096, 3096)),
        (None, 1500, "low", (2048, 1024)),
    ],
)
def test_budget_fits_between_answer_and_limit(max_tokens, limit, effort, expected):
    body = to_wire(
        model="claude-haiku-4-5", max_tokens=max_tokens, limit=limit, reasoning_effort=effort,
        temperature=0.7,
    )  # fmt: skip

    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == expected
    assert "temperature" not in body


def test_own_fields_join_objects_that_are_there():
    body = to_wire(
        reasoning_effort="low", extra={"output_config": {"task_budget": 1}, "speed": "fast"}
    )

    assert body["output_config"] == {"effort": "low", "task_budget": 1}
    assert body["speed"] == "fast"


def answer(*blocks, **fields):
    usage = {"input_tokens": 3, "output_tokens": 2}
    return {"type": "message", "id": "msg_1", "model": "m", "content": list(blocks),
            "stop_reason": "end_turn", "usage": usage, **fields}  # fmt: skip


def test_blocks_are_told_apart():
    response = response_from_wire(answer(
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "something_new"},
        {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "name": "now", "input": {}},
    ))  # fmt: skip

    assert (response.content, response.reasoning) == ("ab", "hm")
    assert [d["type"] for d in response.reasoning_details] == [
        "reasoning.text",
        "reasoning.encrypted",
    ]
    assert response.finish_reason == "tool_calls"
    first, second = response.tool_calls
    assert (first.id, first.arguments_raw) == ("t", '{"a":1}')
    assert second.id.startswith("call_1_")
    assert second.arguments_raw == "{}"


def test_turn_goes_back_as_it_came():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": [1, "x"]}},
    ]
    message = response_from_wire(answer(*blocks)).message

    assert turns({"role": "user", "content": "Go"}, message)[1]["content"] == blocks


STOPS = [("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"),
         ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
         ("refusal", "content_filter"), ("later_word", None), (None, None)]  # fmt: skip


@pytest.mark.parametrize(("raw", "reason"), STOPS)
def test_stop_reason_is_translated(raw, reason):
    response = response_from_wire(answer(stop_reason=raw))

    assert (response.finish_reason, response.finish_reason_raw) == (reason, raw)


USAGES = [
    ({"input_tokens": 1, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 5, "output_tokens": 2}, (16, 2, 10, 5)),
    ({"input_tokens": 1, "cache_read_input_tokens": None, "output_tokens": 2}, (1, 2, None, None)),
    ({"input_tokens": -1, "output_tokens": "2"}, (None, None, None, None)),
    (None, (None, None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("usage", "counts"), USAGES)
def test_cached_tokens_are_added(usage, counts):
    response = response_from_wire(answer(usage=usage))

    found = (response.input_tokens, response.output_tokens, response.cache_read_tokens, response.cache_write_tokens)  # fmt: skip
    assert found == counts
    assert response.usage_source == ("none" if counts[0] is None else "reported")


@pytest.mark.parametrize(
    "body",
    [
        [], "x", {}, {"content": "text"}, {"content": None}, {"content": ["x"]},
        {"content": [{"type": "text", "text": 5}]}, {"content": [{"type": "tool_use", "id": "a"}]},
        {"content": [], "model": 3},
    ],
)  # fmt: skip
def test_wrong_types_are_told(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_error_under_200_is_raised():
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(OverloadedError):
        response_from_wire(body)


def test_count_request_has_only_what_counts():
    body = to_wire("Hi", temperature=0.5, stop="x", stream=True, tools=[TOOL])

    assert sorted(count_request_to_wire(body)) == ["messages", "model", "tools"]


def test_token_count_is_read():
    assert token_count_from_wire({"input_tokens": 5}) == 5
    for body in ({}, {"input_tokens": "5"}, [], None):
        with pytest.raises(ResponseFormatError):
            token_count_from_wire(body)


@pytest.mark.parametrize(
    ("model", "asked", "named"),
    [
        ("claude-new", {"reasoning_effort": "high"}, {"top_k", "temperature"}),
        ("claude-new", {"reasoning_effort": "high", "temperature": 1}, {"top_k"}),
        (
            "claude-new",
            {"reasoning_effort": "low", "temperature": 1, "top_p": 0.5},
            {"top_k", "top_p"},
        ),
        ("claude-new", {"reasoning_effort": "low", "temperature": 1, "top_p": 0.97}, {"top_k"}),
        ("claude-new", {"reasoning_effort": "none", "top_p": 0.5}, set()),
        ("claude-new", {"tools": [TOOL], "tool_choice": "required"}, set()),
        (
            "claude-new",
            {"reasoning_effort": "high", "tools": [TOOL], "tool_choice": "required"},
            {"reasoning_effort"},
        ),
        (
            "claude-new",
            {
                "reasoning_effort": "high",
                "tools": [TOOL],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            {"reasoning_effort"},
        ),
        ("claude-new", {"extra": {"service_tier": "flex", "user": "u"}}, {"service_tier"}),
        ("claude-new", {"extra": {"service_tier": "auto", "mcp_servers": []}}, set()),
    ],
)
def test_thinking_leaves_no_choice_of_tools_and_little_of_sampling(model, asked, named):
    request = LLMRequest([LLMMessage(role="user", content="Hi")], **asked)

    assert {*unsupported_parameters(request, model)} - {"seed"} == named


def test_an_effort_alone_leaves_all_of_it():
    request = LLMRequest(
        [LLMMessage(role="user", content="Hi")], reasoning_effort="high", tools=[TOOL],
        tool_choice="required",
    )  # fmt: skip
    options = {"reasoning": {"request": "output_config.effort"}}

    assert unsupported_parameters(request, "claude-new", options=options) == ("seed",)


def test_openais_user_is_the_user():
    assert to_wire(extra={"user": "ada"})["metadata"] == {"user_id": "ada"}
