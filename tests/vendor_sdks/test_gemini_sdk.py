"""google-genai and ours send the same."""

import base64
import json
import re
from dataclasses import replace

import pytest

from tests.vendor_sdks.cases import (
    CASES,
    FUNCTION,
    KEY,
    PARAMETERS,
    PNG,
    SCHEMA,
    make_pairs,
    make_provider,
)
from tests.vendor_sdks.comparison import ABSENT, ANYTHING, Meant, differences, unused

genai = pytest.importorskip("google.genai")
types = pytest.importorskip("google.genai.types")

MODEL = "gemini-2.5-flash"
TOOL = {
    "function_declarations": [
        {
            "name": "get_weather",
            "description": FUNCTION["description"],
            "parameters_json_schema": PARAMETERS,
        }
    ]
}
SAMPLING = {
    "system_instruction": "Be brief.",
    "max_output_tokens": 64,
    "temperature": 0.25,
    "top_p": 0.5,
    "stop_sequences": ["END"],
}
CALLS = {
    "chat": ("Hello", SAMPLING),
    "stream": ("Hello", SAMPLING),
    "tools": (
        "Hello",
        {
            "max_output_tokens": 64,
            "tools": [TOOL],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
        },
    ),
    "tool results": (
        [
            {"role": "user", "parts": [{"text": "Weather in Oslo?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {
                        "function_call": {
                            "id": "callNr001",
                            "name": "get_weather",
                            "args": {"city": "Oslo"},
                        }
                    },
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "function_response": {
                            "id": "callNr001",
                            "name": "get_weather",
                            "response": {"output": "rain"},
                        }
                    }
                ],
            },
        ],
        {"max_output_tokens": 64, "tools": [TOOL]},
    ),
    "image": (
        [
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inline_data": {"mime_type": "image/png", "data": base64.b64decode(PNG)}},
                ],
            }
        ],
        {"max_output_tokens": 64},
    ),
    "structured": (
        "Hello",
        {
            "max_output_tokens": 64,
            "response_mime_type": "application/json",
            "response_json_schema": SCHEMA,
        },
    ),
}
MEANT = [
    Meant(
        "body.systemInstruction.role", ABSENT, "user", "the role of an instruction means nothing"
    ),
    Meant(
        "path",
        ANYTHING,
        f"/v1/models/{MODEL}:*",
        "the row calls v1beta, where new models and fields come first; client 3.4 calls v1",
    ),
]


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(upstream, "gemini", "gemini", GEMINI_API_KEY=KEY, GEMINI_MODEL=MODEL)

    def theirs(name):
        contents, config = CALLS[name]
        config = types.GenerateContentConfig.model_validate(config)
        if isinstance(contents, list):
            contents = [types.Content.model_validate(content) for content in contents]
        client = genai.Client(api_key=KEY, http_options={"base_url": upstream.url})
        try:
            if CASES[name].streams:
                list(
                    client.models.generate_content_stream(
                        model=MODEL, contents=contents, config=config
                    )
                )
            else:
                client.models.generate_content(model=MODEL, contents=contents, config=config)
        finally:
            client.close()

    return {
        name: (one, replace(other, body=json.dumps(camel_case(other.json)).encode()))
        for name, (one, other) in make_pairs(upstream, ours, theirs).items()
    }


def camel_case(value):
    """Spell names in one of the two ways that the API reads; the client mixes them."""
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub("_([a-z])", lambda match: match[1].upper(), name): camel_case(item)
        for name, item in value.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []
