"""Ollama's own API, end to end."""

import pytest

from faultmaven.infrastructure.llm.errors import ModelNotFoundError, ResponseFormatError
from faultmaven.infrastructure.llm.providers.ollama_provider import OllamaProvider
from faultmaven.infrastructure.llm.wire.assemble import assemble


@pytest.fixture
async def ollama(upstream):
    async with OllamaProvider(
        name="ollama", base_url=upstream.url, models=["llama3.2"], max_retries=0
    ) as provider:
        yield provider


async def test_generate_without_a_key_costs_nothing(upstream, ollama):
    upstream.reply("Hello there")

    response = await ollama.generate("Hi", max_tokens=9, temperature=0)

    sent = upstream.last_request
    assert (response.content, response.cost_usd) == ("Hello there", 0.0)
    assert sent.path == "/api/chat"
    assert sent.json["options"] == {"num_predict": 9, "temperature": 0}
    assert "authorization" not in sent.headers


async def test_a_key_is_sent_as_a_bearer(upstream):
    async with OllamaProvider(
        base_url=upstream.url, models=["glm-4.6:cloud"], api_key="key-for-a-test"
    ) as cloud:
        response = await cloud.generate("Hi")

    assert upstream.last_request.headers["authorization"] == "Bearer key-for-a-test"
    assert response.cost_usd is None


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/api"])
async def test_the_address_is_taken_with_and_without_a_path(upstream, suffix):
    async with OllamaProvider(base_url=upstream.url + suffix, models=["m"]) as ollama:
        await ollama.generate("Hi")

    assert upstream.last_request.path == "/api/chat"


async def test_stream_ends_with_finish_reason_and_usage(upstream, ollama):
    upstream.reply(chunks=["Hel", "lo"])

    chunks = [chunk async for chunk in ollama.stream("Hi")]

    assert [chunk.text for chunk in chunks][:2] == ["Hel", "lo"]
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].usage.output_tokens > 0


async def test_tools_and_schema(upstream, ollama):
    upstream.reply(tool_calls=[("get_weather", {"city": "Paris"})])
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
    called = assemble([chunk async for chunk in ollama.stream("Weather?", tools=[tool])])
    upstream.reply('{"a": 1}')
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    structured = await ollama.generate("Hi", output_schema=schema)

    assert called.tool_calls[0].arguments == {"city": "Paris"}
    assert upstream.last_request.json["format"] == schema
    assert structured.parsed == {"a": 1}


async def test_models_and_embeddings(upstream, ollama):
    models = await ollama.get_available_models()
    answer = await ollama.embed(["one", "two"], model="embedder")

    assert models
    assert len(answer.vectors) == 2
    assert (answer.model, answer.cost_usd) == ("embedder", 0.0)
    assert upstream.last_request.json == {"model": "embedder", "input": ["one", "two"]}


async def test_a_missing_model_says_what_to_do(upstream, ollama):
    upstream.mode("status:404")

    with pytest.raises(ModelNotFoundError, match="ollama"):
        await ollama.generate("Hi")


async def test_embeddings_of_another_shape_are_an_error(upstream, ollama):
    upstream.mode("json-array")

    with pytest.raises(ResponseFormatError):
        await ollama.embed(["one"])
