"""OpenAI Responses, end to end."""

import pytest

from faultmaven.infrastructure.llm.errors import UnsupportedParameterError
from faultmaven.infrastructure.llm.providers.openai_responses_provider import (
    OpenAIResponsesProvider,
)
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def make_responses(base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["gpt-x"], "max_retries": 0}
    return OpenAIResponsesProvider(name="openai", base_url=base_url, **{**given, **settings})


class TestContract(ProviderContract):
    dialect = "openai-responses"
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_responses(base_url, api_key=self.api_key)


async def test_a_request_has_the_shape_of_the_api(upstream):
    async with make_responses(upstream.base_url) as provider:
        await provider.generate("Hi", system_prompt="Brief.", tools=[WEATHER], max_tokens=99)

    sent = upstream.last_request
    assert sent.raw_target == "/v1/responses"
    assert sent.json["instructions"] == "Brief."
    assert sent.json["max_output_tokens"] == 99
    assert sent.json["tools"][0]["name"] == "get_weather"


async def test_tool_calls_and_results_make_a_round(upstream):
    upstream.reply(tool_calls=[("get_weather", {"city": "Oslo"})])
    async with make_responses(upstream.base_url) as provider:
        answer = assemble([c async for c in provider.stream("Weather?", tools=[WEATHER])])
        upstream.reply("Rain.")
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "rain"}
        question = {"role": "user", "content": "Weather?"}
        second = await provider.generate([question, answer.message, result], tools=[WEATHER])

    call, output = upstream.last_request.json["input"][1:]
    assert second.content == "Rain."
    assert call["type"] == "function_call"
    assert output["type"] == "function_call_output"
    assert call["call_id"] == output["call_id"] == answer.tool_calls[0].id


async def test_what_the_api_has_no_place_for_is_said(upstream):
    async with make_responses(upstream.base_url) as provider:
        answer = await provider.generate("Hi", seed=7)

    assert any("seed" in sentence for sentence in answer.route.unsupported)
    assert "seed" not in upstream.last_request.json


async def test_what_the_api_has_no_place_for_is_an_error_where_the_row_says_so(upstream):
    async with make_responses(upstream.base_url, row={"on_unsupported": "error"}) as provider:
        with pytest.raises(UnsupportedParameterError, match="seed"):
            await provider.generate("Hi", seed=7)

    assert upstream.requests == []


async def test_tokens_are_counted_without_what_does_not_count(canned):
    canned.answer({"object": "response.input_tokens", "input_tokens": 11})
    request = make_request("Hi", None, 100, 0.5, {"system_prompt": "Brief.", "tools": [WEATHER]})
    async with make_responses(f"{canned.url}/v1") as provider:
        counted = await provider.count_tokens(request)

    assert counted == 11
    assert canned.last.path == "/v1/responses/input_tokens"
    assert set(canned.last.json) == {"input", "instructions", "model", "tools"}


async def test_a_stream_that_was_not_asked_for_is_read_as_one_answer(canned):
    # The backend of ChatGPT's subscription streams always.
    body = (
        b'data: {"type":"response.output_text.delta","output_index":0,"delta":"Hi."}\n\n'
        b'data: {"type":"response.completed","response":{"id":"r","model":"gpt-x",'
        b'"status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":2}}}\n\n'
    )
    canned.answer(Canned(body, content_type="text/event-stream"))
    async with make_responses(canned.url) as provider:
        answer = await provider.generate("Hi")

    assert (answer.content, answer.tokens_used) == ("Hi.", 3)
