"""Gemini's API, the gateway's side: what clients send is understood, and comes back from our own dialect."""

import base64

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, ToolCall
from faultmaven.infrastructure.llm.wire.gemini_front import (
    open_signature,
    request_from_wire,
    seal_signature,
    texts_to_embed,
    to_json_schema,
)
from faultmaven.infrastructure.llm.wire.gemini_generate import DETAILS_FORMAT, request_to_wire

HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_everything_survives_the_way_out_and_in():
    asked = LLMRequest(
        [
            LLMMessage(role="user", content="Weather?"),
            LLMMessage(
                role="assistant",
                content="Let me see.",
                tool_calls=[ToolCall.make("id1", "get_weather", '{"city":"Paris"}')],
                reasoning_details=[
                    {
                        "type": "reasoning.text",
                        "text": "Hm.",
                        "signature": "c2ln",
                        "format": DETAILS_FORMAT,
                    }
                ],
            ),
            LLMMessage(role="tool", tool_call_id="id1", name="get_weather", content='{"t":20}'),
        ],
        system_prompt="Be brief.",
        temperature=0,
        max_tokens=50,
        top_p=0.5,
        stop=["END"],
        seed=7,
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}],
        tool_choice="required",
        output_schema=SCHEMA,
        reasoning_effort="high",
        extra={"top_k": 3},
    )

    read = request_from_wire(request_to_wire(asked, "gemini-3-pro"))

    assert read.system_prompt == "Be brief."
    assert [message.role for message in read.messages] == ["user", "assistant", "tool"]
    answer = read.messages[1]
    assert (answer["content"], answer["reasoning"]) == ("Let me see.", "Hm.")
    assert answer["reasoning_details"] == asked.messages[1]["reasoning_details"]
    assert answer["tool_calls"][0].id == read.messages[2]["tool_call_id"] == "id1"
    assert answer["tool_calls"][0].arguments == {"city": "Paris"}
    assert read.messages[2].content == '{"t":20}'
    for name in (
        "temperature", "max_tokens", "top_p", "stop", "seed", "tools", "tool_choice",
        "output_schema", "reasoning_effort", "extra",
    ):  # fmt: skip
        assert getattr(read, name) == getattr(asked, name), name


def test_snake_case_and_short_forms_are_understood():
    body = {
        "contents": [{"parts": ["Hello"]}],
        "system_instruction": "Be brief.",
        "generation_config": {"max_output_tokens": 5, "response_mime_type": "application/json"},
        "tools": [{"function_declarations": [{"name": "f"}]}],
        "tool_config": {
            "function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}
        },
    }

    read = request_from_wire(body)

    assert (read.messages, read.system_prompt) == (
        [{"role": "user", "content": "Hello"}],
        "Be brief.",
    )
    assert (read.max_tokens, read.response_format) == (5, {"type": "json_object"})
    assert read.tools[0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert read.tool_choice == {"type": "function", "function": {"name": "f"}}


def test_results_without_ids_belong_to_the_oldest_call_of_their_name():
    call = {"functionCall": {"name": "f", "args": {}}}
    result = {"functionResponse": {"name": "f", "response": {"output": "done"}}}
    contents = [
        *HELLO,
        {"role": "model", "parts": [call, call]},
        {"role": "user", "parts": [result, result, {"text": "Go on."}]},
    ]

    read = request_from_wire({"contents": contents})

    ids = [made.id for made in read.messages[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [message.get("tool_call_id") for message in read.messages[2:4]] == ids
    assert [message.content for message in read.messages[2:]] == ["done", "done", "Go on."]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            id="image",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AA=="}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            id="audio",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}},
            id="document",
        ),
        pytest.param(
            {"file_data": {"file_uri": "https://example.com/a.png", "mime_type": "image/png"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            id="address",
        ),
    ],
)
def test_attachments(part, expected):
    read = request_from_wire({"contents": [{"role": "user", "parts": [{"text": "What?"}, part]}]})

    assert read.messages[0].content == [{"type": "text", "text": "What?"}, expected]


@pytest.mark.parametrize(
    ("config", "effort"),
    [
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": 8192}, "medium"),
        ({"thinkingBudget": 30000}, "high"),
        ({"thinkingBudget": -1}, None),
        ({"thinkingLevel": "LOW"}, "low"),
        ({"includeThoughts": True}, "medium"),
        ({}, None),
    ],
)
def test_thinking_becomes_an_effort(config, effort):
    read = request_from_wire({"contents": HELLO, "generationConfig": {"thinkingConfig": config}})

    assert read.reasoning_effort == effort


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (None, "the body"),
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": ["Hello"]}, "contents[0]"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": "user", "parts": [{"video": 1}]}]}, "contents[0].parts"),
        ({"contents": HELLO, "cachedContent": "x"}, "cachedContent"),
        ({"contents": HELLO, "generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"contents": HELLO, "generationConfig": {"temperature": "hot"}}, "temperature"),
        ({"contents": HELLO, "toolConfig": {"functionCallingConfig": {"mode": "X"}}}, "functionCallingConfig.mode"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body, where):
    with pytest.raises(InvalidRequestError) as caught:
        request_from_wire(body)

    assert caught.value.code == where


def test_schemas_of_openapi_become_json_schemas():
    described = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["A", "B"]},
            "many": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": 1},
        },
        "any_of": [{"type": "OBJECT"}],
        "propertyOrdering": ["many", "type"],
    }

    assert to_json_schema(described) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["A", "B"]},
            "many": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        },
        "anyOf": [{"type": "object"}],
    }


@given(st.dictionaries(st.text(), st.text()), st.booleans())
def test_a_sealed_block_opens_in_either_alphabet(detail, is_urlsafe):
    signature = seal_signature(detail)
    if is_urlsafe:
        signature = signature.replace("+", "-").replace("/", "_").rstrip("=")

    assert open_signature(signature) == detail


@given(st.binary())
def test_signatures_of_others_stay_closed(raw):
    signature = base64.b64encode(raw).decode()

    assert open_signature(signature) is None or raw.startswith(b"fm1.")


def test_texts_to_embed():
    one = {"content": {"parts": [{"text": "sea"}]}, "outputDimensionality": 3}

    assert texts_to_embed(one) == (["sea"], 3)
    assert texts_to_embed({"requests": [one, one]}) == (["sea", "sea"], 3)


def test_own_tools_beside_functions_are_kept():
    tool = {"functionDeclarations": [{"name": "f"}], "googleSearch": {}}
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": [tool]}

    own, function = request_from_wire(body).tools

    assert own == {"googleSearch": {}}
    assert function["function"]["name"] == "f"


def test_safety_settings_go_along():
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "safety_settings": settings}

    assert request_from_wire(body).extra == {"safetySettings": settings}
