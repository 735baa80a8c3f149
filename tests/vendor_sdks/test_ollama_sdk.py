"""Ollama's own client and ours send the same."""

import pytest

from tests.vendor_sdks.cases import CALL_ID, CASES, PNG, SCHEMA, TOOL, make_pairs, make_provider
from tests.vendor_sdks.comparison import ABSENT, Meant, differences, unused

ollama = pytest.importorskip("ollama")

MODEL = "llama3.2"
USER = {"role": "user", "content": "Hello"}
BOUND = {"num_predict": 64}
SAMPLED = {
    "messages": [{"role": "system", "content": "Be brief."}, USER],
    "options": {"num_predict": 64, "temperature": 0.25, "top_p": 0.5, "stop": ["END"]},
}
CALLS = {
    "chat": SAMPLED,
    "stream": {**SAMPLED, "stream": True},
    "tools": {"messages": [USER], "options": BOUND, "tools": [TOOL]},
    "tool results": {
        "messages": [
            {"role": "user", "content": "Weather in Oslo?"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
                ],
            },
            {"role": "tool", "tool_name": "get_weather", "content": "rain"},
        ],
        "options": BOUND,
        "tools": [TOOL],
    },
    "image": {
        "messages": [{"role": "user", "content": "What is this?", "images": [PNG]}],
        "options": BOUND,
    },
    "structured": {"messages": [USER], "options": BOUND, "format": SCHEMA},
}
_IDS = "ids tie a result to its call where a tool is called twice; the client's types have none"
MEANT = [
    Meant("body.tools", ABSENT, [], "there are none"),
    Meant("body.messages.*.tool_calls.0.id", CALL_ID, ABSENT, _IDS),
    Meant("body.messages.*.tool_call_id", CALL_ID, ABSENT, _IDS),
]


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(upstream, "ollama", "ollama", OLLAMA_MODEL=MODEL)

    def theirs(name):
        with ollama.Client(host=upstream.url) as client:
            made = client.chat(model=MODEL, **CALLS[name])
            if CASES[name].streams:
                list(made)

    return make_pairs(upstream, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []
