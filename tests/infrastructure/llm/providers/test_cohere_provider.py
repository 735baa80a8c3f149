"""Cohere's own API, end to end."""

import pytest

from faultmaven.infrastructure.llm.errors import ModelNotFoundError
from faultmaven.infrastructure.llm.providers.cohere_provider import CohereProvider
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def make_cohere(base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["command-x"], "max_retries": 0}
    return CohereProvider(name="cohere", base_url=base_url, **{**given, **settings})


class TestContract(ProviderContract):
    dialect = "cohere"
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_cohere(base_url, api_key=self.api_key)


async def test_options_have_the_names_of_the_api(upstream):
    async with make_cohere(upstream.base_url_for("cohere")) as cohere:
        await cohere.generate("Hi", top_p=0.5, stop=["END"], max_tokens=9, temperature=0)

    sent = upstream.last_request
    assert sent.raw_target == "/v2/chat"
    assert sent.headers["authorization"] == "Bearer key-for-a-test"
    assert sent.json["p"] == 0.5
    assert sent.json["stop_sequences"] == ["END"]
    assert (sent.json["max_tokens"], sent.json["temperature"]) == (9, 0)


async def test_streamed_tool_calls_can_be_answered(upstream):
    upstream.reply(tool_calls=[("get_weather", {"city": "Oslo"})])
    async with make_cohere(upstream.base_url_for("cohere")) as cohere:
        answer = assemble([c async for c in cohere.stream("Weather?", tools=[WEATHER])])
        upstream.reply("Rain.")
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "rain"}
        question = {"role": "user", "content": "Weather?"}
        second = await cohere.generate([question, answer.message, result], tools=[WEATHER])

    assert second.content == "Rain."
    assert upstream.last_request.json["messages"][2]["tool_call_id"] == answer.tool_calls[0].id


async def test_models_and_tokens_are_those_of_version_1(canned):
    canned.answer({"models": [{"name": "command-x"}]}, {"tokens": [1, 2, 3], "token_strings": []})
    request = make_request("Hi", None, None, None, {"system_prompt": "Brief."})
    async with make_cohere(f"{canned.url}/v2") as cohere:
        models = await cohere.get_available_models()
        counted = await cohere.count_tokens(request)

    assert models == ["command-x"]
    assert counted == 3
    assert [seen.path for seen in canned.seen] == ["/v1/models", "/v1/tokenize"]
    assert canned.last.json == {"text": "Brief.\nHi", "model": "command-x"}


async def test_a_long_prompt_is_counted_in_parts(canned):
    canned.answer({"tokens": [1] * 10})
    async with make_cohere(f"{canned.url}/v2") as cohere:
        counted = await cohere.count_tokens(make_request("x" * 150_000))

    assert counted == 30
    assert [len(seen.json["text"]) for seen in canned.seen] == [65_536, 65_536, 18_928]


async def test_embeddings_say_what_they_are_for(canned):
    body = {"embeddings": {"float": [[0.5, 1.0]]}, "meta": {"billed_units": {"input_tokens": 2}}}
    canned.answer(body)
    async with make_cohere(f"{canned.url}/v2") as cohere:
        answer = await cohere.embed(["one"])

    assert answer.vectors == [[0.5, 1.0]]
    assert answer.input_tokens == 2
    assert canned.last.path == "/v2/embed"
    assert canned.last.json["input_type"] == "search_document"
    assert canned.last.json["model"] == "embed-v4.0"


async def test_a_missing_model_says_which_variable_to_set(canned):
    canned.answer(Canned({"message": "model 'x' not found"}, status=404))
    async with make_cohere(canned.url, row={"model_var": "COHERE_MODEL"}) as cohere:
        with pytest.raises(ModelNotFoundError, match="COHERE_MODEL"):
            await cohere.generate("Hi")
