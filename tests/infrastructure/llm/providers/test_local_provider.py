"""Finding out what a local server speaks, and speaking it."""

import gc
import warnings

import pytest

from faultmaven.infrastructure.llm.errors import (
    LLMConnectionError,
    LLMTimeoutError,
    ProviderNotConfiguredError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.providers.local_provider import LocalProvider
from faultmaven.testing import FakeUpstream
from tests.engines.partial import only

OPENAI = ("/v1/models", "/v1/chat/completions", "/v1/embeddings")
OLLAMA = ("/api/version", "/api/chat", "/api/tags", "/api/embed")
LLAMACPP = ("/health", "/completion")


def template(body):
    turns = [f"[{turn['role']}] {turn['content']}" for turn in body["messages"]]
    return {"prompt": "\n".join([*turns, "[assistant]"])}


# What the fake upstream does not have of llama.cpp.
ANSWERS = {
    "/props": lambda _: {"default_generation_settings": {"n_ctx": 512}},
    "/apply-template": template,
}


@pytest.fixture
async def upstream():
    async with FakeUpstream(model="served-model") as upstream:
        upstream.reply("Hello there")
        yield upstream


def local(base_url, **settings):
    return LocalProvider(**{"name": "local", "base_url": base_url, "max_retries": 0} | settings)


@pytest.mark.parametrize(
    ("paths", "chat"),
    [
        pytest.param(OPENAI, "/v1/chat/completions", id="OpenAI's"),
        pytest.param(OLLAMA, "/api/chat", id="Ollama's"),
        pytest.param(LLAMACPP, "/completion", id="llama.cpp's"),
        pytest.param((*OLLAMA, *OPENAI), "/v1/chat/completions", id="OpenAI's before others"),
        pytest.param(("/v1/chat/completions",), "/v1/chat/completions", id="nothing said"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/v1", "/v1/"])
async def test_the_server_is_asked_once_what_it_speaks(upstream, paths, chat, suffix):
    seen = []
    answers = ANSWERS if paths is LLAMACPP else None
    async with (
        only(upstream.url, *paths, seen=seen, answers=answers) as url,
        local(url + suffix) as provider,
    ):
        first = await provider.generate("Hi", model="m")
        probes = len(seen)
        chunks = [chunk async for chunk in provider.stream("Hi", model="m")]
        second = await provider.generate("Hi", model="m")

    assert first.content == second.content == "Hello there"
    assert "".join(chunk.text for chunk in chunks) == "Hello there"
    assert seen[probes - 1] == seen[-1] == chat
    calls = [path for path in seen[probes:] if path != "/apply-template"]
    assert calls == [chat, chat]
    assert first.cost_usd == 0.0
    assert first.provider == "local"


@pytest.mark.parametrize(
    "paths", [pytest.param(OPENAI, id="OpenAI's"), pytest.param(OLLAMA, id="Ollama's")]
)
async def test_models_and_embeddings_come_from_the_server(upstream, paths):
    async with only(upstream.url, *paths) as url, local(url) as provider:
        models = await provider.get_available_models()
        answer = await provider.embed(["one", "two"])
        response = await provider.generate("Hi")

    assert models
    assert len(answer.vectors) == 2
    assert answer.cost_usd == 0.0
    assert provider.get_supported_models() == models[:1]
    assert response.content == "Hello there"


@pytest.mark.parametrize(
    ("paths", "listing"),
    [
        pytest.param(OPENAI, "/v1/models", id="OpenAI's"),
        pytest.param(OLLAMA, "/api/tags", id="Ollama's"),
    ],
)
async def test_a_first_look_at_the_key_asks_for_the_models_once(upstream, paths, listing):
    seen = []
    async with only(upstream.url, *paths, seen=seen) as url, local(url) as provider:
        assert await provider.validate_key()
        first = seen.count(listing)
        assert await provider.validate_key()

    assert first == 1
    assert seen.count(listing) == 2


async def test_a_key_that_the_server_refuses_is_told(upstream):
    upstream.mode("status:401")
    async with local(f"{upstream.url}/v1", api_key="key-for-a-test") as provider:
        assert not await provider.validate_key()


async def test_raw_completion_has_the_servers_own_template_applied(upstream):
    async with (
        only(upstream.url, *LLAMACPP, answers=ANSWERS) as url,
        local(url, models=["m"]) as provider,
    ):
        await provider.generate("What is the sea?", system_prompt="Be brief.")
        models = await provider.get_available_models()

    prompt = upstream.last_request.json["prompt"]
    assert prompt == "[system] Be brief.\n[user] What is the sea?\n[assistant]"
    assert models == ["m"]


async def test_raw_completion_refuses_tools(upstream):
    tool = {"type": "function", "function": {"name": "f"}}
    async with (
        only(upstream.url, *LLAMACPP, answers=ANSWERS) as url,
        local(url, models=["m"]) as provider,
    ):
        with pytest.raises(UnsupportedParameterError, match="no tools") as caught:
            await provider.generate("Hi", tools=[tool])

    assert caught.value.parameter == "tools"


async def test_a_key_is_sent_when_there_is_one(upstream):
    async with local(upstream.url, models=["m"], api_key="key-for-a-test") as provider:
        response = await provider.generate("Hi")

    assert {r.headers["authorization"] for r in upstream.requests} == {"Bearer key-for-a-test"}
    assert response.cost_usd == 0.0


async def test_a_server_that_is_not_there_is_asked_again_later(upstream):
    async with local("http://127.0.0.1:9", models=["m"]) as provider:
        with pytest.raises(LLMConnectionError, match="local") as caught:
            await provider.generate("Hi")
        provider.config.base_url = upstream.url
        response = await provider.generate("Hi")

    assert len(caught.value.attempts) == 1
    assert response.content == "Hello there"


async def test_finding_out_keeps_the_calls_deadline(upstream):
    upstream.mode("stall-headers")
    async with local(upstream.url, models=["m"]) as provider:
        with pytest.raises(LLMTimeoutError) as caught:
            await provider.generate("Hi", timeout=0.2)

    assert caught.value.code == "deadline_exceeded"


async def test_without_an_address_it_says_what_to_set():
    provider = local(None, row={"base_url_var": "LOCAL_LLM_BASE_URL"})

    assert not provider.is_available()
    with pytest.raises(ProviderNotConfiguredError, match="LOCAL_LLM_BASE_URL"):
        await provider.generate("Hi")


async def test_closing_right_after_a_stream_leaves_no_connection(upstream):
    async with local(upstream.url, models=["m"]) as provider:
        await provider.get_available_models()
        upstream.mode("done-then-hang")
        chunks = [chunk async for chunk in provider.stream("Hi")]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert chunks[-1].finish_reason == "stop"
    assert caught == []
