"""What every provider must do, as a class of tests for its author to subclass.

```python
class TestAcme(ProviderContract):
    dialect = "openai"

    def make_provider(self, base_url):
        return AcmeProvider(base_url=base_url, api_key=self.api_key, models=["m"], max_retries=0)
```

The tests are plain functions for pytest; they need no plugin and no network but the loopback.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import TYPE_CHECKING, Any, ClassVar

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    LLMConnectionError,
    LLMError,
    ModelNotFoundError,
    RateLimitError,
    ServerError,
)
from faultmaven.infrastructure.llm.types import LLMResponse
from faultmaven.testing.answers import DEFAULT_TEXT
from faultmaven.testing.upstream import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider

    Check = Callable[[BaseLLMProvider, FakeUpstream], Awaitable[None]]

_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look the weather up.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["answer", "score"],
    "additionalProperties": False,
}


class ProviderContract:
    """Tests of one provider class; a subclass whose name begins with `Test` is collected.

    Attributes:
        dialect: what the provider speaks: openai, anthropic, ollama, gemini, cohere, bedrock,
            llamacpp, vertex-anthropic or watsonx; chooses the base URL that `make_provider` is given.
        api_key: the key to configure; must not show up anywhere.
        supports_tools: whether tools are tried.
        supports_structured_output: whether `output_schema` is tried.
        supports_embeddings: whether `embed` is tried.
        streams_pieces: whether a stream is expected in more than one piece.
    """

    dialect: ClassVar[str] = "openai"
    api_key: ClassVar[str] = "sk-contract-canary-0123456789abcdef"
    supports_tools: ClassVar[bool] = True
    supports_structured_output: ClassVar[bool] = True
    supports_embeddings: ClassVar[bool] = False
    streams_pieces: ClassVar[bool] = True

    def make_provider(self, base_url: str) -> BaseLLMProvider:
        """Make the provider, configured with `base_url`, `api_key`, a model and no retries."""
        msg = "a subclass of ProviderContract defines make_provider(base_url)"
        raise NotImplementedError(msg)

    def test_provider_says_what_it_is(self) -> None:
        """The four members that need nobody to ask are sensible."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            models = provider.get_supported_models()
            assert provider.provider_name
            assert provider.provider_name == provider.provider_name.lower()
            assert provider.is_available() is True
            assert models
            assert all(isinstance(model, str) for model in models)
            models.clear()
            assert provider.get_supported_models(), "get_supported_models must give a new list"
            assert upstream.requests == [], "nobody may be asked for this"

        self._run(check)

    def test_generate_answers(self) -> None:
        """A plain call gives text, model, tokens and finish reason."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            response = await provider.generate("Hello")
            assert isinstance(response, LLMResponse)
            assert response.content == DEFAULT_TEXT
            assert response.provider == provider.provider_name
            assert response.model
            assert response.finish_reason in {"stop", None}
            assert response.response_time_ms >= 1
            tokens = (response.input_tokens or 0) + (response.output_tokens or 0)
            assert response.tokens_used == tokens > 0
            assert 0 <= response.confidence <= 1
            assert len(upstream.requests) == 1

        self._run(check)

    def test_generate_takes_a_conversation(self) -> None:
        """Messages and a model's name reach the provider."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            turns = [
                {"role": "system", "content": "Be brief-canary."},
                {"role": "user", "content": "First-canary"},
                {"role": "assistant", "content": "Second-canary"},
                {"role": "user", "content": "Third-canary"},
            ]
            await provider.generate(turns, model="model-canary", temperature=0)
            sent = upstream.last_request
            text = sent.raw_target + sent.body.decode()
            for canary in ("brief", "First", "Second", "Third", "model"):
                assert f"{canary}-canary" in text, f"{canary}-canary was not sent"

        self._run(check)

    def test_stream_gives_the_same_text(self) -> None:
        """The pieces of a stream joined are the plain answer; the last one says how it ended."""

        async def check(provider: BaseLLMProvider, _upstream: FakeUpstream) -> None:
            chunks = [chunk async for chunk in provider.stream("Hello")]
            assert "".join(chunk.text for chunk in chunks) == DEFAULT_TEXT
            assert chunks[-1].finish_reason in {"stop", None}
            assert not self.streams_pieces or len(chunks) > 2

        self._run(check)

    def test_stream_that_breaks_is_an_error(self) -> None:
        """A stream that is cut is never taken for a whole answer."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            upstream.mode("close-mid-stream:5")
            await _fails(_consume(provider), LLMError)

        self._run(check)

    def test_tools_are_called(self) -> None:
        """A tool that the model calls comes back by name with its arguments."""

        async def check(provider: BaseLLMProvider, _upstream: FakeUpstream) -> None:
            response = await provider.generate("Use the tool get_weather", tools=[_TOOL])
            assert [call.name for call in response.tool_calls] == ["get_weather"]
            assert response.tool_calls[0].id
            assert response.tool_calls[0].arguments == {"city": "text"}
            assert response.finish_reason == "tool_calls"

        if self.supports_tools:
            self._run(check)

    def test_structured_output_is_parsed(self) -> None:
        """An answer to a schema comes back as data too."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            document = {"answer": "text", "score": 0}
            upstream.reply(json.dumps(document))
            response = await provider.generate("Hello", output_schema=_SCHEMA)
            assert response.parsed == document

        if self.supports_structured_output:
            self._run(check)

    def test_embed_gives_one_vector_a_text(self) -> None:
        """Vectors come in order and all of one length."""

        async def check(provider: BaseLLMProvider, _upstream: FakeUpstream) -> None:
            vectors = (await provider.embed(["one", "two", "one"])).vectors
            assert len(vectors) == 3
            assert vectors[0] == vectors[2] != vectors[1]
            assert len({len(vector) for vector in vectors}) == 1

        if self.supports_embeddings:
            self._run(check)

    def test_key_401_is_authentication_error(self) -> None:
        """A key that is not accepted."""
        self._check_error("status:401", AuthenticationError)

    def test_model_404_is_model_not_found_error(self) -> None:
        """A model that there is not."""
        self._check_error("status:404", ModelNotFoundError)

    def test_rate_429_is_rate_limit_error(self) -> None:
        """Too many requests; the wait that was asked for is kept."""
        error = self._check_error("status:429:retry-after=7", RateLimitError)
        assert error.retryable
        assert error.retry_after_s == 7

    def test_failure_500_is_server_error(self) -> None:
        """The provider's own failure."""
        assert self._check_error("status:500", ServerError).retryable

    def test_lost_connection_is_connection_error(self) -> None:
        """A connection that breaks before an answer."""
        assert self._check_error("reset-before-headers", LLMConnectionError).retryable

    def test_bodies_that_are_no_answers_are_errors(self) -> None:
        """Nothing odd is taken for an empty answer."""
        for spec in ("200-html", "200-empty", "truncated-json", "200-error"):
            self._check_error(spec, LLMError)

    def test_closing_twice_is_fine(self) -> None:
        """`close` may be called again, and without a call before it."""

        async def check(provider: BaseLLMProvider, _upstream: FakeUpstream) -> None:
            await provider.close()
            await provider.close()

        self._run(check)

    def test_close_leaves_no_connection(self) -> None:
        """Who opens closes."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            await provider.generate("Hello")
            await provider.close()
            await upstream.wait_until_closed()

        self._run(check)

    def test_key_is_in_no_text(self) -> None:
        """Neither `repr` nor an error that quotes the key shows it."""

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            assert self.api_key not in repr(provider) + str(provider)
            upstream.mode("auth-echo")
            error = await _fails(provider.generate("Hello"), LLMError)
            shown = "".join(traceback.format_exception(error)) + repr(vars(error))
            assert self.api_key not in shown, "the error shows the key"

        self._run(check)

    def _check_error(self, spec: str, kind: type[LLMError]) -> LLMError:
        """Let both kinds of call fail; give the plain one's error."""
        caught: list[LLMError] = []

        async def check(provider: BaseLLMProvider, upstream: FakeUpstream) -> None:
            upstream.mode(spec)
            caught.append(await _fails(provider.generate("Hello"), kind))
            await _fails(_consume(provider), kind)
            assert caught[0].provider == provider.provider_name
            assert str(caught[0])

        self._run(check)
        return caught[0]

    def _run(self, check: Check) -> None:
        async def run() -> None:
            async with FakeUpstream() as upstream:
                provider = self.make_provider(upstream.base_url_for(self.dialect))
                try:
                    await check(provider, upstream)
                finally:
                    await provider.close()

        asyncio.run(run())


async def _consume(provider: BaseLLMProvider) -> None:
    async for _ in provider.stream("Hello"):
        pass


async def _fails(call: Awaitable[Any], kind: type[LLMError]) -> LLMError:
    try:
        result = await call
    except kind as error:
        return error
    msg = f"{kind.__name__} was expected, there was no error but {result!r}"
    raise AssertionError(msg)
