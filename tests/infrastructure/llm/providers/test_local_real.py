"""The dialects against the real llama.cpp server."""

import pytest

from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.local_provider import LocalProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.engines.partial import only

SENTENCE = "Write one sentence about the sea."
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "boolean"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def connect(provider_class, server, path="/v1"):
    address = server.address
    return provider_class(
        name="local",
        base_url=address.base_url + path,
        api_key=address.api_key,
        models=["smollm2-135m"],
        row={"local": True},
    )


every_dialect = pytest.mark.parametrize(
    ("provider_class", "path"),
    [
        pytest.param(LocalProvider, "", id="local"),
        pytest.param(OpenAIProvider, "/v1", id="openai"),
        pytest.param(AnthropicProvider, "/v1", id="anthropic"),
    ],
)


@every_dialect
async def test_chat_and_stream_say_the_same(llama_server, provider_class, path):
    options = {"max_tokens": 24, "temperature": 0}
    async with connect(provider_class, llama_server, path) as provider:
        whole = await provider.generate(SENTENCE, **options)
        streamed = assemble([c async for c in provider.stream(SENTENCE, **options)])

    assert "sea" in whole.content
    assert streamed.content == whole.content
    assert (streamed.output_tokens, streamed.finish_reason) == (
        whole.output_tokens,
        whole.finish_reason,
    )
    assert whole.input_tokens > 10
    assert whole.cost_usd == 0.0


@every_dialect
async def test_tools_are_called(llama_tool_server, provider_class, path):
    question = "What is the weather in Paris?"
    options = {"tools": [TOOL], "max_tokens": 64, "temperature": 0}
    async with connect(provider_class, llama_tool_server, path) as provider:
        whole = await provider.generate(question, **options)
        streamed = assemble([c async for c in provider.stream(question, **options)])

    for response in (whole, streamed):
        assert response.finish_reason == "tool_calls"
        assert response.tool_calls[0].name == "get_weather"
        assert response.tool_calls[0].arguments is not None


@pytest.mark.parametrize("provider_class", [LocalProvider, OpenAIProvider])
async def test_schema_models_and_embeddings(llama_server, provider_class):
    async with connect(provider_class, llama_server) as provider:
        structured = await provider.generate(
            "Is the sea wet?", output_schema=SCHEMA, max_tokens=32, temperature=0
        )
        models = await provider.get_available_models()
        embedded = await provider.embed(["sea", "ocean"])
        works = await provider.validate_key()

    assert isinstance(structured.parsed["answer"], bool)
    assert models == ["smollm2-135m"]
    assert [len(vector) for vector in embedded.vectors] == [576, 576]
    assert works


async def test_raw_completion_says_what_chat_says(llama_server):
    options = {"max_tokens": 24, "temperature": 0}
    raw_paths = ("/props", "/apply-template", "/completion")
    async with (
        only(llama_server.address.base_url, *raw_paths) as url,
        connect(LocalProvider, llama_server, "") as chat,
        LocalProvider(
            name="raw", base_url=url, api_key=llama_server.address.api_key, models=["m"]
        ) as raw,
    ):
        expected = await chat.generate(SENTENCE, **options)
        whole = await raw.generate(SENTENCE, **options)
        streamed = assemble([c async for c in raw.stream(SENTENCE, **options)])
        structured = await raw.generate("Is it?", output_schema=SCHEMA, max_tokens=32)

    assert whole.content == streamed.content == expected.content
    assert whole.finish_reason == expected.finish_reason
    assert whole.output_tokens == streamed.output_tokens
    assert isinstance(structured.parsed["answer"], bool)
