"""A provider is a row, its variables, and now and then a class with four members."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from typing_extensions import override

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    ProviderNotConfiguredError,
    ResponseFormatError,
    ServerError,
    UnknownProviderError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.providers import (
    PROVIDER_SCHEMA,
    AnthropicProvider,
    BaseLLMProvider,
    LLMResponse,
    LocalProvider,
    OpenAIProvider,
    ProviderConfig,
    ProviderRegistry,
    base,
    get_registry,
)
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.testing import FakeUpstream
from faultmaven.testing.answers import Reply
from faultmaven.testing.listeners import broken_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "sk-canary-0123456789abcdef"


class HandmadeProvider(BaseLLMProvider):
    """The four members, with a session of its own for each call."""

    @property
    @override
    def provider_name(self) -> str:
        return "handmade"

    @override
    def is_available(self) -> bool:
        return bool(self.config.api_key and self.config.base_url and self.config.models)

    @override
    def get_supported_models(self) -> list[str]:
        return self.config.models.copy()

    @override
    async def generate(
        self,
        prompt: Any,
        model: str | None = None,
        max_tokens: int | None = 1000,
        temperature: float | None = 0.7,
        **kwargs: Any,
    ) -> LLMResponse:
        self._start_timing()
        chosen = self.get_effective_model(model)
        body = {
            "model": chosen,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": temperature,
            **kwargs,
        }
        headers = {"x-api-key": self.config.api_key or "", "anthropic-version": "2023-06-01"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.config.base_url}/messages",
                headers=headers,
                json=body,
                timeout=aiohttp.ClientTimeout(total=self.config.timeout),
            ) as reply,
        ):
            if reply.status != 200:
                msg = f"Handmade API error {reply.status}: {await reply.text()}"
                raise RuntimeError(msg)
            data = await reply.json()
        usage = data.get("usage", {})
        return LLMResponse(
            content=self._validate_response_content(data["content"][0]["text"]),
            confidence=self.config.confidence_score,
            provider=self.provider_name,
            model=chosen,
            tokens_used=usage.get("input_tokens", 0) + usage.get("output_tokens", 0),
            response_time_ms=self._get_response_time_ms(),
        )


def row(upstream: FakeUpstream, **fields: Any) -> dict[str, Any]:
    return {
        "api_key_var": None,
        "default_base_url": upstream.base_url,
        "default_model": "m",
        **fields,
    }


@pytest.fixture
async def registry() -> AsyncIterator[ProviderRegistry]:
    async with get_registry() as made:
        yield made


# The row's fields.


def test_one_entry_is_a_provider() -> None:
    PROVIDER_SCHEMA["acme"] = {"default_base_url": "https://acme.example/v1"}

    assert "acme" in get_registry().get_all_provider_names()


async def test_key_comes_from_its_variable(
    upstream: FakeUpstream, registry: ProviderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    registry.reload()
    PROVIDER_SCHEMA["acme"] = row(upstream, api_key_var="MY_KEY")
    await registry.get_provider("acme").generate("Hello")

    assert upstream.last_request.api_key == KEY


def test_provider_without_a_key_variable_needs_none() -> None:
    PROVIDER_SCHEMA["acme"] = {
        "api_key_var": None, "default_base_url": "https://a.test", "default_model": "m",
    }  # fmt: skip

    assert "acme" in get_registry().get_available_providers()
    assert get_registry().get_provider("acme").is_available()


def test_missing_key_is_named() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="GROQ_API_KEY"):
        get_registry().get_provider("groq")


async def test_model_variable_wins_over_the_default_and_the_call_over_both(
    upstream: FakeUpstream, registry: ProviderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    PROVIDER_SCHEMA["acme"] = row(upstream, model_var="MY_MODEL")
    await registry.get_provider("acme").generate("Hello")
    monkeypatch.setenv("MY_MODEL", "from-variable")
    registry.reload()
    await registry.get_provider("acme").generate("Hello")
    await registry.get_provider("acme").generate("Hello", model="from-call")

    assert [r.json["model"] for r in upstream.requests] == ["m", "from-variable", "from-call"]


async def test_address_variable_wins_over_the_default(
    upstream: FakeUpstream, registry: ProviderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    PROVIDER_SCHEMA["acme"] = row(
        upstream, base_url_var="MY_BASE", default_base_url="https://acme.example/v1"
    )
    assert registry.get_provider("acme").config.base_url == "https://acme.example/v1"
    monkeypatch.setenv("MY_BASE", upstream.base_url)
    registry.reload()
    await registry.get_provider("acme").generate("Hello")

    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "given", ["LocalProvider", LocalProvider, f"{LocalProvider.__module__}:LocalProvider"]
)
def test_class_is_given_by_name_by_path_or_itself(given: Any) -> None:
    PROVIDER_SCHEMA["acme"] = {"provider_class": given, "default_base_url": "http://localhost:1"}
    PROVIDER_SCHEMA["acme"]["api_key_var"] = None

    assert type(get_registry().get_provider("acme")) is LocalProvider


@pytest.mark.parametrize("given", [dict, "OpenAIProvidr", "os:getcwd", "no.such:Class"])
def test_class_that_is_no_provider_is_refused(given: Any) -> None:
    PROVIDER_SCHEMA["acme"] = {
        "provider_class": given, "default_base_url": "https://a.test", "api_key_var": None,
    }  # fmt: skip

    with pytest.raises(ConfigurationError, match="provider_class"):
        get_registry().get_provider("acme")


@pytest.mark.parametrize(("retries", "answers"), [(3, True), (2, False)])
async def test_retries_are_counted_after_the_first_try(
    upstream: FakeUpstream, retries: int, answers: bool
) -> None:
    config = {"name": "acme", "base_url": upstream.base_url, "models": ["m"]}
    async with OpenAIProvider(config, max_retries=retries, clock=FakeClock()) as provider:
        call = provider.generate("Hello", model="fm:flaky:3:status:500")
        if answers:
            assert (await call).content
        else:
            with pytest.raises(ServerError):
                await call

    assert len(upstream.requests) == retries + 1


def test_timeout_and_confidence_are_the_rows() -> None:
    PROVIDER_SCHEMA["acme"] = {
        "default_base_url": "https://a.test", "timeout": 7, "confidence_score": 0.35,
        "api_key_var": None,
    }  # fmt: skip
    config = get_registry().get_provider("acme").config

    assert (config.timeout, config.confidence_score) == (7, 0.35)


@pytest.mark.parametrize("score", [-0.1, 1.1, "high"])
def test_confidence_outside_its_range_is_refused(score: Any) -> None:
    with pytest.raises(ConfigurationError, match="confidence_score"):
        PROVIDER_SCHEMA["acme"] = {"confidence_score": score}


async def test_answer_has_the_rows_confidence_and_all_six_fields(
    upstream: FakeUpstream, registry: ProviderRegistry
) -> None:
    PROVIDER_SCHEMA["acme"] = row(upstream, confidence_score=0.35)
    response = await registry.get_provider("acme").generate("Hello")

    assert response.content
    assert (response.confidence, response.provider) == (0.35, "acme")
    assert response.model
    assert response.tokens_used == (response.input_tokens or 0) + (response.output_tokens or 0) > 0
    assert isinstance(response.response_time_ms, int)
    assert response.response_time_ms >= 1


# The environment.


def test_dotenv_is_read_and_the_environment_wins(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = project / ".env"
    env_file.write_text('GROQ_API_KEY="sk-in-file-0123456789"\nGROQ_MODEL=in-file\n')
    env_file.chmod(0o600)
    monkeypatch.setenv("GROQ_MODEL", "in-environment")
    provider = get_registry().get_provider("groq")

    assert provider.api_key == "sk-in-file-0123456789"
    assert provider.get_supported_models()[0] == "in-environment"


def test_chat_provider_is_the_first_of_the_chain() -> None:
    settings = load_settings(chat_provider="groq", fallback_providers=("openai", "groq"))

    assert ProviderRegistry(settings).get_fallback_chain() == ["groq", "openai"]


def test_unknown_chat_provider_is_refused_with_near_names() -> None:
    registry = ProviderRegistry(load_settings(chat_provider="gorq"))

    with pytest.raises(UnknownProviderError, match=r"CHAT_PROVIDER .*'gorq'.*groq"):
        registry.get_provider()


async def test_new_row_is_there_while_a_stream_is_running(
    upstream: FakeUpstream, registry: ProviderRegistry
) -> None:
    PROVIDER_SCHEMA["acme"] = row(upstream)
    upstream.reply(chunks=["one ", "two ", "three"])
    stream = registry.get_provider("acme").stream("Hello", model="fm:hold")
    pieces = [(await anext(stream)).text]
    PROVIDER_SCHEMA["other"] = row(upstream)
    answer = await registry.get_provider("other").generate("Hello")
    upstream.release()
    pieces += [chunk.text async for chunk in stream]

    assert answer.provider == "other"
    assert "".join(pieces) == "one two three"


def test_there_is_one_registry() -> None:
    registry = get_registry()

    assert get_registry() is registry
    assert "groq" in registry.get_all_provider_names()
    assert "groq" not in registry.get_available_providers()
    assert "echo" in registry.get_available_providers()


# A class of one's own.


async def test_class_with_four_members_is_a_whole_provider(
    upstream: FakeUpstream, registry: ProviderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDMADE_API_KEY", KEY)
    registry.reload()
    PROVIDER_SCHEMA["handmade"] = {
        "api_key_var": "HANDMADE_API_KEY",
        "model_var": "HANDMADE_MODEL",
        "base_url_var": "HANDMADE_API_BASE",
        "default_base_url": upstream.base_url,
        "default_model": "claude-opus",
        "provider_class": HandmadeProvider,
        "max_retries": 3,
        "timeout": 30,
        "confidence_score": 0.85,
    }
    upstream.reply("Good day")
    provider = registry.get_provider("handmade")
    response = await provider.generate("Hello", top_k=5)
    pieces = [chunk.text async for chunk in provider.stream("Hello")]

    assert response.content == "Good day"
    assert (response.confidence, response.model) == (0.85, "claude-opus")
    assert response.tokens_used > 0
    assert pieces == ["Good day"]
    sent = upstream.requests[0]
    assert sent.headers["x-api-key"] == KEY
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.json["top_k"] == 5


async def test_error_of_such_a_class_becomes_ours(upstream: FakeUpstream) -> None:
    config = ProviderConfig("handmade", KEY, upstream.base_url, ["fm:status:401"])
    request = LLMRequest([LLMMessage(role="user", content="Hello")])
    with pytest.raises(AuthenticationError) as caught:
        await HandmadeProvider(config).complete(request)

    assert "401" in str(caught.value)
    assert caught.value.provider == "handmade"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status:401", "Check the key in HANDMADE_API_KEY."),
        ("status:404", "Set HANDMADE_MODEL to a model that it has"),
        ("close-before-headers", "(set by HANDMADE_API_BASE)"),
        ("invalid-json", "Is http://127.0.0.1:"),
    ],
)
async def test_error_of_such_a_class_names_the_variable(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    monkeypatch.setenv("HANDMADE_API_KEY", KEY)
    PROVIDER_SCHEMA["handmade"] = {
        "provider_class": HandmadeProvider, "default_base_url": upstream.base_url,
        "default_model": f"fm:{fault}",
    }  # fmt: skip
    request = LLMRequest([LLMMessage(role="user", content="Hello")])
    with pytest.raises(LLMError) as caught:
        await get_registry().get_provider("handmade").complete(request)

    assert str(caught.value).startswith("handmade: ")
    assert said in str(caught.value)


async def test_error_of_such_a_class_is_ours_in_a_chain_too(upstream: FakeUpstream) -> None:
    PROVIDER_SCHEMA["handmade"] = row(
        upstream, provider_class=HandmadeProvider, default_model="fm:status:401"
    )
    settings = load_settings(chat_provider="handmade")
    async with ProviderRegistry(settings) as registry:
        with pytest.raises(AuthenticationError, match="401") as caught:
            await registry.route_request("Hello")

    assert caught.value.status == 401


class TextProvider(HandmadeProvider):
    """Takes a prompt and no messages, as its annotation says."""

    @override
    async def generate(  # type: ignore[override]  # narrower on purpose: that is what is tested
        self,
        prompt: str,
        model: str | None = None,
        max_tokens: int = 1000,
        temperature: float = 0.7,
        **kwargs: Any,
    ) -> LLMResponse:
        return await super().generate(prompt, model, max_tokens, temperature, **kwargs)


ASKED = {"role": "user", "content": "Hello"}
ANSWERED = {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize(
    ("messages", "system_prompt", "text"),
    [
        ([ASKED], None, "Hello"),
        ([ASKED], "Be brief.", "Be brief.\n\nHello"),
        ([{"role": "system", "content": "Be brief."}, ASKED], None, "Be brief.\n\nHello"),
        ([ASKED, ANSWERED, ASKED], "Be brief.",
         "Be brief.\n\nUser: Hello\n\nAssistant: Hi.\n\nUser: Hello\n\nAssistant:"),
    ],
    ids=["prompt", "option", "system", "talk"],
)  # fmt: skip
async def test_class_that_takes_text_is_given_a_conversation_as_text(
    upstream: FakeUpstream, messages: list[dict[str, Any]], system_prompt: str | None, text: str
) -> None:
    config = ProviderConfig("handmade", KEY, upstream.base_url, ["m"])
    request = LLMRequest([LLMMessage(m) for m in messages], system_prompt=system_prompt)
    PROVIDER_SCHEMA["handmade"] = row(upstream, provider_class=TextProvider)
    await TextProvider(config).complete(request)
    [_ async for _ in TextProvider(config).stream_complete(request)]
    async with ProviderRegistry(load_settings(chat_provider="handmade")) as registry:
        await registry.route_request(messages, system_prompt=system_prompt)
        [_ async for _ in registry.stream_route(messages, system_prompt=system_prompt)]

    sent = [r.json for r in upstream.requests]
    assert [body["messages"] for body in sent] == [[{"role": "user", "content": text}]] * 4
    assert not any("system_prompt" in body for body in sent)


async def test_image_is_refused_where_a_class_takes_text(upstream: FakeUpstream) -> None:
    config = ProviderConfig("handmade", KEY, upstream.base_url, ["m"])
    image = {"type": "image_url", "image_url": {"url": "https://a.test/cat.png"}}
    request = LLMRequest([LLMMessage(role="user", content=[image])])
    with pytest.raises(UnsupportedParameterError, match="image_url"):
        await TextProvider(config).complete(request)

    assert upstream.requests == []


class HangingProvider(HandmadeProvider):
    """Never answers; counts how often it was asked."""

    asked = 0

    @override
    async def generate(self, *_: Any, **_options: Any) -> LLMResponse:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


async def test_class_that_hangs_ends_at_the_timeout_of_the_call() -> None:
    provider = HangingProvider(ProviderConfig("handmade", KEY, "https://a.test", ["m"]))
    request = LLMRequest([LLMMessage(role="user", content="Hello")], timeout=0.01)
    with pytest.raises(LLMTimeoutError, match="handmade: it did not answer in time"):
        await provider.complete(request)
    with pytest.raises(LLMTimeoutError):
        await anext(provider.stream_complete(request))


async def test_key_of_a_class_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base.KEY_CHECK_TIMEOUT_S == 10.0
    monkeypatch.setattr(base, "KEY_CHECK_TIMEOUT_S", 0.01)
    provider = HangingProvider(ProviderConfig("handmade", KEY, "https://a.test", ["m"]))
    check = await provider.check_key()

    assert not check.ok
    assert "did not answer in time" in check.reason
    assert provider.asked == 1


async def test_times_of_calls_side_by_side_do_not_mix() -> None:
    is_over = asyncio.Event()

    class Sleeper(HandmadeProvider):
        @override
        async def generate(self, prompt: Any, *args: Any, **kwargs: Any) -> Any:
            self._start_timing()
            if prompt == "long":
                await is_over.wait()
            return self._get_response_time_ms()

    provider = Sleeper()
    calling = asyncio.create_task(provider.generate("long"))
    await asyncio.sleep(0.2)
    short = await provider.generate("short")
    is_over.set()
    long = await calling

    # The short one lies within the long one, and began so much later.
    assert short >= 1
    assert long - short >= 195


@pytest.mark.parametrize("content", ["", "  \n", None])
def test_empty_content_is_an_error(content: str | None) -> None:
    with pytest.raises(ResponseFormatError):
        HandmadeProvider()._validate_response_content(content)


async def test_empty_answer_lets_the_next_provider_try(upstream: FakeUpstream) -> None:
    PROVIDER_SCHEMA["first"] = row(upstream, default_model="fm:null-content", max_retries=0)
    PROVIDER_SCHEMA["second"] = row(upstream, default_model="the-second")
    settings = load_settings(chat_provider="first", fallback_providers=("second",))
    async with ProviderRegistry(settings) as registry:
        assert (await registry.route_request("Hello")).provider == "second"
        streamed = [chunk async for chunk in registry.stream_route("Hello")]

    assert "".join(chunk.text for chunk in streamed)
    assert streamed[-1].model == "the-second"


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_answer_of_white_space_lets_the_next_provider_try(
    upstream: FakeUpstream, *, streamed: bool
) -> None:
    PROVIDER_SCHEMA["first"] = row(upstream, max_retries=0)
    PROVIDER_SCHEMA["second"] = row(upstream, default_model="the-second")
    settings = load_settings(chat_provider="first", fallback_providers=("second",))
    upstream.script([Reply(chunks=[" ", "\n"]), "ok"])
    async with ProviderRegistry(settings) as registry:
        if streamed:
            chunks = [chunk async for chunk in registry.stream_route("Hello")]
            text, model = "".join(chunk.text for chunk in chunks), chunks[-1].model
        else:
            response = await registry.route_request("Hello")
            text, model = response.content, response.model

    assert text.strip()
    assert model == "the-second"


def test_models_of_a_config_are_its_own() -> None:
    models = ["m"]
    config = ProviderConfig("acme", KEY, "https://a.test/v1/", models, timeout=9)
    models.append("other")

    assert config.models == ["m"]
    assert config.base_url == "https://a.test/v1"
    assert KEY not in repr(config)


# Reuse.


def test_no_other_http_client_is_needed(root: Path) -> None:
    code = (
        "import faultmaven.infrastructure.llm.providers.openai_provider, sys; print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=root,
    )

    assert not {"requests", "httpx", "urllib3"} & set(run.stdout.split())


async def test_three_rows_share_one_class(registry: ProviderRegistry) -> None:
    async with FakeUpstream() as first, FakeUpstream() as second, FakeUpstream() as third:
        servers = {"acme": first, "beta": second, "gamma": third}
        for name, server in servers.items():
            PROVIDER_SCHEMA[name] = row(server, provider_class=OpenAIProvider)
            await registry.get_provider(name).generate("Hello")

        assert [len(server.requests) for server in servers.values()] == [1, 1, 1]
        await registry.close()


@pytest.mark.parametrize("dialect", ["openai", "ollama", "llamacpp"])
async def test_local_provider_finds_out_what_a_server_speaks(
    upstream: FakeUpstream, dialect: str
) -> None:
    base_url = upstream.base_url_for(dialect)
    async with LocalProvider(name="local", base_url=base_url, models=["m"]) as provider:
        response = await provider.generate("Hello")

    assert response.content
    assert response.cost_usd == 0.0


async def test_anthropic_is_asked_in_its_own_way(upstream: FakeUpstream) -> None:
    config = {"api_key": KEY, "base_url": upstream.base_url, "models": ["claude-haiku"]}
    async with AnthropicProvider(config, name="anthropic") as provider:
        await provider.generate("Hello")

    sent = upstream.last_request
    assert sent.path == "/v1/messages"
    assert sent.headers["x-api-key"] == KEY
    assert sent.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    "model",
    [
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "gpt-4o",
        "Phi-3-mini-128k-instruct-onnx",
        "llama3.2:1b",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ],
)
async def test_names_of_models_are_sent_untouched(
    upstream: FakeUpstream, registry: ProviderRegistry, model: str
) -> None:
    PROVIDER_SCHEMA["acme"] = row(upstream)
    await registry.get_provider("acme").generate("Hello", model=model)

    assert upstream.last_request.json["model"] == model


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("status:404", ModelNotFoundError, "Set ACME_MODEL to a model that it has"),
        ("status:401", AuthenticationError, "Check the key in ACME_API_KEY"),
        ("redirect:307", LLMError, "ACME_API_BASE"),
    ],
)
async def test_failure_says_what_to_do(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, fault: str, kind: type[LLMError],
    said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("ACME_API_KEY", KEY)
    PROVIDER_SCHEMA["acme"] = row(upstream, api_key_var="ACME_API_KEY", max_retries=0)
    async with get_registry() as registry:
        with pytest.raises(kind) as caught:
            await registry.get_provider("acme").generate("Hello", model=f"fm:{fault}")

    assert said in str(caught.value)


async def test_wrong_path_is_told_from_a_wrong_model(upstream: FakeUpstream) -> None:
    PROVIDER_SCHEMA["acme"] = row(upstream, default_base_url=f"{upstream.url}/nowhere")
    async with get_registry() as registry:
        with pytest.raises(LLMError) as caught:
            await registry.get_provider("acme").generate("Hello")

    assert f"{upstream.url}/nowhere (set by ACME_API_BASE)" in str(caught.value)


async def test_refused_connection_says_which_address() -> None:
    async with broken_port("refused") as port:
        PROVIDER_SCHEMA["acme"] = {
            "api_key_var": None, "default_base_url": port.url(), "max_retries": 0, "local": True,
        }  # fmt: skip
        with pytest.raises(LLMConnectionError) as caught:
            await get_registry().get_provider("acme").generate("Hello")

    assert port.url() in str(caught.value)
    assert "ACME_API_BASE" in str(caught.value)


async def test_status_error_holds_status_and_the_providers_text(upstream: FakeUpstream) -> None:
    upstream.api_keys = {"another"}
    config = {"name": "acme", "base_url": upstream.base_url, "models": ["m"], "api_key": KEY}
    async with OpenAIProvider(config) as provider:
        with pytest.raises(AuthenticationError) as caught:
            await provider.generate("Hello")

    assert caught.value.status == 401
    assert "401" in str(caught.value)
    assert "The API key is missing or not valid" in str(caught.value)


def test_package_exports_what_providers_are_made_of() -> None:
    from faultmaven.infrastructure.llm import providers

    for name in providers.__all__:
        assert getattr(providers, name) is not None, name
