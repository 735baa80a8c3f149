"""Amazon Bedrock's Converse: requests as it wants them, answers as it gives them."""

import json

import pytest

from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.bedrock_converse import (
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
    unsupported_parameters,
)

from .dialect_checks import assert_facts, recorded

BLOCKS = [
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
    {"reasoningContent": {"redactedContent": "cmVk"}},
    {"text": "Hi"},
    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
]
ANSWER = {
    "output": {"message": {"role": "assistant", "content": BLOCKS}},
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 3, "outputTokens": 5, "totalTokens": 20,
        "cacheReadInputTokens": 8, "cacheWriteInputTokens": 4,
    },
}  # fmt: skip
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(("recording", "facts"), recorded("bedrock-converse", streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("bedrock-count-tokens", kind="count-tokens")
)
def test_token_count_matches_recording(recording, facts):
    assert token_count_from_wire(recording["response"]["body"]) == facts["input_tokens"]


def test_response_gives_blocks_and_counts():
    response = response_from_wire(ANSWER)

    assert (response.content, response.reasoning) == ("Hi", "Hm.")
    assert [c.arguments for c in response.tool_calls] == [{"a": 1}]
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (15, 5, 20)
    assert (response.cache_read_tokens, response.cache_write_tokens) == (8, 4)
    assert response.finish_reason == "tool_calls"


def test_answer_goes_back_as_it_came():
    turn = response_from_wire(ANSWER).message

    body = request_to_wire(LLMRequest([{"role": "user", "content": "Q"}, turn]), "m")

    assert body["messages"][1] == {"role": "assistant", "content": BLOCKS}


def test_details_of_other_providers_do_not_go_to_bedrock():
    details = [{"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}]
    turn = {"role": "assistant", "content": "A", "reasoning_details": details}

    assert request_to_wire(LLMRequest([turn]), "m")["messages"][0]["content"] == [{"text": "A"}]


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"output": 5}, {"output": {"message": {"content": [5]}}},
        {"output": {"message": {"content": [{"text": 5}]}}},
        {"output": {"message": {"content": [{"toolUse": "f"}]}}},
    ],
    ids=repr,
)  # fmt: skip
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_response_that_is_an_error_raises_it():
    with pytest.raises(LLMError, match="Too many requests"):
        response_from_wire({"message": "Too many requests"})


def test_request_maps_parameters():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    request = make_request(
        "Hi",
        max_tokens=5,
        temperature=0,
        options={
            "system_prompt": "B", "top_p": 0.5, "stop": "END", "seed": 0, "output_schema": schema,
            "reasoning_effort": "low", "top_k": 3, "guardrailConfig": {"guardrailIdentifier": "g"},
        },
    )  # fmt: skip

    body = request_to_wire(request, "m")

    described = body["outputConfig"]["textFormat"]["structure"].pop("jsonSchema")
    assert json.loads(described.pop("schema")) == schema
    assert described == {"name": "answer"}
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "B"}],
        "inferenceConfig": {
            "maxTokens": 5,
            "temperature": 0,
            "topP": 0.5,
            "stopSequences": ["END"],
        },
        "outputConfig": {"effort": "low", "textFormat": {"type": "json_schema", "structure": {}}},
        "additionalModelRequestFields": {"top_k": 3},
        "guardrailConfig": {"guardrailIdentifier": "g"},
    }
    assert unsupported_parameters(request) == ("seed",)


@pytest.mark.parametrize(
    ("style", "effort", "fields"),
    [
        ("model_reasoning_effort", "low", {"reasoning_effort": "low"}),
        (
            "reasoning_config",
            "low",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        ("reasoning_config", "none", {"reasoningConfig": {"type": "disabled"}}),
        ("thinking", "medium", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("thinking", "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_request_says_effort_as_the_row_wants(style, effort, fields):
    request = make_request("Hi", options={"reasoning_effort": effort})

    body = request_to_wire(request, "m", options={"reasoning": {"request": style}})

    assert body["additionalModelRequestFields"] == fields


@pytest.mark.parametrize(("effort", "sent"), [("high", {"effort": "high"}), ("none", None)])
def test_request_says_effort_in_the_output_unless_told_otherwise(effort, sent):
    body = request_to_wire(make_request("Hi", options={"reasoning_effort": effort}), "m")

    assert body.get("outputConfig") == sent


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_request_maps_tools(choice, sent):
    body = request_to_wire(
        make_request("Hi", options={"tools": [TOOL], "tool_choice": choice}), "m"
    )

    spec = {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}
    assert body["toolConfig"]["tools"] == [{"toolSpec": spec}]
    assert body["toolConfig"].get("toolChoice") == sent


def test_request_without_choice_of_tools_keeps_them_only_for_calls_made():
    fresh = make_request("Hi", options={"tools": [TOOL], "tool_choice": "none"})
    turn = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    running = LLMRequest([turn], tools=[TOOL], tool_choice="none")

    assert "toolConfig" not in request_to_wire(fresh, "m")
    assert unsupported_parameters(fresh) == ()
    assert "toolConfig" in request_to_wire(running, "m")
    assert unsupported_parameters(running) == ("tool_choice",)


def test_request_alternates_roles_and_drops_blank_text():
    request = LLMRequest(
        [
            {"role": "user", "content": "A"},
            {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "B"}]},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": "done"},
            {"role": "tool", "tool_call_id": "t2", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": "C", "cache_control": {"type": "ephemeral"}}]},
        ]
    )  # fmt: skip

    assert request_to_wire(request, "m")["messages"] == [
        {"role": "user", "content": [{"text": "A"}, {"text": "B"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "done"}]}},
                {"toolResult": {"toolUseId": "t2", "content": [{"text": "(no output)"}]}},
                {"text": "C"},
                {"cachePoint": {"type": "default"}},
            ],
        },
    ]


def test_request_carries_images_and_documents():
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "my_a/b.pdf"},
        },
        {"type": "file", "file": {"file_data": "data:text/plain,hi"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.jpg"}},
    ]

    body = request_to_wire(LLMRequest([{"role": "user", "content": parts}]), "m")

    assert body["messages"][0]["content"] == [
        {"image": {"format": "png", "source": {"bytes": "QUJD"}}},
        {"document": {"format": "pdf", "source": {"bytes": "QUJD"}, "name": "my-a b pdf"}},
        {"document": {"format": "txt", "source": {"bytes": "aGk="}, "name": "document"}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.jpg"}}}},
    ]


def test_request_refuses_address_of_image():
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    with pytest.raises(UnsupportedParameterError, match="data: URI"):
        request_to_wire(LLMRequest([{"role": "user", "content": [part]}]), "m")
