"""Anthropic's Messages, end to end."""

import pytest

from faultmaven.infrastructure.llm.errors import ModelNotFoundError
from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def make_anthropic(base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["claude-x"], "max_retries": 0}
    return AnthropicProvider(name="anthropic", base_url=base_url, **{**given, **settings})


class TestContract(ProviderContract):
    dialect = "anthropic"

    def make_provider(self, base_url):
        return make_anthropic(base_url, api_key=self.api_key)


async def test_headers_and_address_are_those_of_the_api(upstream):
    async with make_anthropic(upstream.base_url) as anthropic:
        await anthropic.generate("Hi", system_prompt="Brief.")

    sent = upstream.last_request
    assert sent.raw_target == "/v1/messages"
    assert sent.headers["x-api-key"] == "key-for-a-test"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in sent.headers


async def test_a_version_that_the_row_states_is_the_only_one():
    async with make_anthropic("http://unused", headers={"Anthropic-Version": "x"}) as anthropic:
        sent = {n: v for n, v in anthropic._get_headers().items() if n.lower().endswith("version")}

    assert sent == {"Anthropic-Version": "x"}


async def test_thinking_goes_back_with_its_signature(upstream):
    upstream.reply(reasoning="I look.", tool_calls=[("get_weather", {"city": "Oslo"})])
    async with make_anthropic(upstream.base_url) as anthropic:
        answer = assemble([c async for c in anthropic.stream("Weather?", tools=[WEATHER])])
        upstream.reply("Rain.")
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "rain"}
        question = {"role": "user", "content": "Weather?"}
        await anthropic.generate([question, answer.message, result], tools=[WEATHER])

    blocks = upstream.last_request.json["messages"][1]["content"]
    assert blocks[0]["type"] == "thinking"
    assert blocks[0]["signature"]
    assert blocks[-1]["input"] == {"city": "Oslo"}


async def test_tokens_are_counted_without_what_does_not_count(upstream):
    request = make_request("Hi", None, 100, 0.5, {"system_prompt": "Brief.", "tools": [WEATHER]})
    async with make_anthropic(upstream.base_url) as anthropic:
        counted = await anthropic.count_tokens(request)

    assert counted > 0
    assert upstream.last_request.path == "/v1/messages/count_tokens"
    assert set(upstream.last_request.json) == {"messages", "model", "system", "tools"}


async def test_a_host_that_cannot_count_says_so(canned):
    canned.answer(Canned({"error": {"message": "Not found"}}, status=404))
    async with make_anthropic(canned.url) as anthropic:
        with pytest.raises(ModelNotFoundError):
            await anthropic.count_tokens(make_request("Hi"))
