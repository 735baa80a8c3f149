"""Exact counts in OpenAI's vocabularies, and what is given where there is none."""

from __future__ import annotations

import sys

import pytest

from faultmaven.infrastructure.llm.errors import ContextLengthError
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.tokens import (
    count_prompt_tokens,
    count_text_tokens,
    find_vocabulary,
)
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.estimate import estimate_prompt_tokens

# Long words are few tokens for their bytes; the estimate takes them for more.
LONG = "internationalization " * 40


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("openai/gpt-4.1", "o200k_base"),
        ("gpt-5-nano", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("o3", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("ft:gpt-4o-mini:acme::1", "o200k_base"),
        ("openai/gpt-oss-120b", "o200k_harmony"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("claude-sonnet-4-5", None),
        ("olmo-7b", None),
        ("", None),
    ],
)
def test_vocabulary_is_known_by_the_models_name(model, vocabulary):
    assert find_vocabulary(model) == vocabulary


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [("hello world", "gpt-4o", 2), ("hello world", "gpt-4", 2), ("", "gpt-4o", 0)],
)
def test_texts_are_counted_exactly(text, model, tokens):
    pytest.importorskip("toktok")

    assert count_text_tokens([text], model) == tokens


def test_half_surrogates_are_counted():
    pytest.importorskip("toktok")

    assert count_text_tokens(["a\udc80"], "gpt-4o") == count_text_tokens(["a?"], "gpt-4o")


def test_prompt_adds_what_wraps_its_turns():
    pytest.importorskip("toktok")

    request = make_request("hello world", options={"system_prompt": "hello world"})

    assert count_prompt_tokens(request, "gpt-4o") == 2 * (2 + 4) + 3


@pytest.mark.parametrize(
    "request_",
    [
        LLMRequest(
            [LLMMessage(role="user", content="Hi")],
            tools=[{"type": "function", "function": {"name": "f"}}],
        ),
        make_request([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
    ],
    ids=["tools", "image"],
)
def test_what_no_vocabulary_tells_is_not_counted(request_):
    assert count_prompt_tokens(request_, "gpt-4o") is None


async def test_provider_counts_exactly_where_it_can(monkeypatch):
    pytest.importorskip("toktok")
    request = make_request(LONG)

    async with provider("gpt-4o") as known, provider("acme-1") as unknown:
        exact, estimate = await known.count_tokens(request), await unknown.count_tokens(request)
        monkeypatch.setitem(sys.modules, "toktok", None)
        without = await known.count_tokens(request)

    assert exact < estimate
    assert estimate == without == estimate_prompt_tokens(request)


async def test_prompt_is_refused_by_its_exact_count(monkeypatch):
    pytest.importorskip("toktok")
    count = count_prompt_tokens(make_request(LONG), "gpt-4o")
    assert count is not None

    async with provider("gpt-4o", context_length=count - 1) as made:
        with pytest.raises(ContextLengthError, match=f"has {count} tokens") as caught:
            await made.generate(LONG)

    assert caught.value.limit_tokens == count - 1


def provider(model, context_length=100_000):
    return OpenAIProvider(
        name="acme",
        api_key="sk-canary-0123456789",
        base_url="http://127.0.0.1:9",
        models=[model],
        max_retries=0,
        row={"models": [{"name": model, "context_length": context_length}]},
    )
