"""A dialect of one's own by a few small methods; everything else comes with the base class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm.providers import PROVIDER_SCHEMA, HTTPProvider, get_registry
from faultmaven.infrastructure.llm.types import ChatRequest, ChatResponse, LLMMessage

if TYPE_CHECKING:
    from faultmaven.testing import FakeUpstream

YAML = {
    "name": "acme",
    "api_base": "https://acme.example/v1",
    "models": ["acme-large", "acme-small"],
    "api_key": "sk-acme-0123456789",
}


class AcmeProvider(HTTPProvider):
    """Speaks OpenAI's paths in its own words."""

    @override
    def _get_endpoint(self) -> str:
        return f"{self.config['api_base']}/chat/completions"

    @override
    def _get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.api_key}", "X-Acme": "1"}

    @override
    def _transform_request(self, request: ChatRequest) -> dict[str, Any]:
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        return {"model": request.model or self.get_default_model(), "messages": turns}

    @override
    def _transform_response(self, data: Any) -> ChatResponse:
        return ChatResponse(
            content=data["choices"][0]["message"]["content"],
            model=data.get("model", self.get_default_model()),
            usage={
                "input_tokens": data["usage"]["prompt_tokens"],
                "output_tokens": data["usage"]["completion_tokens"],
            },
            provider=self.provider_name,
        )


class StreamingAcmeProvider(AcmeProvider):
    """The same with a stream."""

    @override
    def _transform_stream_request(self, request: ChatRequest) -> dict[str, Any]:
        return {**self._transform_request(request), "stream": True}

    @override
    def _parse_stream_chunk(self, data: Any) -> str | None:
        delta = data["choices"][0]["delta"] if data["choices"] else {}
        text: str | None = delta.get("content")
        return text


class MiniOllamaProvider(HTTPProvider):
    """The whole of a keyless local server's dialect."""

    @override
    def get_models(self) -> list[str]:
        return ["llama3.2", "gemma2"]

    @override
    def get_default_model(self) -> str:
        return "llama3.2"

    @override
    def _get_endpoint(self) -> str:
        return f"{self.config['api_base']}/api/chat"

    @override
    def _get_headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"}

    @override
    def _transform_request(self, request: ChatRequest) -> dict[str, Any]:
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        return {"model": request.model, "messages": turns, "stream": False}

    @override
    def _transform_response(self, data: Any) -> ChatResponse:
        usage = {
            "input_tokens": data.get("prompt_eval_count", 0),
            "output_tokens": data.get("eval_count", 0),
        }
        return ChatResponse(data["message"]["content"], data["model"], usage, self.provider_name)


def acme(upstream: FakeUpstream, kind: type[AcmeProvider] = AcmeProvider) -> AcmeProvider:
    return kind({**YAML, "api_base": upstream.base_url})


def test_models_are_those_of_the_configuration() -> None:
    provider = AcmeProvider(YAML)

    assert provider.get_models() == YAML["models"]
    assert provider.get_supported_models() == YAML["models"]
    assert provider.is_available()


def test_models_that_the_class_knows_follow_the_configured_one() -> None:
    provider = MiniOllamaProvider(api_base="http://localhost:11434", default_model="qwen3")

    assert provider.get_supported_models() == ["qwen3", "llama3.2", "gemma2"]


async def test_default_model_is_sent_where_none_is_named(upstream: FakeUpstream) -> None:
    async with acme(upstream) as provider:
        await provider.generate("Hello")

    assert provider.get_default_model() == "acme-large"
    assert upstream.last_request.json["model"] == "acme-large"


async def test_default_model_of_the_class_is_sent(upstream: FakeUpstream) -> None:
    async with MiniOllamaProvider(api_base=upstream.url) as provider:
        await provider.generate("Hello")

    assert upstream.last_request.json["model"] == "llama3.2"


async def test_endpoint_is_built_from_the_configured_address(upstream: FakeUpstream) -> None:
    async with acme(upstream) as provider:
        await provider.generate("Hello")

    assert [r.path for r in upstream.requests] == ["/v1/chat/completions"]


async def test_headers_are_those_of_the_hook(upstream: FakeUpstream) -> None:
    async with acme(upstream) as provider:
        await provider.generate("Hello")

    headers = upstream.last_request.headers
    assert headers["authorization"] == f"Token {YAML['api_key']}"
    assert headers["x-acme"] == "1"


def test_request_becomes_the_body_of_the_hook() -> None:
    request = ChatRequest([LLMMessage(role="user", content="Hello")], "acme-small")

    assert AcmeProvider(YAML)._transform_request(request) == {
        "model": "acme-small",
        "messages": [{"role": "user", "content": "Hello"}],
    }


async def test_body_of_the_hook_is_sent_as_it_is(upstream: FakeUpstream) -> None:
    async with acme(upstream) as provider:
        await provider.generate("Hello")

    assert upstream.last_request.json == {
        "model": "acme-large",
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_answer_becomes_content_model_usage_and_provider() -> None:
    answer = AcmeProvider(YAML)._transform_response(
        {
            "model": "acme-large-2",
            "choices": [{"message": {"content": "Hi"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    )

    assert answer == ChatResponse(
        "Hi", "acme-large-2", {"input_tokens": 3, "output_tokens": 2}, "acme"
    )


async def test_answer_of_the_hook_reaches_the_caller(upstream: FakeUpstream) -> None:
    upstream.reply("Good day")
    async with acme(upstream) as provider:
        response = await provider.generate("Hello")

    assert response.content == "Good day"
    assert response.provider == "acme"
    assert response.tokens_used == (response.input_tokens or 0) + (response.output_tokens or 0) > 0


async def test_streaming_hooks_give_the_pieces(upstream: FakeUpstream) -> None:
    upstream.reply(chunks=["Good ", "day", ", you"])
    async with acme(upstream, StreamingAcmeProvider) as provider:
        chunks = [chunk async for chunk in provider.stream("Hello")]

    assert [chunk.text for chunk in chunks if chunk.text] == ["Good ", "day", ", you"]
    assert (chunks[-1].finish_reason, chunks[-1].model) == ("stop", provider.get_default_model())
    assert upstream.last_request.json["stream"] is True


async def test_dialect_without_streaming_hooks_answers_in_one_piece(
    upstream: FakeUpstream,
) -> None:
    upstream.reply("Good day")
    async with acme(upstream) as provider:
        chunks = [chunk async for chunk in provider.stream("Hello")]

    assert [chunk.text for chunk in chunks] == ["Good day"]
    assert chunks[0].finish_reason == "stop"
    assert "stream" not in upstream.last_request.json


async def test_minimal_local_provider_counts_tokens_and_costs_nothing(
    upstream: FakeUpstream,
) -> None:
    PROVIDER_SCHEMA["mini"] = {
        "provider_class": MiniOllamaProvider,
        "api_key_var": None,
        "default_base_url": upstream.url,
        "local": True,
    }
    async with get_registry() as registry:
        response = await registry.get_provider("mini").generate("Hello")

    assert upstream.last_request.path == "/api/chat"
    assert "authorization" not in upstream.last_request.headers
    assert response.input_tokens
    assert response.output_tokens
    assert response.cost_usd == 0.0


def test_usage_of_an_answer_always_has_both_counts() -> None:
    assert ChatResponse("Hi", "m").usage == {"input_tokens": 0, "output_tokens": 0}
