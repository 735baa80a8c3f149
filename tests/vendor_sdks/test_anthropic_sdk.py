"""Anthropic's own client and ours send the same."""

import pytest

from tests.vendor_sdks.cases import (
    CALL_ID,
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

anthropic = pytest.importorskip("anthropic")

MODEL = "claude-haiku-4-5"
USER = {"role": "user", "content": "Hello"}
TOOL = {
    "name": "get_weather",
    "description": FUNCTION["description"],
    "input_schema": PARAMETERS,
}
# The client has no arguments for sampling any more; older models still take it.
SAMPLED = {
    "system": "Be brief.",
    "messages": [USER],
    "max_tokens": 64,
    "stop_sequences": ["END"],
    "extra_body": {"temperature": 0.25, "top_p": 0.5},
}
CALLS = {
    "chat": SAMPLED,
    "stream": {**SAMPLED, "stream": True},
    "tools": {
        "messages": [USER],
        "max_tokens": 64,
        "tools": [TOOL],
        "tool_choice": {"type": "any"},
    },
    "tool results": {
        "messages": [
            {"role": "user", "content": "Weather in Oslo?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {
                        "type": "tool_use",
                        "id": CALL_ID,
                        "name": "get_weather",
                        "input": {"city": "Oslo"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": CALL_ID, "content": "rain"}],
            },
        ],
        "max_tokens": 64,
        "tools": [TOOL],
    },
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    },
                ],
            }
        ],
        "max_tokens": 64,
    },
    "structured": {
        "messages": [USER],
        "max_tokens": 64,
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    },
}
MEANT = [
    Meant(
        "header.anthropic-version",
        "2023-06-01",
        ANYTHING,
        "the version that every compatible host knows, and that takes the sampling parameters of "
        "older models; client 2.12 asks for 2026-10-21, which refuses them",
    ),
    Meant(
        "header.x-api-key",
        KEY,
        ABSENT,
        "the header that compatible hosts read; client 2.12 sends keys as bearers",
    ),
    Meant("header.authorization", ABSENT, f"Bearer {KEY}", "see x-api-key"),
]


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(
            upstream, "anthropic", "anthropic", ANTHROPIC_API_KEY=KEY, ANTHROPIC_MODEL=MODEL
        )

    def theirs(name):
        with anthropic.Anthropic(base_url=upstream.url, api_key=KEY, max_retries=0) as client:
            made = client.messages.create(model=MODEL, **CALLS[name])
            if CASES[name].streams:
                list(made)

    return make_pairs(upstream, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []
