"""The row's `max_event_bytes` holds for the streams of every dialect, in every framing."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
import yaml
from yarl import URL

from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.bedrock_anthropic_provider import (
    BedrockAnthropicProvider,
)
from faultmaven.infrastructure.llm.providers.bedrock_provider import BedrockProvider
from faultmaven.infrastructure.llm.providers.cohere_provider import CohereProvider
from faultmaven.infrastructure.llm.providers.declared_provider import DeclaredProvider
from faultmaven.infrastructure.llm.providers.gemini_provider import GeminiProvider
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.ollama_provider import OllamaProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.openai_responses_provider import (
    OpenAIResponsesProvider,
)
from faultmaven.infrastructure.llm.types import LLMMessage, LLMResponse
from faultmaven.testing.answers import Reply

KIB = 1024
MIB = 1024 * KIB
EXAMPLE = Path(__file__).parents[4] / "examples" / "ollama-as-data.yaml"
REGION = {"region": "us-east-1"}


class OwnProvider(HTTPProvider):
    """A dialect that says only how one event is read."""

    def _transform_request(self, request):
        return {"model": request.model, "messages": [LLMMessage(role="user", content="Hi")]}

    def _transform_response(self, data):
        return LLMResponse(data["choices"][0]["message"]["content"], 0.0, "", "", 0, 0)

    def _parse_stream_chunk(self, data):
        return data["choices"][0]["delta"].get("content") if data["choices"] else None


KINDS = {
    "anthropic": (AnthropicProvider, "/v1"),
    "bedrock": (BedrockProvider, ""),
    "bedrock invoke": (BedrockAnthropicProvider, ""),
    "cohere": (CohereProvider, "/v2"),
    "gemini": (GeminiProvider, "/v1beta"),
    "ollama": (OllamaProvider, ""),
    "ollama as data": (DeclaredProvider, ""),
    "openai": (OpenAIProvider, "/v1"),
    "openai responses": (OpenAIResponsesProvider, "/v1"),
    "own": (OwnProvider, "/v1"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def provider(kind, upstream, limits):
    made, path = KINDS[kind]
    row = yaml.safe_load(EXAMPLE.read_text("utf-8")) if made is DeclaredProvider else {}
    model = "anthropic.claude-x-v1:0" if "bedrock" in kind else "m"
    return made(
        name="acme", api_key="sk-of-a-test", base_url=upstream.url + path, models=[model],
        max_retries=0, variables=REGION, row={**row, "limits": limits},
    )  # fmt: skip


async def collect(kind, upstream, size, limits):
    """Stream an answer with one event of a size; give its text, and the error that ended it."""
    upstream.script([Reply(chunks=["before ", "x" * size, " after"])])
    text = ""
    async with provider(kind, upstream, limits) as made:
        try:
            async with aclosing(made.stream("Hello")) as chunks:
                async for chunk in chunks:
                    text += chunk.text
        except LLMError as error:
            return text, error
    return text, None


@every_kind
async def test_a_higher_limit_lets_a_large_event_pass(upstream, kind):
    text, error = await collect(kind, upstream, 2 * MIB, {"max_event_bytes": 4 * MIB})

    assert error is None
    assert text == "before " + "x" * 2 * MIB + " after"


@every_kind
async def test_a_lower_limit_refuses_a_smaller_event(upstream, kind):
    text, error = await collect(kind, upstream, 64 * KIB, {"max_event_bytes": 16 * KIB})

    assert error is not None
    assert error.code == "event_too_large"
    assert text in ("", "before ")


@every_kind
async def test_without_a_limit_the_dialects_own_holds(upstream, kind):
    small, no_error = await collect(kind, upstream, 64 * KIB, {})
    _, error = await collect(kind, upstream, 17 * MIB if kind == "gemini" else 2 * MIB, {})

    assert no_error is None
    assert small == "before " + "x" * 64 * KIB + " after"
    assert error is not None
    assert error.code == "event_too_large"


@every_kind
async def test_it_holds_for_a_body_that_is_there_at_once(upstream, kind):
    """No further bytes come that would show what the first ones held."""
    await collect(kind, upstream, 64 * KIB, {})
    body = await again(upstream, 64 * KIB)
    async with provider(kind, upstream, {"max_event_bytes": 16 * KIB}) as made:
        with pytest.raises(LLMError) as caught:
            made.read_stream(body)

    assert caught.value.code == "event_too_large"


async def again(upstream, size):
    """Ask the last question once more, and give the whole body."""
    asked = upstream.last_request
    upstream.script([Reply(chunks=["before ", "x" * size, " after"])])
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            URL(upstream.url + asked.raw_target, encoded=True),
            data=asked.body,
            headers=asked.headers,
        ) as reply,
    ):
        return await reply.read()
