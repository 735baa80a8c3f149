"""Gemini's generateContent: requests as it wants them, answers as it gives them."""

import pytest

from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.gemini_generate import (
    request_to_wire,
    response_from_wire,
    token_count_from_wire,
)

from .dialect_checks import assert_facts, recorded

ANSWER = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Plan.", "thought": True},
                    {"text": "I look.", "thoughtSignature": "c2lnMA=="},
                    {"functionCall": {"name": "weather", "args": {"city": "X"}}, "thoughtSignature": "c2lnMQ=="},
                    {"functionCall": {"name": "weather", "args": {}, "id": "f1"}},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 10, "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 24,
    },
    "modelVersion": "gemini-3-flash",
    "responseId": "r1",
}  # fmt: skip


@pytest.mark.parametrize(("recording", "facts"), recorded("gemini-generate", streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("gemini-count-tokens", kind="count-tokens")
)
def test_token_count_matches_recording(recording, facts):
    assert token_count_from_wire(recording["response"]["body"]) == facts["input_tokens"]


def test_response_gives_parts_and_counts():
    response = response_from_wire(ANSWER)

    assert (response.content, response.reasoning) == ("I look.", "Plan.")
    assert [c.arguments for c in response.tool_calls] == [{"city": "X"}, {}]
    assert response.tool_calls[1].id == "f1"
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (12, 12, 24)
    assert (response.cache_read_tokens, response.reasoning_tokens) == (4, 7)
    assert (response.finish_reason, response.response_id) == ("tool_calls", "r1")


def test_answer_goes_back_with_its_signatures_on_the_same_parts():
    turn = response_from_wire(ANSWER).message

    body = request_to_wire(LLMRequest([{"role": "user", "content": "Hi"}, turn]), "m")

    assert body["contents"][1] == {
        "role": "model",
        "parts": [
            {"text": "I look.", "thoughtSignature": "c2lnMA=="},
            {
                "functionCall": {"name": "weather", "args": {"city": "X"}},
                "thoughtSignature": "c2lnMQ==",
            },
            {"functionCall": {"name": "weather", "args": {}, "id": "f1"}},
        ],
    }


def test_signed_thought_goes_back_as_thought():
    parts = [{"text": "T", "thought": True, "thoughtSignature": "c2ln"}, {"text": "A"}]
    answer = response_from_wire(
        {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    )

    assert request_to_wire(LLMRequest([answer.message]), "m")["contents"][0]["parts"] == parts


def test_details_of_other_providers_do_not_go_to_gemini():
    details = [{"type": "reasoning.text", "text": "T", "signature": "theirs"}]
    turn = {"role": "assistant", "content": "A", "reasoning_details": details}

    body = request_to_wire(LLMRequest([turn]), "m")

    assert body["contents"] == [{"role": "model", "parts": [{"text": "A"}]}]


@pytest.mark.parametrize(
    ("model", "signature"),
    [("gemini-3-pro", "skip_thought_signature_validator"), ("gemini-2.5-pro", None)],
)
def test_call_of_another_model_gets_a_placeholder_where_signatures_are_demanded(model, signature):
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    request = LLMRequest([{"role": "assistant", "content": None, "tool_calls": [call, call]}])

    parts = request_to_wire(request, model)["contents"][0]["parts"]

    # Of calls made at the same time only the first is signed.
    assert [p.get("thoughtSignature") for p in parts] == [signature, None]


@pytest.mark.parametrize(
    ("body", "finish", "raw"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter", "blockReason:SAFETY"),
        ({"candidates": [{"finishReason": 2}]}, "length", "2"),
        ({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, None, "MALFORMED_FUNCTION_CALL"),
        ({"candidates": [{"finishReason": "NEW_REASON"}]}, None, "NEW_REASON"),
        ({"usageMetadata": {"promptTokenCount": 1}}, None, None),
    ],
)  # fmt: skip
def test_response_without_text_says_why(body, finish, raw):
    response = response_from_wire(body)

    assert (response.content, response.finish_reason, response.finish_reason_raw) == (
        "",
        finish,
        raw,
    )


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"candidates": {}}, {"candidates": [5]}, {"candidates": [{"content": []}]},
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": "f"}]}}]},
    ],
    ids=repr,
)  # fmt: skip
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_response_that_is_an_error_raises_it():
    with pytest.raises(LLMError, match="no capacity"):
        response_from_wire(
            {"error": {"code": 503, "message": "no capacity", "status": "UNAVAILABLE"}}
        )


def test_request_maps_parameters():
    request = make_request(
        [{"role": "system", "content": "A"}, {"role": "user", "content": "Hi"}],
        max_tokens=5,
        temperature=0,
        options={
            "system_prompt": "B", "stop": ["END"], "seed": 0, "top_p": 0.5, "top_k": 3,
            "output_schema": {"type": "object"}, "safetySettings": [],
            "generationConfig": {"candidateCount": 1},
        },
    )  # fmt: skip

    assert request_to_wire(request, "m") == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "B"}, {"text": "A"}]},
        "generationConfig": {
            "temperature": 0, "topP": 0.5, "maxOutputTokens": 5, "stopSequences": ["END"], "seed": 0,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "top_k": 3, "candidateCount": 1,
        },
        "safetySettings": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "effort", "row", "thinking"),
    [
        ("gemini-2.5-flash", "low", {}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "none", {}, {"thinkingBudget": 0}),
        ("gemini-3-pro", "max", {}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("x", "high", {"reasoning": {"request": "thinkingBudget"}}, {"thinkingBudget": 24576, "includeThoughts": True}),
    ],
)  # fmt: skip
def test_request_maps_reasoning_effort(model, effort, row, thinking):
    request = make_request("Hi", options={"reasoning_effort": effort})

    body = request_to_wire(request, model, options=row)

    assert body["generationConfig"]["thinkingConfig"] == thinking


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_request_maps_tools(choice, config):
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    tools = [{"type": "function", "function": function}, {"googleSearch": {}}]

    body = request_to_wire(
        make_request("Hi", options={"tools": tools, "tool_choice": choice}), "m"
    )

    declaration = {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}
    assert body["tools"] == [{"googleSearch": {}}, {"functionDeclarations": [declaration]}]
    assert body.get("toolConfig") == (config and {"functionCallingConfig": config})


def test_request_puts_results_of_one_round_into_one_turn():
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": f"f{n}", "arguments": "{"}}
        for n in (0, 1)
    ]
    request = LLMRequest(
        [
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c0", "content": '{"a": 1}'},
            {"role": "tool", "tool_call_id": "c1", "content": "plain"},
            {"role": "user", "content": "Next"},
        ]
    )

    contents = request_to_wire(request, "m")["contents"]

    assert [c["role"] for c in contents] == ["model", "user", "user"]
    assert contents[1]["parts"] == [
        {"functionResponse": {"name": "f0", "response": {"a": 1}, "id": "c0"}},
        {"functionResponse": {"name": "f1", "response": {"output": "plain"}, "id": "c1"}},
    ]


def test_request_carries_images_files_and_addresses():
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.jpg"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "https://example.com/files/1", "filename": "a.pdf"}},
    ]

    body = request_to_wire(LLMRequest([{"role": "user", "content": parts}]), "m")

    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/a.jpg"}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "QUJD"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/files/1"}},
    ]
