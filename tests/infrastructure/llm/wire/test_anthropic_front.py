"""Anthropic requests that clients of the gateway send."""

import pytest

from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.wire.anthropic_front import request_from_wire
from faultmaven.infrastructure.llm.wire.anthropic_messages import request_to_wire

from .dialect_checks import recorded


def read(**fields):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    return request_from_wire({**body, **fields})


def test_settings_are_read():
    request = read(
        temperature=0, top_p=0.5, top_k=3, stop_sequences=["x"], stream=True,
        metadata={"user_id": "{}"}, inference_geo="eu", anthropic_version="v",
    )  # fmt: skip

    assert (request.model, request.max_tokens, request.temperature) == ("m", 5, 0)
    assert (request.top_p, request.stop, request.stream) == (0.5, ["x"], True)
    assert request.metadata == {"user_id": "{}"}
    assert request.extra == {"top_k": 3}
    assert read().temperature is None


def test_system_in_either_place_becomes_messages():
    mark = {"type": "ephemeral"}
    request = read(
        system=[
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b", "cache_control": mark},
        ],
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": [{"type": "text", "text": "c"}]},
        ],
    )

    assert [m.role for m in request.messages] == ["system", "user", "system"]
    assert request.messages[0].content[1] == {"type": "text", "text": "b", "cache_control": mark}
    assert request.messages[2].content == "c"


def test_tool_loop_is_read():
    request = read(messages=[
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "and?"},
            {"type": "tool_result", "tool_use_id": "t", "is_error": True,
             "content": [{"type": "text", "text": "3"}]},
        ]},
    ])  # fmt: skip
    said, result, asked = request.messages

    assert (said.content, said["reasoning"]) == ("a", "hm")
    assert [d["type"] for d in said["reasoning_details"]] == [
        "reasoning.text",
        "reasoning.encrypted",
    ]
    assert said["tool_calls"][0].arguments == {"a": 1}
    assert result == {"role": "tool", "tool_call_id": "t", "content": "3", "is_error": True}
    assert asked == {"role": "user", "content": "and?"}


def test_turn_of_calls_alone_has_no_content():
    call = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
    request = read(messages=[{"role": "assistant", "content": [call]}])

    assert request.messages[0].content is None
    assert request.messages[0]["tool_calls"][0].arguments_raw == "{}"


BLOCKS = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, "title": "t"},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}},
    {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
    {"type": "document", "source": {"type": "file", "file_id": "f"}},
    {"type": "search_result", "source": "s", "title": "t", "content": []},
    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
]  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b["type"])
def test_block_survives_the_way_through(block):
    messages = [{"role": "user", "content": [block]}]
    request = read(messages=messages)

    assert request_to_wire(request, "m")["messages"] == messages


CHOICES = [
    ({"type": "auto"}, "auto"),
    ({"type": "none"}, "none"),
    ({"type": "any"}, "required"),
    ({"type": "tool", "name": "add"}, {"type": "function", "function": {"name": "add"}}),
    (None, None),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_tool_choice_is_read(choice, expected):
    assert read(tool_choice=choice).tool_choice == expected


def test_parallel_calls_may_be_forbidden():
    request = read(tool_choice={"type": "any", "disable_parallel_tool_use": True})

    assert request.extra == {"parallel_tool_calls": False}


def test_tools_are_read_and_own_tools_pass():
    own = {"type": "web_search_20250305", "name": "web_search"}
    tool = {
        "name": "add",
        "description": "d",
        "input_schema": {"type": "object"},
        "defer_loading": True,
    }

    assert read(tools=[tool, own]).tools == [
        {
            "type": "function",
            "function": {"name": "add", "description": "d", "parameters": {"type": "object"}},
        },
        own,
    ]


@pytest.mark.parametrize("name", ["output_config", "output_format"])
def test_schema_is_read(name):
    form = {"type": "json_schema", "schema": {"type": "object"}}
    value = {"format": form} if name == "output_config" else form

    assert read(**{name: value}).output_schema == {"type": "object"}


EFFORTS = [
    ({"output_config": {"effort": "xhigh"}, "thinking": {"type": "adaptive"}}, "xhigh"),
    ({"thinking": {"type": "adaptive"}}, None),
    ({"thinking": {"type": "disabled"}}, "none"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "minimal"),
    ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "xhigh"),
    ({"thinking": {"type": "enabled"}}, None),
]


@pytest.mark.parametrize(("fields", "effort"), EFFORTS)
def test_thinking_is_read_as_an_effort(fields, effort):
    assert read(**fields).reasoning_effort == effort


WRONG = [
    ({"model": None}, "model"),
    ({"model": ["m"]}, "model"),
    ({"messages": "x"}, "messages"),
    ({"messages": ["x"]}, "messages.0"),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [3]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role"),
    ({"max_tokens": "5"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"temperature": {}}, "temperature"),
    ({"stream": "true"}, "stream"),
    ({"system": 5}, "system"),
    ({"tools": [1]}, "tools"),
    ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
]


@pytest.mark.parametrize(("fields", "where"), WRONG, ids=[str(f) for f, _ in WRONG])
def test_wrong_type_names_the_field(fields, where):
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)

    assert caught.value.code == where
    assert caught.value.message.startswith(where)


@pytest.mark.parametrize("body", [None, [], "x", 3])
def test_body_must_be_an_object(body):
    with pytest.raises(InvalidRequestError):
        request_from_wire(body)


@pytest.mark.parametrize(("exchange", "expected"), recorded("anthropic-messages"))
def test_recorded_request_survives_the_way_through(exchange, expected):
    body = (exchange["request"] or {}).get("body")
    if not isinstance(body, dict) or "model" not in body:
        pytest.skip("the recording has no such request")
    made = request_to_wire(request_from_wire(body), body["model"])

    assert _words(made) == _words(body)
    assert len(made.get("tools") or ()) == len(body.get("tools") or ())


def _words(body):
    """Give what a model is told, in order, however it is laid out."""
    found = []
    for value in (body.get("system"), *body["messages"]):
        _collect(value, found)
    return found


def _collect(value, found):
    if isinstance(value, str):
        found.append("".join(value.split()))
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for name in (
            "text",
            "thinking",
            "signature",
            "id",
            "name",
            "tool_use_id",
            "content",
            "data",
        ):
            _collect(value.get(name), found)
        if "input" in value:
            found.append(str(value["input"]))
        if "source" in value:
            _collect(value["source"], found)
    if found and found[-1] == "":
        found.pop()
