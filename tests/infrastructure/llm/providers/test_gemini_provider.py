"""Gemini's generateContent, end to end."""

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    LLMError,
    ModelNotFoundError,
)
from faultmaven.infrastructure.llm.providers.gemini_provider import GeminiProvider
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def make_gemini(base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["gemini-3.8-flash"], "max_retries": 0}
    return GeminiProvider(name="gemini", base_url=base_url, **{**given, **settings})


class TestContract(ProviderContract):
    dialect = "gemini"
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_gemini(base_url, api_key=self.api_key)


async def test_the_key_goes_into_a_header_and_not_into_the_address(upstream):
    async with make_gemini(upstream.base_url_for("gemini")) as gemini:
        await gemini.generate("Hi")
        _ = [chunk async for chunk in gemini.stream("Hi")]

    plain, streamed = upstream.requests
    assert plain.raw_target == "/v1beta/models/gemini-3.8-flash:generateContent"
    assert streamed.raw_target == ("/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse")
    assert plain.headers["x-goog-api-key"] == "key-for-a-test"
    assert "authorization" not in plain.headers


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../../admin?x=#", "models/..%2F..%2Fadmin%3Fx%3D%23"),
        ("a:countTokens", "models/a%3AcountTokens"),
        ("größe 1", "models/gr%C3%B6%C3%9Fe%201"),
    ],
)
async def test_a_model_is_one_segment_of_the_path(canned, model, segment):
    canned.answer({"candidates": [{"content": {"parts": [{"text": "Hi."}]}}]})
    async with make_gemini(f"{canned.url}/v1beta") as gemini:
        await gemini.generate("Hi", model=model)

    assert canned.last.target == f"/v1beta/{segment}:generateContent"


@pytest.mark.parametrize("model", [".", ".."])
async def test_a_model_that_would_change_the_path_is_refused(upstream, model):
    async with make_gemini(upstream.base_url_for("gemini")) as gemini:
        with pytest.raises(ModelNotFoundError, match="no model's name"):
            await gemini.generate("Hi", model=model)

    assert upstream.requests == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_thought_signature_goes_back_with_its_call(upstream, streamed):
    async with make_gemini(upstream.base_url_for("gemini")) as gemini:
        upstream.reply(tool_calls=[("get_weather", {"city": "Oslo"})])
        if streamed:
            chunks = [chunk async for chunk in gemini.stream("Weather?", tools=[WEATHER])]
            answer = assemble(chunks)
        else:
            answer = await gemini.generate("Weather?", tools=[WEATHER])
        upstream.reply("Rain.")
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "rain"}
        question = {"role": "user", "content": "Weather?"}
        await gemini.generate([question, answer.message, result], tools=[WEATHER])

    turns = upstream.last_request.json["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    call = turns[1]["parts"][-1]
    assert call["functionCall"]["args"] == {"city": "Oslo"}
    assert call["thoughtSignature"] == "ZmFrZS1zaWduYXR1cmU="
    assert turns[2]["parts"][0]["functionResponse"]["name"] == "get_weather"


async def test_models_are_listed_without_their_collection(canned):
    canned.answer({"models": [{"name": "models/gemini-a"}, {"name": "models/gemini-b"}]})
    async with make_gemini(canned.url) as gemini:
        models = await gemini.get_available_models()

    assert models == ["gemini-a", "gemini-b"]
    assert canned.last.target == "/models?pageSize=1000"
    assert canned.last.headers["x-goog-api-key"] == "key-for-a-test"


async def test_tokens_are_counted_with_system_prompt_and_tools(canned):
    canned.answer({"totalTokens": 42})
    request = make_request("Hi", None, None, None, {"system_prompt": "Brief.", "tools": [WEATHER]})
    async with make_gemini(canned.url) as gemini:
        counted = await gemini.count_tokens(request)

    sent = canned.last.json["generateContentRequest"]
    assert counted == 42
    assert canned.last.path == "/models/gemini-3.8-flash:countTokens"
    assert sent["model"] == "models/gemini-3.8-flash"
    assert sent["systemInstruction"] == {"parts": [{"text": "Brief."}]}
    assert sent["tools"]


async def test_embeddings_go_in_batches(canned):
    canned.answer(
        {"embeddings": [{"values": [float(n)]} for n in range(100)]},
        {"embeddings": [{"values": [100.0]}]},
    )
    async with make_gemini(canned.url, row={"embeddings": {"model": "embedder"}}) as gemini:
        answer = await gemini.embed([f"text {n}" for n in range(101)])

    assert len(answer.vectors) == 101
    assert answer.model == "embedder"
    assert {seen.path for seen in canned.seen} == {"/models/embedder:batchEmbedContents"}
    assert sorted(len(seen.json["requests"]) for seen in canned.seen) == [1, 100]


async def test_a_bad_key_is_400_here_and_an_authentication_error(canned):
    body = {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"reason": "API_KEY_INVALID"}],
        }
    }
    canned.answer(Canned(body, status=400))
    async with make_gemini(canned.url, row={"api_key_var": "GEMINI_API_KEY"}) as gemini:
        with pytest.raises(AuthenticationError, match="GEMINI_API_KEY"):
            await gemini.generate("Hi")


@pytest.mark.parametrize(
    "body",
    [{"embeddings": [{"values": [1.0]}]}, {"embeddings": 7}, [], {"error": {"message": "no"}}],
    ids=["too few", "no list", "a list", "an error"],
)
async def test_vectors_of_another_shape_are_an_error(canned, body):
    canned.answer(body)
    async with make_gemini(canned.url) as gemini:
        with pytest.raises(LLMError):
            await gemini.embed(["a", "b"])


async def test_no_texts_have_no_vectors(canned):
    async with make_gemini(canned.url) as gemini:
        answer = await gemini.embed([])

    assert (answer.vectors, canned.seen) == ([], [])
