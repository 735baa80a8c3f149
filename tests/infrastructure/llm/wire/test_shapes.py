"""Whatever is put in a field's place, a client's request is understood or refused, never stumbled over."""

import copy

import pytest

from faultmaven.infrastructure.llm.errors import InvalidRequestError, LLMError
from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire import (
    anthropic_front,
    anthropic_messages,
    bedrock_converse,
    cohere_chat,
    gemini_front,
    gemini_generate,
    ollama_chat,
    openai_chat,
    openai_chat_front,
    openai_responses,
    openai_responses_front,
)
from faultmaven.infrastructure.llm.wire.shapes import as_integer, check_request

JUNK = [None, True, 0, -1, 1.5, "", "x", [], {}, [None], [[]], ["x"], [1], {"x": {}}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SAMPLING = {"temperature": 0.5, "top_p": 0.9, "stream": True}

CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "name": "bob",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"},
                {
                    "type": "reasoning.encrypted",
                    "data": "c2ln",
                    "format": openai_responses.DETAILS_FORMAT,
                    "index": 0,
                    "summary": ["Hm."],
                },
            ],
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"city": "Oslo"}'},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "max_completion_tokens": 50,
    "stop": ["x"],
    "metadata": {"a": "b"},
    "reasoning_effort": "low",
    "parallel_tool_calls": True,
    **SAMPLING,
}
RESPONSES = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "role": "developer", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "c2ln",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Wait."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
        {
            "type": "namespace",
            "name": "box",
            "tools": [{"type": "function", "name": "g", "parameters": SCHEMA}],
        },
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
    "max_output_tokens": 50,
    "metadata": {"a": "b"},
    **SAMPLING,
}
MESSAGES = {
    "model": "m",
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "aVZC"},
                },
            ],
        },
        {"role": "system", "content": "The date has changed."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "eA=="},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "sunny"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "description": "Ask.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    **SAMPLING,
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is it?"},
                {"inlineData": {"mimeType": "image/png", "data": "aVZC"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"},
                {
                    "functionCall": {"id": "c1", "name": "f", "args": {"city": "Oslo"}},
                    "thoughtSignature": "c2ln",
                },
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": 1}}}],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 0.5,
        "maxOutputTokens": 50,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2000},
    },
}
FRONTS = {
    "chat": (CHAT, lambda body: openai_chat_front.request_from_wire(body).request),
    "responses": (RESPONSES, lambda body: openai_responses_front.request_from_wire(body).request),
    "messages": (MESSAGES, anthropic_front.request_from_wire),
    "gemini": (GEMINI, gemini_front.request_from_wire),
}
DIALECTS = [
    anthropic_messages,
    bedrock_converse,
    cohere_chat,
    gemini_generate,
    ollama_chat,
    openai_chat,
    openai_responses,
]


def places_in(value, path=()):
    """Give the paths of a body and of everything in it."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places_in(inner, (*path, key))


def changed(body, path, junk):
    """Give a body with something else at one place."""
    if not path:
        return junk
    made = copy.deepcopy(body)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    return made


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("front", FRONTS)
def test_junk_at_any_place_is_refused_or_said_in_every_dialect(front, junk):
    body, read = FRONTS[front]

    for path in places_in(body):
        try:
            request = read(changed(body, path, junk))
        except InvalidRequestError:
            continue
        for dialect in DIALECTS:
            try:
                dialect.request_to_wire(request, "m")
            except LLMError:
                continue


@pytest.mark.parametrize("front", FRONTS)
def test_the_bodies_are_understood(front):
    body, read = FRONTS[front]

    for dialect in DIALECTS:
        assert dialect.request_to_wire(read(body), "m")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tools": [None]}, "tools[0]"),
        ({"tools": [{"function": {"name": 1}}]}, "tools[0].function.name"),
        ({"stop": [1]}, "stop[0]"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"reasoning_effort": True}, "reasoning_effort"),
    ],
)
def test_what_has_another_shape_is_named(fields, place):
    request = LLMRequest([{"role": "user", "content": "Hi"}], **fields)

    with pytest.raises(InvalidRequestError) as caught:
        check_request(request)

    assert caught.value.code == place
    assert caught.value.status == 400


def test_null_is_absent():
    request = LLMRequest([{"role": "assistant", "content": None, "tool_calls": None}], tools=None)

    assert check_request(request) is request


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (6.0, 6), (-0.0, 0), (2.0**53, 2**53), (6, 6), (6.5, 6.5), (2.0**54, 2.0**54),
        (float("inf"), float("inf")), (True, True), ("6.0", "6.0"), (None, None),
    ],
)  # fmt: skip
def test_a_whole_number_is_an_integer(value, expected):
    found = as_integer(value)

    assert found == expected
    assert type(found) is type(expected)
