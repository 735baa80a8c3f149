"""Gemini and Claude on Vertex AI, end to end, with tokens from the loopback."""

import pytest

from faultmaven.infrastructure.llm.providers.vertex_anthropic_provider import (
    VertexAnthropicProvider,
)
from faultmaven.infrastructure.llm.providers.vertex_provider import VertexProvider
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import FakeUpstream, ProviderContract, Reply

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
GOOGLE = "/v1/projects/p/locations/global/publishers/google"
ANTHROPIC = "/v1/projects/p/locations/global/publishers/anthropic/models"
GEMINI_ANSWER = {"candidates": [{"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}]}
CLAUDE_ANSWER = {
    "type": "message",
    "id": "msg_1",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


class Tokens:
    """Gives a token without asking anybody."""

    async def headers(self):
        return {"Authorization": "Bearer token-of-a-robot"}


def make_provider(kind, base_url, **settings):
    given = {"models": ["gemini-x"], "max_retries": 0, "row": {"api_key_var": None}}
    provider = kind(name="vertex_ai", base_url=base_url, **{**given, **settings})
    provider._tokens = Tokens()
    return provider


class TestContract(ProviderContract):
    dialect = "gemini"

    def make_provider(self, base_url):
        return make_provider(
            VertexProvider, f"{base_url}/projects/p/locations/l/publishers/google",
            api_key=self.api_key,
        )  # fmt: skip


class TestClaudeContract(ProviderContract):
    dialect = "vertex-anthropic"

    def make_provider(self, base_url):
        return make_provider(VertexAnthropicProvider, base_url, api_key=self.api_key)


@pytest.mark.parametrize("body", [[GEMINI_ANSWER], GEMINI_ANSWER], ids=["array", "object"])
async def test_a_stream_under_the_type_of_json_is_read_as_one(canned, body):
    canned.answer(body)
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        chunks = [chunk async for chunk in vertex.stream("Hi")]

    assert VertexProvider.streams_json
    assert assemble(chunks).content == "Hi."
    assert chunks[-1].finish_reason == "stop"


async def test_arguments_are_streamed_in_pieces_where_that_is_asked_for():
    given = {"place": "Boston, MA", "days": [1, 2], "units": {"metric": True}}
    async with (
        FakeUpstream() as upstream,
        make_provider(VertexProvider, upstream.url + GOOGLE) as vertex,
    ):
        upstream.script([Reply(tool_calls=[("get_weather", given), ("get_weather", {})])])
        chunks = [
            chunk
            async for chunk in vertex.stream(
                "Use the tool",
                tools=[WEATHER],
                tool_choice="required",
                streamFunctionCallArguments=True,
            )
        ]
        sent = upstream.requests[-1].json["toolConfig"]
    answer = assemble(chunks)

    assert sent == {"functionCallingConfig": {"mode": "ANY", "streamFunctionCallArguments": True}}
    assert [call.arguments for call in answer.tool_calls] == [given, {}]
    assert answer.finish_reason == "tool_calls"
    assert len([chunk for chunk in chunks if chunk.tool_calls]) > len(answer.tool_calls)


async def test_gemini_is_called_with_a_token(canned):
    canned.answer(GEMINI_ANSWER)
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        await vertex.generate("Hi", model="gemini-3.8-flash@001")

    assert canned.last.target == f"{GOOGLE}/models/gemini-3.8-flash@001:generateContent"
    assert canned.last.headers["authorization"] == "Bearer token-of-a-robot"
    assert "x-goog-api-key" not in canned.last.headers


async def test_a_key_goes_before_tokens(canned):
    canned.answer(GEMINI_ANSWER)
    async with make_provider(VertexProvider, canned.url, api_key="key-for-a-test") as vertex:
        await vertex.generate("Hi")

    assert canned.last.headers["x-goog-api-key"] == "key-for-a-test"
    assert "authorization" not in canned.last.headers


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://global-aiplatform.googleapis.com/v1/x", "//aiplatform.googleapis.com/"),
        ("https://us-east5-aiplatform.googleapis.com/v1/x", "//us-east5-aiplatform."),
    ],
)
def test_the_location_global_has_a_host_without_a_location(base_url, host):
    assert host in make_provider(VertexProvider, base_url).config.base_url


async def test_models_are_the_last_parts_of_their_names(canned):
    canned.answer({"publisherModels": [{"name": "publishers/google/models/gemini-x"}]})
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        models = await vertex.get_available_models()

    assert models == ["gemini-x"]
    assert canned.last.path == "/v1beta1/publishers/google/models"


async def test_a_model_list_of_another_shape_gives_the_configured_models(canned):
    canned.answer({"models": 7})
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        assert await vertex.get_available_models() == ["gemini-x"]


async def test_tokens_are_counted_with_what_counting_takes(canned):
    canned.answer({"totalTokens": 9})
    request = make_request(
        "Hi", None, 5, None,
        {"system_prompt": "Brief.", "tools": [WEATHER], "tool_choice": "required"},
    )  # fmt: skip
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        counted = await vertex.count_tokens(request)

    assert counted == 9
    assert canned.last.path == f"{GOOGLE}/models/gemini-x:countTokens"
    assert set(canned.last.json) == {"contents", "generationConfig", "systemInstruction", "tools"}


@pytest.mark.parametrize(
    ("model", "method", "answer", "requests"),
    [
        ("text-embedding-005", "predict", "predictions", 1),
        ("gemini-embedding-001", "predict", "predictions", 2),
        ("gemini-embedding-2", "embedContent", "embedding", 2),
    ],
)
async def test_each_family_embeds_in_its_own_way(canned, model, method, answer, requests):
    one = {"embeddings": {"values": [1.0], "statistics": {"token_count": 2}}}
    count = 2 // requests
    canned.answer(
        {"embedding": {"values": [1.0]}}
        if answer == "embedding"
        else {"predictions": [one] * count}
    )
    async with make_provider(VertexProvider, canned.url + GOOGLE) as vertex:
        vectors = await vertex.embed(["a", "b"], model=model)

    assert vectors.vectors == [[1.0], [1.0]]
    assert [s.path for s in canned.seen] == [f"{GOOGLE}/models/{model}:{method}"] * requests


async def test_claude_has_its_version_in_the_body_and_its_model_in_the_address(canned):
    canned.answer(CLAUDE_ANSWER)
    async with make_provider(VertexAnthropicProvider, canned.url + ANTHROPIC) as vertex:
        answer = await vertex.generate("Hi", model="claude-x@20250929")

    assert (answer.content, answer.model) == ("Hi.", "claude-x")
    assert canned.last.target == f"{ANTHROPIC}/claude-x@20250929:rawPredict"
    assert canned.last.json["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in canned.last.json
    assert "anthropic-version" not in canned.last.headers
    assert canned.last.headers["authorization"] == "Bearer token-of-a-robot"


async def test_claude_streams_from_another_method(upstream):
    upstream.reply(tool_calls=[("get_weather", {"city": "Oslo"})])
    base_url = upstream.base_url_for("vertex-anthropic")
    async with make_provider(VertexAnthropicProvider, base_url, models=["claude-x"]) as vertex:
        answer = assemble([c async for c in vertex.stream("Weather?", tools=[WEATHER])])

    assert upstream.last_request.path.endswith("/models/claude-x:streamRawPredict")
    assert upstream.last_request.json["stream"] is True
    assert answer.tool_calls[0].arguments == {"city": "Oslo"}


async def test_claude_counts_tokens_at_an_address_of_its_own(canned):
    canned.answer({"input_tokens": 12})
    provider = make_provider(
        VertexAnthropicProvider, canned.url + ANTHROPIC, models=["claude-x"]
    )  # fmt: skip
    async with provider as vertex:
        counted = await vertex.count_tokens(make_request("Hi"))

    assert counted == 12
    assert canned.last.path == f"{ANTHROPIC}/count-tokens:rawPredict"
    assert canned.last.json["model"] == "claude-x"
    assert "max_tokens" not in canned.last.json


async def test_claude_has_no_list_of_models(canned):
    async with make_provider(VertexAnthropicProvider, canned.url, models=["claude-x"]) as vertex:
        assert await vertex.get_available_models() == ["claude-x"]

    assert canned.seen == []
