"""In every dialect a fault of the upstream ends in an answer or in an error of ours, and shows no key."""

from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers import HTTPProvider, create_provider
from faultmaven.infrastructure.llm.providers.openai_responses_provider import (
    OpenAIResponsesProvider,
)
from faultmaven.infrastructure.llm.types import LLMResponse
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import FakeUpstream

KEY = "sk-canary-0123456789abcdef"
DIALECTS = {
    "anthropic": "/v1",
    "cohere": "/v2",
    "gemini": "/v1beta",
    "local": "/v1",
    "mistral": "/v1",
    "ollama": "",
    "openai_responses": "/v1",
}
# What takes its time, or megabytes; the matrix of OpenAI's dialect has it.
_SLOW = (
    "comment", "endless", "flood", "giant", "gzip-bomb", "gzip-members", "hold", "huge", "long",
    "sleep", "slow", "stall", "status-huge", "status-stall",
)  # fmt: skip
_ARGUMENTS = {
    "bad-usage": "negative",
    "flaky": "1:status:503",
    "redirect": "307",
    "status": "429:retry-after=1000",
    "status-empty": "500",
    "status-html": "502",
    "status-text": "500",
}


def faults() -> list[str]:
    """Give every quick fault with arguments that make sense."""
    names = [spec.partition(":")[::2] for spec in FakeUpstream.faults()]
    quick = [(name, wants) for name, wants in names if not name.startswith(_SLOW)]
    return [f"{name}:{_ARGUMENTS.get(name, '2')}" if wants else name for name, wants in quick]


def provider(dialect: str, upstream: FakeUpstream) -> HTTPProvider:
    config = {
        "base_url": upstream.url + DIALECTS[dialect], "api_key": KEY, "models": ["m"],
        "timeout": 5, "max_retries": 0,
    }  # fmt: skip
    if dialect == "openai_responses":
        return OpenAIResponsesProvider({**config, "name": dialect})
    made = create_provider(config, dialect)
    assert isinstance(made, HTTPProvider)
    return made


def check(error: LLMError, dialect: str, fault: str) -> None:
    said = f"{error} {error!r} {error.upstream_message}"
    assert KEY not in said, fault
    assert str(error).startswith(f"{dialect}: "), fault
    assert str(error).count(f"{dialect}: ") == 1, fault
    assert error.attempts, fault


def test_there_are_faults_to_try() -> None:
    assert len(faults()) > 80


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_plain_calls(upstream: FakeUpstream, dialect: str) -> None:
    async with provider(dialect, upstream) as made:
        for fault in faults():
            try:
                response = await made.generate("Hello", model=f"fm:{fault}")
            except LLMError as error:
                check(error, dialect, fault)
            else:
                assert isinstance(response, LLMResponse), fault
                assert response.content or response.tool_calls or response.finish_reason, fault


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_streams(upstream: FakeUpstream, dialect: str) -> None:
    async with provider(dialect, upstream) as made:
        for fault in faults():
            try:
                chunks = [c async for c in made.stream("Hello", model=f"fm:{fault}")]
            except LLMError as error:
                check(error, dialect, fault)
            else:
                response = assemble(chunks)
                assert response.content or response.tool_calls or response.finish_reason, fault
