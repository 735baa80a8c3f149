"""Mistral's chat, end to end, and what it takes otherwise than OpenAI's."""

import re

import pytest

from faultmaven.infrastructure.llm.providers.mistral_provider import MistralProvider
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.types import LLMMessage
from faultmaven.infrastructure.llm.wire.mistral_chat import call_id_to_wire, messages_to_wire
from faultmaven.testing import ProviderContract

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def make_mistral(base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["mistral-x"], "max_retries": 0}
    given["row"] = BUILTIN_ROWS["mistral"]
    return MistralProvider(name="mistral", base_url=base_url, **{**given, **settings})


class TestContract(ProviderContract):
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_mistral(base_url, api_key=self.api_key)


async def test_parameters_have_the_names_of_the_api(upstream):
    async with make_mistral(upstream.base_url) as mistral:
        await mistral.generate("Hi", seed=7, tools=[WEATHER], tool_choice="required", max_tokens=9)

    sent = upstream.last_request.json
    assert sent["random_seed"] == 7
    assert sent["tool_choice"] == "any"
    assert sent["max_tokens"] == 9
    assert "seed" not in sent


@pytest.mark.parametrize("call_id", ["call_Z1x-8", "", "ä", "abcdefgh1", "x" * 80])
def test_ids_of_calls_are_nine_letters_and_digits(call_id):
    assert re.fullmatch(r"[A-Za-z0-9]{9}", call_id_to_wire(call_id))
    assert call_id_to_wire(call_id) == call_id_to_wire(call_id)


def test_an_id_of_its_own_stays():
    assert call_id_to_wire("abcDEF123") == "abcDEF123"


def test_a_call_and_its_result_keep_one_id_and_lose_what_is_unknown():
    call = {
        "id": "toolu_01", "type": "function", "index": 0,
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "x"}},
    }  # fmt: skip
    turns = [
        LLMMessage(role="assistant", content=None, tool_calls=[call], refusal=None),
        LLMMessage(role="tool", tool_call_id="toolu_01", content="1"),
    ]

    called, result = messages_to_wire(turns)

    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert set(called["tool_calls"][0]) == {"id", "type", "function"}
    assert set(called) == {"role", "content", "tool_calls"}
    assert turns[0]["tool_calls"][0]["id"] == "toolu_01"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}},
            {"type": "document_url", "document_url": "data:x", "document_name": "a.pdf"},
        ),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file_id": "f1"}),
        (
            {"type": "input_audio", "input_audio": {"data": "AAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": "AAA"},
        ),
    ],
)
def test_parts_are_said_in_its_own_words(part, expected):
    assert messages_to_wire([LLMMessage(role="user", content=[part])])[0]["content"] == [expected]


def test_a_developer_is_a_system():
    assert messages_to_wire([LLMMessage(role="developer", content="x")])[0]["role"] == "system"
