"""Request objects, costs, structured answers, streams and clients that close."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from faultmaven.infrastructure.llm.catalog import Catalog, set_catalog
from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.providers import (
    PROVIDER_SCHEMA,
    OllamaProvider,
    OpenAIProvider,
    create_provider,
    get_registry,
)
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, LLMResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faultmaven.testing import FakeUpstream

KEY = "gsk_canary0123456789abcdef"
LLAMA = "llama-3.3-70b-versatile"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}},
    "required": ["city", "sunny"],
    "additionalProperties": False,
}


class OwnPricesProvider(OpenAIProvider):
    """A host of OpenAI's API by subclass: an address and a price."""

    def __init__(self, api_key: str, base_url: str = "https://api.acme.example/v1") -> None:
        super().__init__(api_key=api_key, base_url=base_url, models=["acme-large"])

    @override
    def calculate_cost(  # type: ignore[override]  # without the counts of the cache
        self, model: str, input_tokens: int, output_tokens: int
    ) -> float:
        return (input_tokens * 2 + output_tokens * 4) / 1_000_000


def groq(upstream: FakeUpstream, **settings: Any) -> OpenAIProvider:
    given = {"name": "groq", "api_key": KEY, "base_url": upstream.base_url, "models": [LLAMA]}
    return OpenAIProvider({**given, "max_retries": 0, **settings})


def asking(model: str | None = None, **fields: Any) -> LLMRequest:
    return LLMRequest([LLMMessage(role="user", content="Hello")], model, **fields)


@pytest.fixture
def own_prices() -> Iterator[None]:
    set_catalog(Catalog({"acme/*": {"input": 0.5, "output": 0.5}}))
    yield
    set_catalog(None)


# Requests and answers.


def test_request_has_the_usual_defaults() -> None:
    request = asking("m")

    assert (request.temperature, request.max_tokens) == (0.7, None)
    assert (request.stream, request.output_schema) == (False, None)


async def test_successful_answer_has_every_field(upstream: FakeUpstream) -> None:
    async with groq(upstream) as provider:
        response = await provider.try_complete(asking())

    assert response.success
    assert response.error is None
    assert response.content
    assert response.model
    assert response.input_tokens
    assert response.output_tokens
    assert response.cost_usd
    assert isinstance(response.raw_response, dict)
    assert response.raw_response["choices"][0]["message"]["content"] == response.content


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status:500", "HTTP 500: "),
        ("status:401", "HTTP 401: "),
        ("status-html:502", "HTTP 502: 502 Bad Gateway"),
        ("status-empty:502", "HTTP 502: Bad Gateway, without an explanation"),
        ("stall-headers", "no answer"),
        ("truncated-json", "not valid JSON"),
    ],
)
async def test_trying_never_raises(upstream: FakeUpstream, fault: str, said: str) -> None:
    async with groq(upstream, timeout=1) as provider:
        response = await provider.try_complete(asking(f"fm:{fault}"))

    assert not response.success
    assert said in str(response.error)
    assert str(response.error).count("HTTP") <= 1
    assert response.content == ""
    assert response.tokens_used == 0
    assert KEY not in str(response.error)


async def test_raw_response_is_the_providers_body(upstream: FakeUpstream) -> None:
    upstream.reply("Hi")
    async with groq(upstream) as provider:
        raw = (await provider.complete(asking())).raw_response

    assert raw["object"] == "chat.completion"
    assert raw["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize(("max_tokens", "sent"), [(None, {}), (5, {"max_tokens": 5})])
async def test_max_tokens_is_sent_where_it_is_set(
    upstream: FakeUpstream, max_tokens: int | None, sent: dict[str, int]
) -> None:
    async with groq(upstream) as provider:
        await provider.generate("Hello", max_tokens=max_tokens)

    body = upstream.last_request.json
    assert {k: v for k, v in body.items() if k.startswith("max_")} == sent


# Money.


def test_cost_is_priced_by_the_million_tokens() -> None:
    provider = create_provider({"api_key": KEY}, "groq")

    assert provider.calculate_cost(LLAMA, 1000, 500) == pytest.approx(0.000985, abs=1e-9)


def test_unknown_price_is_none_and_never_nothing() -> None:
    provider = create_provider({"api_key": KEY}, "groq")

    assert provider.calculate_cost("no-such-model", 1000, 500) is None


@pytest.mark.usefixtures("own_prices")
def test_price_of_models_that_nobody_knows_can_be_stated() -> None:
    provider = OpenAIProvider(name="acme", api_key=KEY, base_url="https://a.test", models=["m"])

    assert provider.calculate_cost("m", 1_000_000, 1_000_000) == 1.0


def test_local_models_cost_nothing() -> None:
    provider = create_provider({}, "ollama")

    assert provider.calculate_cost("llama3.2", 1000, 500) == 0.0


async def test_host_by_subclass_prices_its_own_calls(upstream: FakeUpstream) -> None:
    async with OwnPricesProvider(KEY, upstream.base_url) as provider:
        response = await provider.complete(asking())

    used = (response.input_tokens or 0) * 2 + (response.output_tokens or 0) * 4
    assert response.cost_usd == pytest.approx(used / 1_000_000)
    assert OwnPricesProvider(KEY).config.base_url == "https://api.acme.example/v1"


# Structured answers.


async def test_schema_is_asked_for_and_the_answer_parsed(upstream: FakeUpstream) -> None:
    upstream.reply(json.dumps({"city": "Graz", "sunny": True}))
    async with groq(upstream) as provider:
        response = await provider.complete(asking("m", output_schema=SCHEMA))

    assert response.parsed == {"city": "Graz", "sunny": True}
    asked = upstream.last_request.json["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["required"] == ["city", "sunny"]


async def test_model_that_knows_json_only_is_asked_for_that(upstream: FakeUpstream) -> None:
    upstream.reply(json.dumps({"city": "Graz", "sunny": True}))
    async with groq(upstream, row={"structured_output": "json_object"}) as provider:
        response = await provider.complete(asking("m", output_schema=SCHEMA))

    assert upstream.last_request.json["response_format"] == {"type": "json_object"}
    assert response.parsed["city"] == "Graz"


async def test_answer_that_does_not_match_is_tried_again_and_refused(
    upstream: FakeUpstream,
) -> None:
    upstream.reply('{"city": 1}')
    config = {"name": "groq", "base_url": upstream.base_url, "models": ["m"], "max_retries": 1}
    async with OpenAIProvider(config, clock=FakeClock()) as provider:
        with pytest.raises(ResponseFormatError) as caught:
            await provider.complete(asking("m", output_schema=SCHEMA))

    assert caught.value.code == "schema_mismatch"
    assert len(upstream.requests) == 2


# Streams.


@pytest.mark.parametrize("fault", ["ok", "noise-fields", "split-utf8", "done-then-more"])
async def test_stream_gives_the_text_and_ends(upstream: FakeUpstream, fault: str) -> None:
    async with groq(upstream) as provider:
        whole = (await provider.complete(asking())).content
        chunks = [chunk async for chunk in provider.stream_complete(asking(f"fm:{fault}"))]

    assert "".join(chunk.text for chunk in chunks) == whole
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].usage is not None


# Connections.


async def test_no_connection_before_the_first_call_and_none_after_close(
    upstream: FakeUpstream,
) -> None:
    provider = groq(upstream)
    assert upstream.connections_opened == 0
    await provider.complete(asking())
    assert upstream.connections_open == 1
    await provider.close()
    await provider.close()
    await upstream.wait_until_closed()

    assert upstream.connections_opened == 1


async def test_leaving_a_with_block_closes(upstream: FakeUpstream) -> None:
    async with groq(upstream) as provider:
        await provider.complete(asking())
    await upstream.wait_until_closed()


async def test_base_url_can_be_another(upstream: FakeUpstream) -> None:
    async with create_provider({"api_key": KEY, "base_url": upstream.base_url}, "groq") as groq:
        await groq.generate("Hello")

    assert len(upstream.requests) == 1


# Names and settings.


def test_provider_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    provider = get_registry().get_provider("groq")

    assert provider.provider_name == "groq"
    assert provider.api_key == KEY


def test_prefix_of_ones_own_is_tried_first(project: Path) -> None:
    (project / ".env").write_text(
        "FAULTMAVEN_ENV_PREFIX=GENAI_\n"
        "GROQ_API_KEY=sk-another-0123456789\n"
        f"GENAI_GROQ_API_KEY={KEY}\n"
        "GENAI_GROQ_DEFAULT_MODEL=llama-3.1-8b-instant\n"
    )
    (project / ".env").chmod(0o600)
    provider = get_registry().get_provider("groq")

    assert provider.api_key == KEY
    assert provider.get_default_model() == "llama-3.1-8b-instant"
    assert provider.config.models[0] == "llama-3.1-8b-instant"


@pytest.mark.parametrize("name", ["groq", "together", "anyscale", "vllm"])
def test_hosts_of_openais_api_are_rows(name: str) -> None:
    row = get_registry().get_row(name)

    assert row["provider_class"] in ("OpenAIProvider", "LocalProvider")


def test_local_servers_are_looked_for_at_their_own_port() -> None:
    provider = create_provider({}, "ollama")

    assert isinstance(provider, OpenAIProvider | OllamaProvider)
    assert "localhost:11434" in str(provider.config.base_url)


async def test_groq_is_asked_in_openais_words(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_BASE", upstream.base_url)
    async with get_registry() as registry:
        response = await registry.get_provider("groq").generate(
            "Hello", model=LLAMA, system_prompt="Be brief.", max_tokens=9, temperature=0
        )

    sent = upstream.last_request
    assert sent.path == "/v1/chat/completions"
    assert sent.api_key == KEY
    assert sent.json == {
        "model": LLAMA,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 9,
        "temperature": 0,
    }
    assert isinstance(response, LLMResponse)
    assert response.cost_usd == pytest.approx(
        (response.input_tokens or 0) * 0.59e-6 + (response.output_tokens or 0) * 0.79e-6
    )


def test_entry_of_the_table_can_be_looked_up_by_name() -> None:
    assert PROVIDER_SCHEMA["groq"]["default_base_url"] == "https://api.groq.com/openai/v1"


@pytest.mark.live
async def test_groq_answers() -> None:
    key = os.environ.get("FAULTMAVEN_LIVE_GROQ_KEY")
    if not key:
        pytest.skip("FAULTMAVEN_LIVE_GROQ_KEY is not set")
    async with create_provider({"api_key": key}, "groq") as provider:
        assert (await provider.generate("Say hello")).content
