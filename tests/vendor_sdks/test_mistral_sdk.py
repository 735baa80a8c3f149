"""Mistral's own client and ours send the same."""

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
from tests.vendor_sdks.comparison import ABSENT, Meant, differences, unused

mistral = pytest.importorskip("mistralai.client")

MODEL = "mistral-small-latest"
USER = {"role": "user", "content": "Hello"}
SAMPLED = {
    "messages": [{"role": "system", "content": "Be brief."}, USER],
    "max_tokens": 64,
    "temperature": 0.25,
    "top_p": 0.5,
    "stop": ["END"],
}
CALLS = {
    "chat": SAMPLED,
    "stream": SAMPLED,
    "tools": {"messages": [USER], "max_tokens": 64, "tools": [TOOL], "tool_choice": "any"},
    "tool results": {"messages": TOOL_ROUND, "max_tokens": 64, "tools": [TOOL]},
    "image": {"messages": PICTURE, "max_tokens": 64},
    "structured": {
        "messages": [USER],
        "max_tokens": 64,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
        },
    },
}
MEANT = [
    Meant("body.stream", ABSENT, False, "the API's default"),
    Meant("body.messages.*.prefix", ABSENT, False, "the API's default"),
    Meant("body.messages.*.tool_calls.0.index", ABSENT, 0, "the place says the same"),
]


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(
            upstream, "openai", "mistral", MISTRAL_API_KEY=KEY, MISTRAL_MODEL=MODEL
        )

    def theirs(name):
        with mistral.Mistral(api_key=KEY, server_url=upstream.url) as client:
            if CASES[name].streams:
                with client.chat.stream(model=MODEL, **CALLS[name]) as events:
                    list(events)
            else:
                client.chat.complete(model=MODEL, **CALLS[name])

    return make_pairs(upstream, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []
