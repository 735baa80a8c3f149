"""OpenAI Responses: requests as providers want them, answers as they give them."""

import pytest

from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.openai_responses import (
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)

from .dialect_checks import assert_facts, recorded

THOUGHT = {
    "type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
    "summary": [{"type": "summary_text", "text": "Plan."}],
}  # fmt: skip
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a":1}',
}
ANSWER = {
    "id": "resp_1",
    "model": "gpt-x",
    "status": "completed",
    "output": [
        THOUGHT,
        {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]},
        CALL,
        {**THOUGHT, "id": "rs_2", "summary": []},
        {**CALL, "call_id": "c2"},
        {"type": "web_search_call", "id": "ws_1"},
    ],
    "usage": {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2},
    },
}  # fmt: skip


@pytest.mark.parametrize(("recording", "facts"), recorded("openai-responses", streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


def test_response_gives_items_and_counts():
    response = response_from_wire(ANSWER)

    assert (response.content, response.reasoning) == ("Hi", "Plan.")
    assert [c.id for c in response.tool_calls] == ["c1", "c2"]
    assert (response.input_tokens, response.output_tokens, response.reasoning_tokens) == (10, 5, 2)
    assert (response.cache_read_tokens, response.cache_write_tokens) == (4, 3)
    assert (response.finish_reason, response.response_id) == ("tool_calls", "resp_1")


def test_answer_goes_back_with_reasoning_before_what_followed_it():
    turn = response_from_wire(ANSWER).message
    result = {"role": "tool", "tool_call_id": "c1", "content": "done"}

    items = request_to_wire(LLMRequest([turn, result]), "m")["input"]

    assert items == [
        THOUGHT,
        {"type": "message", "role": "assistant", "content": "Hi"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {**THOUGHT, "id": "rs_2", "summary": []},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
    ]


def test_details_of_other_providers_do_not_go_to_this_dialect():
    details = [{"type": "reasoning.encrypted", "data": "theirs"}]
    turn = {"role": "assistant", "content": "A", "reasoning_details": details}

    items = request_to_wire(LLMRequest([turn]), "m")["input"]

    assert items == [{"type": "message", "role": "assistant", "content": "A"}]


@pytest.mark.parametrize(
    ("fields", "finish", "raw"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", "incomplete:max_output_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", "incomplete:content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "new"}}, None, "incomplete:new"),
        ({"status": "queued"}, None, "queued"),
    ],
)  # fmt: skip
def test_response_says_why_it_ended(fields, finish, raw):
    response = response_from_wire({**ANSWER, **fields})

    assert (response.finish_reason, response.finish_reason_raw) == (finish, raw)


def test_response_gives_refusal_apart_from_text():
    message = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}

    response = response_from_wire({**ANSWER, "output": [message]})

    assert (response.content, response.refusal) == ("", "No.")


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"output": {}}, {"output": [5]}, {"output": [{"type": "message", "content": 5}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": 5}]}]},
        {"output": [{"type": "function_call", "name": 5}]},
    ],
    ids=repr,
)  # fmt: skip
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "bad day"}}, "bad day"),
        ({**ANSWER, "status": "failed", "error": {"code": "server_error", "message": "oh"}}, "oh"),
        ({**ANSWER, "status": "cancelled", "error": None}, "cancelled"),
    ],
)
def test_response_that_failed_raises_its_error(body, message):
    with pytest.raises(LLMError, match=message):
        response_from_wire(body)


def test_request_maps_parameters():
    request = make_request(
        [{"role": "developer", "content": "D"}, {"role": "user", "content": "Hi"}],
        max_tokens=50,
        temperature=0,
        options={
            "system_prompt": "B", "top_p": 0.5, "reasoning_effort": "low", "store": False,
            "reasoning": {"context": "auto"}, "stop": "x", "seed": 1,
        },
    )  # fmt: skip

    assert request_to_wire(
        request, "m", options={"reasoning": {"request": "reasoning_summary"}}
    ) == {
        "model": "m",
        "input": [
            {"type": "message", "role": "developer", "content": "D"},
            {"type": "message", "role": "user", "content": "Hi"},
        ],
        "instructions": "B",
        "max_output_tokens": 50,
        "temperature": 0,
        "top_p": 0.5,
        "reasoning": {"effort": "low", "summary": "auto", "context": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    assert unsupported_parameters(request) == ("stop", "seed")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, {"type": "json_object"}),
        (
            {"output_schema": {"type": "object", "properties": {}, "additionalProperties": False}},
            {"type": "json_schema", "name": "answer", "strict": True,
             "schema": {"type": "object", "properties": {}, "additionalProperties": False}},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}, "strict": False}}},
            {"type": "json_schema", "name": "n", "schema": {"type": "array"}, "strict": False},
        ),
    ],
    ids=["json_object", "schema", "json_schema"],
)  # fmt: skip
def test_request_maps_wanted_format(fields, expected):
    assert request_to_wire(make_request("Hi", options=fields), "m")["text"] == {"format": expected}


def test_request_flattens_tools_and_is_not_strict_unasked():
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "web_search"},
    ]
    choice = {"type": "function", "function": {"name": "f"}}

    body = request_to_wire(
        make_request("Hi", options={"tools": tools, "tool_choice": choice}), "m"
    )

    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "web_search"},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "f"}


def test_request_carries_images_and_files():
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ]

    body = request_to_wire(LLMRequest([{"role": "user", "content": parts}]), "m")

    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_file", "file_id": "file_1"},
    ]


def test_token_count_is_read():
    assert token_count_from_wire({"object": "response.input_tokens", "input_tokens": 7}) == 7
    with pytest.raises(ResponseFormatError):
        token_count_from_wire({"input_tokens": None})
