"""OpenAI's own client and ours send the same: chat completions and responses."""

import pytest

from faultmaven.infrastructure.llm.providers.openai_responses_provider import (
    OpenAIResponsesProvider,
)
from tests.vendor_sdks.cases import (
    CALL_ID,
    CASES,
    FUNCTION,
    KEY,
    PICTURE,
    PNG,
    SCHEMA,
    TOOL,
    TOOL_ROUND,
    make_pairs,
    make_provider,
)
from tests.vendor_sdks.comparison import Meant, differences, unused

openai = pytest.importorskip("openai")

MODEL = "gpt-4.1"
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hello"}
SAMPLING = {"max_completion_tokens": 64, "temperature": 0.25, "top_p": 0.5, "stop": ["END"]}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
}
CHAT = {
    "chat": {"messages": [SYSTEM, USER], **SAMPLING},
    "stream": {
        "messages": [SYSTEM, USER],
        **SAMPLING,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "tools": {
        "messages": [USER],
        "max_completion_tokens": 64,
        "tools": [TOOL],
        "tool_choice": "required",
    },
    "tool results": {"messages": TOOL_ROUND, "max_completion_tokens": 64, "tools": [TOOL]},
    "image": {"messages": PICTURE, "max_completion_tokens": 64},
    "structured": {"messages": [USER], "max_completion_tokens": 64, "response_format": FORM},
}
USER_ITEM = {"type": "message", **USER}
FLAT_TOOL = {"type": "function", **FUNCTION, "strict": False}
RESPONSES = {
    "chat": {
        "instructions": "Be brief.",
        "input": [USER_ITEM],
        "max_output_tokens": 64,
        "temperature": 0.25,
        "top_p": 0.5,
    },
    "stream": {
        "instructions": "Be brief.",
        "input": [USER_ITEM],
        "max_output_tokens": 64,
        "temperature": 0.25,
        "top_p": 0.5,
        "stream": True,
    },
    "tools": {
        "input": [USER_ITEM],
        "max_output_tokens": 64,
        "tools": [FLAT_TOOL],
        "tool_choice": "required",
    },
    "tool results": {
        "input": [
            {"type": "message", "role": "user", "content": "Weather in Oslo?"},
            {"type": "message", "role": "assistant", "content": "I look."},
            {
                "type": "function_call",
                "call_id": CALL_ID,
                "name": "get_weather",
                "arguments": '{"city": "Oslo"}',
            },
            {"type": "function_call_output", "call_id": CALL_ID, "output": "rain"},
        ],
        "max_output_tokens": 64,
        "tools": [FLAT_TOOL],
    },
    "image": {
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                ],
            }
        ],
        "max_output_tokens": 64,
    },
    "structured": {
        "input": [USER_ITEM],
        "max_output_tokens": 64,
        "text": {
            "format": {"type": "json_schema", "name": "output", "schema": SCHEMA, "strict": True}
        },
    },
}
MEANT_IN_CHAT: list[Meant] = []
MEANT_IN_RESPONSES = [
    Meant("body.text.format.name", "answer", "output", "the caller's own name, which we make up"),
]


def ask_client(upstream, choose, body):
    with openai.OpenAI(base_url=upstream.base_url, api_key=KEY, max_retries=0) as client:
        made = choose(client).create(model=MODEL, **body)
        if body.get("stream"):
            list(made)


@pytest.fixture(scope="module")
def chats(upstream):
    def ours():
        return make_provider(upstream, "openai", "openai", OPENAI_API_KEY=KEY, OPENAI_MODEL=MODEL)

    def theirs(name):
        ask_client(upstream, lambda client: client.chat.completions, CHAT[name])

    return make_pairs(upstream, ours, theirs)


@pytest.fixture(scope="module")
def responses(upstream):
    def ours():
        return OpenAIResponsesProvider(
            name="openai", base_url=upstream.base_url, api_key=KEY, models=[MODEL]
        )

    def theirs(name):
        ask_client(upstream, lambda client: client.responses, RESPONSES[name])

    return make_pairs(upstream, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_chats_are_the_same(chats, case):
    assert differences(case, *chats[case], MEANT_IN_CHAT) == []


@pytest.mark.parametrize("case", CASES)
def test_responses_are_the_same(responses, case):
    assert differences(case, *responses[case], MEANT_IN_RESPONSES) == []


def test_meant_differences_occur(chats, responses):
    assert unused(chats, MEANT_IN_CHAT) == []
    assert unused(responses, MEANT_IN_RESPONSES) == []
