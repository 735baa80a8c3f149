"""Recorded answers through whole providers: transport, retries, reading and finishing included.

What the pure readers are judged by holds for `generate` and `stream` as well, however the bytes come.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

import pytest

from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.providers.provider_class import load_provider_class
from faultmaven.infrastructure.llm.types import LLMResponse
from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.infrastructure.llm.wire.dialect_checks import (
    assert_facts,
    assert_text,
    recorded,
    stream_bytes,
)
from tests.infrastructure.llm.wire.error_words import word_of
from tests.recordings.replay import body_of, replaying

KEY = "sk-recordings-0123456789"
ASKED = "asked-model"


class Speaker(NamedTuple):
    """The class that speaks a dialect: where its paths begin, and what its row needs."""

    class_name: str
    path: str = ""
    row: dict = {}  # noqa: RUF012 - never changed


SPEAKERS = {
    "openai-chat": Speaker("OpenAIProvider", "/v1"),
    "mistral-chat": Speaker("OpenAIProvider", "/v1"),
    "anthropic-messages": Speaker("AnthropicProvider", "/v1"),
    "ollama-chat": Speaker("OllamaProvider"),
    "openai-responses": Speaker("OpenAIResponsesProvider", "/v1"),
    "gemini-generate": Speaker("GeminiProvider", "/v1beta"),
    "cohere-v2": Speaker("CohereProvider", "/v2"),
    "bedrock-converse": Speaker("BedrockProvider"),
    "bedrock-invoke": Speaker("BedrockAnthropicProvider"),
}
# Nothing that an answer can hold: an empty text, the description of a cached prompt, an image alone.
NO_ANSWERS = {
    "bedrock.bedrock-invoke.stream.69a5f89642",
    "gemini.gemini-generate.chat.9cd8a48f30",
}
# One piece; small ones that split every event and character; large ones across events.
SPLITS = {"whole": 0, "bytes-3": 3, "bytes-1000": 1000}
NOT_YET = (LLMError, ImportError)


def is_there(class_name):
    try:
        load_provider_class("recorded", class_name)
    except NOT_YET:
        return False
    return True


DIALECTS = [dialect for dialect, speaker in SPEAKERS.items() if is_there(speaker.class_name)]


def provider_for(exchange, origin, **settings):
    speaker = SPEAKERS[exchange["dialect"]]
    row = {"api_key_var": "RECORDED_API_KEY", "finish_reason_optional": True, **speaker.row}
    kind = load_provider_class("recorded", speaker.class_name)
    options = {"max_retries": 0, "timeout": 10, "models": [ASKED], "row": row} | settings
    return kind(name="recorded", api_key=KEY, base_url=f"{origin}{speaker.path}", **options)


def cuts_of(exchange, split):
    size = SPLITS[split]
    return range(size, len(body_of(exchange)), size) if size else ()


def structured():
    """Give the recordings whose request asked for JSON, and that answered in text."""
    return [
        case
        for case in recorded("openai-chat", "mistral-chat", streamed=False)
        if case.values[0] is None or asks_for_json(*case.values)
    ]


def asks_for_json(exchange, expected):
    body = (exchange["request"] or {}).get("body")
    wanted = body.get("response_format") if isinstance(body, dict) else None
    kind = wanted.get("type") if wanted else None
    is_whole = expected["finish_reason"] == "stop" and not expected["refusal"]
    return kind in ("json_schema", "json_object") and is_whole


async def stream(provider, chunks):
    async with aclosing(provider.stream("Hello")) as pieces:
        async for chunk in pieces:
            chunks.append(chunk)


def assert_error(error, expected):
    accepted = [expected["class"], *expected.get("class_also", ())]
    assert word_of(error) in accepted
    assert error.retryable == expected["retryable"]
    if expected.get("message"):
        assert expected["message"] in (error.upstream_message or error.message)
    assert error.provider == "recorded"


def named(response: LLMResponse, expected) -> LLMResponse:
    """Take out the name that stands in for one that the provider did not give."""
    if expected["model"] is None:
        assert response.model == ASKED
        return replace(response, model="")
    return response


def failure_of(expected):
    return expected.get("stream_error") or expected.get("choice_error")


@pytest.mark.parametrize(
    ("exchange", "expected"), recorded(*DIALECTS, streamed=False, exclude=NO_ANSWERS)
)
async def test_generate_gives_the_recorded_facts(exchange, expected):
    async with replaying(exchange) as origin, provider_for(exchange, origin) as provider:
        if failure := failure_of(expected):
            with pytest.raises(LLMError) as caught:
                await provider.generate("Hello")
            assert_error(caught.value, failure)
            return
        response = await provider.generate("Hello")

    assert_facts(named(response, expected), expected)
    assert (response.provider, response.confidence) == ("recorded", 0.8)
    assert response.response_time_ms >= 1


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("exchange", "expected"), recorded(*DIALECTS, streamed=True, exclude=NO_ANSWERS)
)
async def test_stream_gives_the_recorded_facts(exchange, expected, split):
    chunks: list = []
    cuts = cuts_of(exchange, split)
    async with (
        replaying(exchange, cuts=cuts) as origin,
        provider_for(exchange, origin) as provider,
    ):
        if failure := failure_of(expected):
            with pytest.raises(LLMError) as caught:
                await stream(provider, chunks)
            assert_error(
                caught.value, failure | {"retryable": failure["retryable"] and not chunks}
            )
            assert_text(assemble(chunks), expected)
            return
        await stream(provider, chunks)

    assert_facts(named(assemble(chunks), expected), expected)
    last = chunks[-1]
    assert last.usage is not None or expected["input_tokens"] is None
    assert (last.model, last.response_id) == (
        expected["model"] or ASKED,
        expected["response_id"],
    )


@pytest.mark.parametrize(("exchange", "expected"), recorded(*DIALECTS, kind="error"))
async def test_error_is_of_the_recorded_class(exchange, expected):
    async with (
        replaying(exchange, status=400) as origin,
        provider_for(exchange, origin) as provider,
    ):
        with pytest.raises(LLMError) as plain:
            await provider.generate("Hello")
        with pytest.raises(LLMError) as streamed:
            await stream(provider, [])

    wait_s = expected.get("retry_after")
    for error in (plain.value, streamed.value):
        assert_error(error, expected)
        assert wait_s is None or error.retry_after_s == float(wait_s)
        assert KEY not in str(error) + repr(error)


@pytest.mark.parametrize(("exchange", "expected"), structured())
async def test_structured_answer_is_parsed(exchange, expected):
    wanted = exchange["request"]["body"]["response_format"]
    async with replaying(exchange) as origin, provider_for(exchange, origin) as provider:
        response = await provider.generate("Hello", response_format=wanted)

    assert response.parsed == json.loads(expected["text"])
    assert_facts(named(response, expected), expected)


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [case for case in recorded(*DIALECTS) if case.id is None or case.id in NO_ANSWERS],
)
async def test_an_answer_that_holds_nothing_is_an_error(exchange, expected):
    is_stream = stream_bytes(exchange) is not None
    async with replaying(exchange) as origin, provider_for(exchange, origin) as provider:
        with pytest.raises(ResponseFormatError) as caught:
            await (stream(provider, []) if is_stream else provider.generate("Hello"))

    assert caught.value.code == "empty_response"
