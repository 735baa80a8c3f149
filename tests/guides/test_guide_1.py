"""Calls, keys, limits and failures, as the author of a provider and its caller meet them."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

import faultmaven
from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.calls import _LOOP
from faultmaven.infrastructure.llm.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ContextLengthError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
    ServerError,
    UnknownProviderError,
)
from faultmaven.infrastructure.llm.providers import (
    PROVIDER_SCHEMA,
    AnthropicProvider,
    BaseLLMProvider,
    HTTPProvider,
    OllamaProvider,
    OpenAIProvider,
    ProviderRegistry,
    create_provider,
    get_registry,
)
from faultmaven.infrastructure.llm.providers.base import KEY_CHECK_TIMEOUT_S
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, LLMResponse
from faultmaven.testing import FakeUpstream
from faultmaven.testing.listeners import broken_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-canary-0123456789abcdef"
REQUEST = LLMRequest(
    [LLMMessage(role="user", content="Hello")], "m-1", 0.5, 64, system_prompt="Be brief."
)


def openai(upstream: FakeUpstream, **settings: Any) -> OpenAIProvider:
    given = {"name": "acme", "api_key": KEY, "models": ["m"], "base_url": upstream.base_url}
    return OpenAIProvider(**{**given, **settings})


def row(upstream: FakeUpstream, **fields: Any) -> dict[str, Any]:
    given = {"default_base_url": upstream.base_url, "default_model": "m", "api_key_var": None}
    return {**given, "max_retries": 0, **fields}


# What a provider is.


def test_subclass_without_a_member_is_refused_by_name() -> None:
    class Half(BaseLLMProvider):
        @property
        @override
        def provider_name(self) -> str:
            return "half"

        @override
        def is_available(self) -> bool:
            return True

        @override
        def get_supported_models(self) -> list[str]:
            return []

    with pytest.raises(TypeError, match="generate"):
        Half()  # type: ignore[abstract]


def test_request_survives_the_way_to_a_dict_and_back() -> None:
    request = LLMRequest(
        [LLMMessage(role="user", content="Hi")], "m", 0.0, 5, stop=["x"], extra={"k": 1}
    )

    assert LLMRequest.from_dict(request.to_dict()) == request


def test_response_survives_the_way_to_a_dict_and_back() -> None:
    response = LLMResponse("Hi", 0.8, "acme", "m", 3, 12, input_tokens=2, output_tokens=1)

    assert LLMResponse.from_dict(response.to_dict()) == response


def test_message_is_its_own_json_object() -> None:
    message = LLMMessage(role="user", content="Hi")

    assert (message.role, message.content) == ("user", "Hi")
    assert message == {"role": "user", "content": "Hi"}


def test_factory_gives_an_instance_for_a_name() -> None:
    provider = create_provider({"api_key": KEY}, "openrouter")

    assert provider.provider_name == "openrouter"
    assert provider.api_key == KEY


@pytest.mark.parametrize(("name", "hint"), [("opneai", "openai"), ("OpenAI", "'openai'")])
def test_unknown_name_is_answered_with_the_one_that_was_meant(name: str, hint: str) -> None:
    with pytest.raises(UnknownProviderError, match=hint):
        create_provider({}, name)


def test_registered_class_appears_without_further_edits() -> None:
    class Mine(OpenAIProvider):
        pass

    get_registry().register("mine", {"provider_class": Mine, "default_base_url": "https://m.test"})

    assert "mine" in get_registry().get_all_provider_names()


def test_installed_package_brings_its_provider_along(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "acme_llm.py").write_text(
        "ROW = {'default_base_url': 'https://acme.example/v1', 'default_model': 'm'}\n"
    )
    info = project / "acme_llm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-llm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[faultmaven.providers]\nacme_llm = acme_llm:ROW\n")
    monkeypatch.syspath_prepend(str(project))

    assert "acme_llm" in get_registry().get_all_provider_names()
    assert get_registry().get_row("acme_llm")["api_key_var"] == "ACME_LLM_API_KEY"


def test_provider_is_available_once_its_key_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "groq" not in get_registry().get_available_providers()
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    get_registry().reload()

    assert "groq" in get_registry().get_available_providers()


@pytest.mark.parametrize("name", ["anthropic", "openai", "openrouter", "groq", "together", "xai"])
def test_name_is_lower_case_and_there_is_a_default_model(name: str) -> None:
    provider = create_provider({"api_key": KEY}, name)

    assert provider.provider_name == name == name.lower()
    assert provider.get_default_model()


def test_openai_anthropic_and_openrouter_are_built_in() -> None:
    assert {"anthropic", "openai", "openrouter"} <= set(get_registry().get_all_provider_names())


# Calls without and within a loop.


@pytest.fixture
def blocking_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream.in_thread() as upstream:
        PROVIDER_SCHEMA["acme"] = row(upstream)
        yield upstream
        _LOOP.run(get_registry().close())


def test_blocking_call_works_in_a_script(blocking_upstream: FakeUpstream) -> None:
    assert faultmaven.complete("Hello", provider="acme").provider == "acme"


async def test_blocking_call_works_while_a_loop_runs(blocking_upstream: FakeUpstream) -> None:
    assert faultmaven.complete("Hello", provider="acme").provider == "acme"


# Keys.


async def test_key_that_is_accepted_is_valid(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        assert await provider.validate_key() is True

    assert [(r.method, r.path) for r in upstream.requests] == [("GET", "/v1/models")]


async def test_key_that_is_not_accepted_is_invalid(upstream: FakeUpstream) -> None:
    upstream.api_keys = {"another"}
    async with openai(upstream) as provider:
        assert await provider.validate_key("sk-wrong-0123456789") is False

    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [("200-html", "HTML"), ("redirect:307", "redirects"), ("status:500", "HTTP 500")],
)
async def test_key_is_not_called_valid_by_what_is_no_answer_of_the_api(
    upstream: FakeUpstream, fault: str, said: str
) -> None:
    upstream.mode(fault)
    async with openai(upstream) as provider:
        check = await provider.check_key()

    assert not check.ok
    assert said in check.reason
    assert len(upstream.requests) == 1


async def test_another_key_than_the_configured_one_is_tried(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        assert await provider.validate_key("sk-other-0123456789")

    assert upstream.last_request.api_key == "sk-other-0123456789"


class SilentTransport:
    """Never answers in time; notes how long it was allowed to take."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    async def fetch(self, *_: Any, timeout_s: float, **_rest: Any) -> Any:
        self.timeouts.append(timeout_s)
        msg = f"no answer within {timeout_s:g} s"
        raise LLMTimeoutError(msg, code="read_timeout")

    async def open_stream(self, *_: Any, **_rest: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


async def test_key_check_that_takes_too_long_says_so() -> None:
    transport = SilentTransport()
    provider = OpenAIProvider(
        name="acme", api_key=KEY, base_url="https://a.test/v1", models=["m"], transport=transport
    )
    check = await provider.check_key()

    assert transport.timeouts == [KEY_CHECK_TIMEOUT_S] == [10.0]
    assert not check.ok
    assert "no answer within 10 s" in check.reason


async def test_models_are_asked_for(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        assert await provider.get_available_models() == ["fake-model"]


async def test_models_that_cannot_be_asked_for_are_the_configured_ones(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.mode("status:500")
    async with openai(upstream) as provider:
        assert await provider.get_available_models() == ["m"]

    assert "acme: using the configured models" in caplog.text


async def test_base_url_is_trimmed_and_hit_once(upstream: FakeUpstream) -> None:
    async with openai(upstream, base_url=f"{upstream.base_url}/") as provider:
        await provider.generate("Hello")

    assert [r.raw_target for r in upstream.requests] == ["/v1/chat/completions"]


# Conversion.


async def test_system_prompt_goes_where_each_dialect_has_it(upstream: FakeUpstream) -> None:
    for kind in (OpenAIProvider, AnthropicProvider):
        config = {"api_key": KEY, "base_url": upstream.base_url, "models": ["m-1"]}
        async with kind(config, name=kind.__name__.lower()) as provider:
            await provider.complete(REQUEST)

    first, second = (r.json for r in upstream.requests)
    assert first == {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 64,
        "temperature": 0.5,
    }
    assert second == {
        "model": "m-1",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 64,
        "temperature": 0.5,
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            OpenAIProvider,
            {
                "id": "r-1",
                "model": "m-2",
                "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            },
        ),
        (
            AnthropicProvider,
            {
                "id": "r-1",
                "type": "message",
                "role": "assistant",
                "model": "m-2",
                "content": [{"type": "text", "text": "Hi"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 3, "output_tokens": 2},
            },
        ),
    ],
)
def test_answer_of_a_dialect_becomes_a_response(
    kind: type[HTTPProvider], body: dict[str, Any]
) -> None:
    response = kind(name="acme", models=["m"])._transform_response(body)

    assert isinstance(response, LLMResponse)
    assert (response.content, response.model) == ("Hi", "m-2")
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (3, 2, 5)
    assert response.metadata == {"finish_reason": "stop", "response_id": "r-1"}


def test_ollama_answer_becomes_a_response() -> None:
    response = OllamaProvider(models=["m"])._transform_response(
        {
            "model": "llama3.2",
            "message": {"role": "assistant", "content": "Hi"},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 3,
            "eval_count": 2,
        }
    )

    assert (response.content, response.tokens_used) == ("Hi", 5)


def test_text_in_several_parts_is_joined_and_a_tool_call_kept() -> None:
    response = AnthropicProvider(models=["m"])._transform_response(
        {
            "id": "r-1",
            "model": "m",
            "role": "assistant",
            "type": "message",
            "content": [
                {"type": "text", "text": "One "},
                {"type": "text", "text": "two"},
                {"type": "tool_use", "id": "t-1", "name": "look", "input": {"where": "there"}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
    )

    assert response.content == "One two"
    assert [call.arguments for call in response.tool_calls] == [{"where": "there"}]
    assert response.finish_reason == "tool_calls"


async def test_usage_holds_tokens_and_money(upstream: FakeUpstream) -> None:
    async with openai(upstream, name="groq") as provider:
        usage = (await provider.generate("Hello", model="llama-3.3-70b-versatile")).usage

    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    assert usage["cost_usd"] > 0


# Failures.


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("status:500", ServerError, 500),
        ("no-choices", ResponseFormatError, None),
        ("truncated-json", ResponseFormatError, None),
        ("close-mid-body", LLMConnectionError, None),
        ("stall-headers", LLMTimeoutError, None),
    ],
)
async def test_every_failure_is_one_kind_of_error(
    upstream: FakeUpstream, fault: str, kind: type[LLMError], status: int | None
) -> None:
    async with openai(upstream, max_retries=0, timeout=1) as provider:
        with pytest.raises(kind) as caught:
            await provider.generate("Hello", model=f"fm:{fault}")

    assert caught.value.provider == "acme"
    assert caught.value.status == status
    assert caught.value.retryable is True


async def test_refused_connection_names_the_variable_of_the_address() -> None:
    async with broken_port("refused") as port:
        PROVIDER_SCHEMA["acme"] = {
            "default_base_url": port.url(), "default_model": "m", "max_retries": 0,
            "api_key_var": None, "local": True,
        }  # fmt: skip
        with pytest.raises(LLMConnectionError, match="ACME_API_BASE"):
            await get_registry().get_provider("acme").generate("Hello")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"style": "bearer"}, "authorization", f"Bearer {KEY}"),
        ({"style": "header", "header": "X-Acme-Key"}, "x-acme-key", KEY),
        ({"style": "header", "header": "Authorization", "prefix": "Token "}, "authorization",
         f"Token {KEY}"),
    ],
)  # fmt: skip
async def test_key_travels_in_the_header_that_the_row_says(
    upstream: FakeUpstream, auth: dict[str, str], header: str, value: str
) -> None:
    async with openai(upstream, row={"auth": auth}) as provider:
        await provider.generate("Hello")

    assert upstream.last_request.headers[header] == value


async def test_key_in_the_query_is_sent_and_never_shown(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = {"style": "query", "parameter": "key"}
    async with openai(upstream, row={"auth": auth}, max_retries=0) as provider:
        with pytest.raises(LLMError) as caught:
            await provider.generate("Hello", model="fm:status:500")

    assert upstream.last_request.query["key"] == KEY
    assert "authorization" not in upstream.last_request.headers
    assert KEY not in caplog.text + str(caught.value) + repr(vars(caught.value))


async def test_second_provider_answers_where_the_first_is_down(upstream: FakeUpstream) -> None:
    async with broken_port("refused") as port:
        PROVIDER_SCHEMA["first"] = row(upstream, default_base_url=port.url(), local=True)
        PROVIDER_SCHEMA["second"] = row(upstream)
        settings = load_settings(chat_provider="first", fallback_providers=("second",))
        async with ProviderRegistry(settings) as registry:
            response = await registry.route_request("Hello")

    assert response.provider == "second"
    assert response.route is not None
    tries = [(a.provider, a.outcome) for a in response.route.attempts]
    assert tries == [("first", "LLMConnectionError"), ("second", "ok")]


async def test_first_error_is_given_where_no_other_may_answer(upstream: FakeUpstream) -> None:
    PROVIDER_SCHEMA["first"] = row(upstream, default_model="fm:status:500")
    PROVIDER_SCHEMA["second"] = row(upstream)
    settings = load_settings(
        chat_provider="first", fallback_providers=("second",), strict_provider_mode=True
    )
    async with ProviderRegistry(settings) as registry:
        with pytest.raises(ServerError) as caught:
            await registry.route_request("Hello")

    assert not isinstance(caught.value, AllProvidersFailedError)
    assert len(upstream.requests) == 1


async def test_names_of_the_house_become_those_of_the_provider(upstream: FakeUpstream) -> None:
    mapping = {"model_map": {"gpt-4": "acme-advanced-v1"}}
    async with openai(upstream, row=mapping) as provider:
        await provider.generate("Hello", model="gpt-4")
        await provider.generate("Hello", model="other")

    assert [r.json["model"] for r in upstream.requests] == ["acme-advanced-v1", "other"]


@pytest.mark.parametrize("fault", ["ok", "noise-fields", "split-bytes", "crlf"])
async def test_pieces_of_a_stream_are_the_plain_answer(upstream: FakeUpstream, fault: str) -> None:
    async with openai(upstream) as provider:
        plain = (await provider.generate("Hello")).content
        pieces = [c.text async for c in provider.stream("Hello", model=f"fm:{fault}")]

    assert "".join(pieces) == plain
    assert len(pieces) > 2


async def test_calls_keep_the_least_interval_without_blocking(upstream: FakeUpstream) -> None:
    clock = FakeClock()
    limits = {"limits": {"min_interval_ms": 100}}
    async with openai(upstream, row=limits, clock=clock) as provider:
        begun = clock.monotonic()
        for _ in range(10):
            await provider.generate("Hello")

    assert clock.monotonic() - begun == pytest.approx(0.9)
    assert len(clock.sleeps) == 9


async def test_provider_that_asks_to_wait_is_waited_for(upstream: FakeUpstream) -> None:
    clock = FakeClock()
    async with openai(upstream, clock=clock) as provider:
        response = await provider.generate("Hello", model="fm:flaky:1:status:429:retry-after=2")

    assert response.content
    assert 2 <= sum(clock.sleeps) <= 2.2
    assert len(upstream.requests) == 2


async def test_prompt_that_cannot_fit_is_not_sent(upstream: FakeUpstream) -> None:
    models = {"models": [{"name": "m", "context_length": 100}]}
    async with openai(upstream, row=models) as provider:
        with pytest.raises(ContextLengthError) as caught:
            await provider.generate("word " * 1000)

    assert caught.value.limit_tokens == 100
    assert (caught.value.estimated_tokens or 0) > 100
    assert upstream.requests == []


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("fault", "window", "answers"),
    [("ok", 10_000, True), ("ok", 100, False), ("ok", None, False), ("context-length", 10_000, True),
     ("context-length", 50, False)],
)  # fmt: skip
async def test_prompt_that_is_too_long_goes_on_to_a_larger_window_only(
    upstream: FakeUpstream, fault: str, window: int | None, answers: bool, *, streamed: bool
) -> None:
    upstream.mode(fault)
    small = {"name": "small", "context_length": 100}
    large = {"name": "fm:ok"} | ({"context_length": window} if window else {})
    PROVIDER_SCHEMA["first"] = row(upstream, default_model="small", models=[small])
    PROVIDER_SCHEMA["second"] = row(upstream, default_model="fm:ok", models=[large])
    settings = load_settings(chat_provider="first", fallback_providers=("second",))
    prompt = "Hello" if fault != "ok" else "word " * 1000
    async with ProviderRegistry(settings) as registry:
        try:
            if streamed:
                said = "".join([chunk.text async for chunk in registry.stream_route(prompt)])
            else:
                said = (await registry.route_request(prompt)).content
        except ContextLengthError:
            said = ""

    assert bool(said) is answers


async def test_further_fields_reach_the_body(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        await provider.generate("Hello", custom_param="x", special_mode=True)

    assert upstream.last_request.json["custom_param"] == "x"
    assert upstream.last_request.json["special_mode"] is True


async def test_parameter_that_cannot_be_sent_is_reported(upstream: FakeUpstream) -> None:
    async with openai(upstream, row={"params": {"drop": ["seed"]}}) as provider:
        response = await provider.generate("Hello", seed=1)

    assert "seed" not in upstream.last_request.json
    assert response.route is not None
    assert any("seed" in said for said in response.route.unsupported)


async def test_call_ends_at_the_configured_time(upstream: FakeUpstream) -> None:
    async with openai(upstream, timeout=0.2, max_retries=0) as provider:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(LLMTimeoutError):
            await provider.generate("Hello", model="fm:stall-headers")

    assert 0.2 <= asyncio.get_running_loop().time() - begun < 20


async def test_hundred_calls_need_one_connection(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        for _ in range(100):
            await provider.generate("Hello")

    assert upstream.connections_opened == 1


async def test_defaults_of_a_request_can_be_overridden(upstream: FakeUpstream) -> None:
    async with openai(upstream) as provider:
        await provider.generate("Hello")
        await provider.generate("Hello", temperature=0, max_tokens=0)
        await provider.generate("Hello", temperature=None, max_tokens=None)

    first, second, third = (r.json for r in upstream.requests)
    assert (first["temperature"], first["max_tokens"]) == (0.7, 1000)
    assert (second["temperature"], second["max_tokens"]) == (0, 0)
    assert not {"temperature", "max_tokens"} & third.keys()


async def test_debug_log_shows_bodies_and_no_key(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "faultmaven")
    async with openai(upstream, max_retries=0) as provider:
        await provider.generate("Hello-canary")
        upstream.mode("auth-echo")
        with pytest.raises(AuthenticationError):
            await provider.generate("Hello")

    assert "Hello-canary" in caplog.text
    assert "fake-model" in caplog.text or "choices" in caplog.text
    assert KEY not in caplog.text


async def test_debug_log_shows_what_a_stream_said_and_no_key(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "faultmaven")
    upstream.reply(chunks=["the answer ", KEY[:9], KEY[9:]])
    async with openai(upstream, max_retries=0) as provider:
        streamed = "".join([chunk.text async for chunk in provider.stream("Hello")])
        with pytest.raises(AuthenticationError):
            await anext(provider.stream("Hello", model="fm:auth-echo"))

    assert streamed == f"the answer {KEY}"
    assert '"content":"the answer [redacted]"' in caplog.text
    assert "received 401" in caplog.text
    assert KEY not in caplog.text


def test_debug_setting_shows_bodies_in_a_script(root: Path, project: Path) -> None:
    script = "import faultmaven; faultmaven.complete('Hello-canary', provider='groq')"
    with FakeUpstream.in_thread() as upstream:
        (project / ".env").write_text("FAULTMAVEN_LOG=debug\n")
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(root), "GROQ_API_KEY": KEY,
            "GROQ_API_BASE": upstream.base_url,
        }  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-c", script],
            cwd=project, env=environment, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip

    assert run.stdout == ""
    assert run.stderr.count("groq: sending") == run.stderr.count("groq: received 200") == 1
    assert "Hello-canary" in run.stderr
    assert KEY not in run.stderr


def test_debug_setting_shows_bodies_on_the_command_line(root: Path, project: Path) -> None:
    with FakeUpstream.in_thread() as upstream:
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(root), "FAULTMAVEN_LOG": "debug",
            "GROQ_API_KEY": KEY, "GROQ_API_BASE": upstream.base_url,
        }  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-m", "faultmaven", "chat", "-p", "groq", "Hello-canary"],
            cwd=project, env=environment, capture_output=True, text=True, check=True, timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    assert "groq: sending" in run.stderr
    assert "groq: received" in run.stderr
    assert "Hello-canary" in run.stderr
    assert KEY not in run.stderr + run.stdout
