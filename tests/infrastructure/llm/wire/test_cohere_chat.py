"""Cohere's chat: requests of version 2, answers of both versions."""

import pytest

from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.cohere_chat import request_to_wire, response_from_wire

from .dialect_checks import assert_facts, recorded

CALL = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
ANSWER = {
    "id": "r1",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
        "tool_plan": "I will call f.",
        "tool_calls": [CALL],
    },
    "finish_reason": "TOOL_CALL",
    "usage": {
        "billed_units": {"input_tokens": 1, "output_tokens": 1},
        "tokens": {"input_tokens": 10, "output_tokens": 5},
        "cached_tokens": 4,
    },
}
TOOLS = [{"type": "function", "function": {"name": n, "strict": n == "g"}} for n in ("f", "g")]


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("cohere-v2", "cohere-v1", streamed=False)
)  # fmt: skip
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


def test_response_gives_blocks_and_counts():
    response = response_from_wire(ANSWER)

    assert (response.content, response.reasoning) == ("Hi", "Hm.")
    assert (response.input_tokens, response.output_tokens, response.cache_read_tokens) == (
        10,
        5,
        4,
    )
    assert (response.finish_reason, response.finish_reason_raw) == ("tool_calls", "TOOL_CALL")


def test_answer_goes_back_with_thoughts_and_plan():
    turn = response_from_wire(ANSWER).message
    result = {"role": "tool", "tool_call_id": "f_1", "content": "done"}

    messages = request_to_wire(LLMRequest([turn, result]), "m")["messages"]

    assert messages == [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
            "tool_plan": "I will call f.",
            "tool_calls": [CALL],
        },
        {"role": "tool", "tool_call_id": "f_1", "content": "done"},
    ]


def test_response_of_version_1_is_read():
    body = {
        "response_id": "r", "generation_id": "g", "text": "Hi", "finish_reason": "COMPLETE",
        "tool_calls": [{"name": "f", "parameters": {"a": 1}}] * 2,
        "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}},
    }  # fmt: skip

    response = response_from_wire(body)

    assert (response.content, response.response_id, response.tokens_used) == ("Hi", "r", 7)
    assert [c.arguments for c in response.tool_calls] == [{"a": 1}] * 2
    assert len({c.id for c in response.tool_calls}) == 2
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "invalid api token"}, "invalid api token"),
        ({"error": "bad day"}, "bad day"),
        ({**ANSWER, "finish_reason": "ERROR"}, "ERROR"),
        ({**ANSWER, "finish_reason": "TIMEOUT"}, "TIMEOUT"),
    ],
)
def test_response_that_failed_raises_its_error(body, message):
    with pytest.raises(LLMError, match=message):
        response_from_wire(body)


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"finish_reason": "COMPLETE"}, {"message": [], "finish_reason": "COMPLETE"},
        {"message": {"content": [{"type": "text", "text": 5}]}, "finish_reason": "COMPLETE"},
        {"text": 5},
    ],
    ids=repr,
)  # fmt: skip
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_request_maps_parameters():
    request = make_request(
        [{"role": "developer", "content": "D"}, {"role": "user", "content": "Hi"}],
        max_tokens=5,
        temperature=0,
        options={
            "system_prompt": "B", "top_p": 0.5, "stop": "END", "seed": 0, "k": 3,
            "output_schema": {"type": "object"}, "reasoning_effort": "low",
        },
    )  # fmt: skip

    assert request_to_wire(request, "m") == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "B"},
            {"role": "system", "content": "D"},
            {"role": "user", "content": "Hi"},
        ],
        "stream": False,
        "max_tokens": 5,
        "temperature": 0,
        "p": 0.5,
        "seed": 0,
        "stop_sequences": ["END"],
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "enabled", "token_budget": 1024},
        "k": 3,
    }


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [("none", {"type": "disabled"}), ("max", {"type": "enabled"}), (None, None)],
)
def test_request_maps_reasoning_effort(effort, thinking):
    body = request_to_wire(make_request("Hi", options={"reasoning_effort": effort}), "m")

    assert body.get("thinking") == thinking


@pytest.mark.parametrize(
    ("choice", "names", "sent"),
    [
        ("auto", ["f", "g"], None),
        ("required", ["f", "g"], "REQUIRED"),
        ("none", ["f", "g"], "NONE"),
        ({"type": "function", "function": {"name": "g"}}, ["g"], "REQUIRED"),
    ],
)
def test_request_maps_tools(choice, names, sent):
    request = make_request("Hi", options={"tools": TOOLS, "tool_choice": choice})

    body = request_to_wire(request, "m")

    assert [t["function"] for t in body["tools"]] == [{"name": name} for name in names]
    assert body.get("tool_choice") == sent
    assert body["strict_tools"] is True


def test_request_carries_images_and_refuses_files():
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    file = {"type": "file", "file": {"file_id": "f"}}

    body = request_to_wire(LLMRequest([{"role": "user", "content": [image]}]), "m")

    assert body["messages"][0]["content"] == [image]
    with pytest.raises(UnsupportedParameterError, match="file"):
        request_to_wire(LLMRequest([{"role": "user", "content": [file]}]), "m")
