"""Cohere's own client and ours send the same."""

import pytest

from tests.vendor_sdks.cases import (
    CASES,
    KEY,
    PICTURE,
    SCHEMA,
    TOOL,
    TOOL_ROUND,
    make_pairs,
    make_provider,
)
from tests.vendor_sdks.comparison import Meant, differences, unused

cohere = pytest.importorskip("cohere")

MODEL = "command-a-03-2025"
USER = {"role": "user", "content": "Hello"}
SAMPLED = {
    "messages": [{"role": "system", "content": "Be brief."}, USER],
    "max_tokens": 64,
    "temperature": 0.25,
    "p": 0.5,
    "stop_sequences": ["END"],
}
CALLS = {
    "chat": SAMPLED,
    "stream": SAMPLED,
    "tools": {
        "messages": [USER],
        "max_tokens": 64,
        "tools": [TOOL],
        "tool_choice": "REQUIRED",
    },
    "tool results": {"messages": TOOL_ROUND, "max_tokens": 64, "tools": [TOOL]},
    "image": {"messages": PICTURE, "max_tokens": 64},
    "structured": {
        "messages": [USER],
        "max_tokens": 64,
        "response_format": {"type": "json_object", "json_schema": SCHEMA},
    },
}
MEANT: list[Meant] = []


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(upstream, "cohere", "cohere", COHERE_API_KEY=KEY, COHERE_MODEL=MODEL)

    def theirs(name):
        with cohere.ClientV2(api_key=KEY, base_url=upstream.url) as client:
            if CASES[name].streams:
                list(client.chat_stream(model=MODEL, **CALLS[name]))
            else:
                client.chat(model=MODEL, **CALLS[name])

    return make_pairs(upstream, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []
