"""What a model cannot do, by its row: take a system prompt, stream, size its vectors; and what it can draw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.infrastructure.llm.errors import InvalidRequestError, UnsupportedParameterError
from faultmaven.infrastructure.llm.providers import OpenAIProvider, create_provider
from faultmaven.infrastructure.llm.providers.gemini_provider import GeminiProvider
from faultmaven.infrastructure.llm.providers.openai_responses_provider import (
    OpenAIResponsesProvider,
)
from faultmaven.infrastructure.llm.types import LLMResponse
from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.infrastructure.llm.providers.canned import Canned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers import HTTPProvider
    from faultmaven.testing import FakeUpstream
    from tests.infrastructure.llm.providers.canned import CannedServer

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}
NO_SYSTEM = {"capabilities": {"system": False}}
NO_STREAM = {"capabilities": {"stream": False}}
FIXED = {"embeddings": {"model": "embedder", "dimensions": False}}


def acme(upstream: FakeUpstream, row: Mapping[str, Any]) -> OpenAIProvider:
    return OpenAIProvider(name="acme", base_url=upstream.base_url, models=["m"], row=dict(row))


# No system prompt.


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("Hello", {"system_prompt": "Be brief."}),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}], {}),
        (
            [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
            {},
        ),
    ],
    ids=["option", "system", "developer"],
)
async def test_system_prompt_leads_the_first_message_of_the_user(
    upstream: FakeUpstream, prompt: Any, options: dict[str, Any]
) -> None:
    async with acme(upstream, NO_SYSTEM) as provider:
        response = await provider.generate(prompt, **options)

    said = [{"role": "user", "content": "Be brief.\n\nHello"}]
    assert upstream.last_request.json["messages"] == said
    assert response.route is not None
    assert response.route.unsupported == [
        "the system prompt went into the first message: m takes none"
    ]


async def test_system_prompt_leads_a_message_of_several_parts(upstream: FakeUpstream) -> None:
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}
    ]
    async with acme(upstream, NO_SYSTEM) as provider:
        await provider.generate(talk, system_prompt="Be brief.")

    parts = upstream.last_request.json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "text", "image_url"]
    assert talk[0]["content"][0]["text"] == "What is it?"


async def test_talk_without_a_user_begins_with_the_system_prompt(upstream: FakeUpstream) -> None:
    async with acme(upstream, NO_SYSTEM) as provider:
        await provider.generate([{"role": "assistant", "content": "Hi"}], system_prompt="Go on.")

    assert [m["role"] for m in upstream.last_request.json["messages"]] == ["user", "assistant"]


async def test_order_for_a_structure_needs_no_system_prompt(upstream: FakeUpstream) -> None:
    upstream.reply('{"n": 1}')
    async with acme(upstream, {**NO_SYSTEM, "structured_output": "prompt"}) as provider:
        response = await provider.generate("Hello", output_schema={"type": "object"})

    assert response.parsed == {"n": 1}
    assert [m["role"] for m in upstream.last_request.json["messages"]] == ["user"]


async def test_request_without_a_system_prompt_is_not_changed(upstream: FakeUpstream) -> None:
    async with acme(upstream, NO_SYSTEM) as provider:
        response = await provider.generate("Hello")

    assert upstream.last_request.json["messages"] == [{"role": "user", "content": "Hello"}]
    assert response.route is not None
    assert response.route.unsupported == []


async def test_system_prompt_is_refused_where_the_policy_is_error(upstream: FakeUpstream) -> None:
    async with acme(upstream, {**NO_SYSTEM, "on_unsupported": "error"}) as provider:
        with pytest.raises(UnsupportedParameterError, match="takes no system prompt"):
            await provider.generate("Hello", system_prompt="Be brief.")

    assert upstream.requests == []


# No stream.


async def test_stream_comes_in_one_piece_from_who_does_not_stream(upstream: FakeUpstream) -> None:
    async with acme(upstream, NO_STREAM) as provider:
        whole = await provider.generate("Hello")
        chunks = [chunk async for chunk in provider.stream("Hello")]

    assert [chunk.text for chunk in chunks] == [whole.content]
    assert chunks[0].usage is not None
    assert chunks[0].unsupported == ["the stream came in one piece: m does not stream"]
    assert not upstream.last_request.json.get("stream")


async def test_stream_is_refused_where_the_policy_is_error(upstream: FakeUpstream) -> None:
    async with acme(upstream, {**NO_STREAM, "on_unsupported": "error"}) as provider:
        with pytest.raises(UnsupportedParameterError, match="does not stream"):
            await anext(provider.stream("Hello"))


@pytest.mark.parametrize(
    ("row", "body", "may"),
    [
        ({}, {"stream": True}, True),
        (NO_STREAM, {"stream": True}, False),
        (NO_STREAM, {}, True),
        (NO_SYSTEM, {}, False),
    ],
)
def test_body_that_would_need_changing_is_not_forwarded(
    row: dict[str, Any], body: dict[str, Any], *, may: bool
) -> None:
    provider = OpenAIProvider(name="acme", base_url="https://acme.example/v1", row=row)

    assert provider.can_forward("openai_chat", body) is may


# Vectors.


async def test_length_of_vectors_is_asked_for(upstream: FakeUpstream) -> None:
    async with acme(upstream, {}) as provider:
        answer = await provider.embed(["a", "b"], dimensions=4)
        await provider.embed(["a"])

    assert [len(vector) for vector in answer.vectors] == [4, 4]
    assert answer.unsupported == []
    assert [r.json.get("dimensions") for r in upstream.requests] == [4, None]


async def test_length_that_cannot_be_chosen_is_told(
    upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    async with acme(upstream, FIXED) as provider:
        answer = await provider.embed(["a"], dimensions=4)

    assert "dimensions" not in upstream.last_request.json
    assert answer.unsupported == ["dimensions was not sent: embedder does not take it"]
    assert "dimensions was not sent" in caplog.text


async def test_length_that_cannot_be_chosen_is_refused_by_policy(upstream: FakeUpstream) -> None:
    async with acme(upstream, {**FIXED, "on_unsupported": "error"}) as provider:
        with pytest.raises(UnsupportedParameterError):
            await provider.embed(["a"], dimensions=4)


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [
        ("ollama", "", "dimensions"),
        ("gemini", "/v1beta", "outputDimensionality"),
        ("cohere", "/v2", "output_dimension"),
    ],
)
async def test_other_dialects_say_the_length_in_their_words(
    upstream: FakeUpstream, name: str, path: str, key: str
) -> None:
    config = {"base_url": f"{upstream.url}{path}", "api_key": "sk-0123456789", "models": ["m"]}
    async with create_provider(config, name) as provider:
        await provider.embed(["a"], "embedder", 4)

    assert f'"{key}": 4' in json.dumps(upstream.last_request.json)


async def test_echo_gives_vectors_of_the_length() -> None:
    async with create_provider({}, "echo") as echo:
        vectors = (await echo.embed(["a", "b"], dimensions=100)).vectors

    assert [len(vector) for vector in vectors] == [100, 100]


# Answers that are images.


def completion(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": "m", "choices": [choice]}


OPENAI_IMAGE = completion({"content": None, "images": [IMAGE]})
OPENAI_AUDIO = completion({"content": None, "audio": {"id": "a1", "data": "UklGRg=="}})
GEMINI_IMAGE = {
    "candidates": [
        {
            "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1},
}
RESPONSES_IMAGE = {
    "status": "completed", "model": "m", "id": "r1",
    "output": [{"type": "image_generation_call", "id": "ig1", "result": "iVBORw0="}],
}  # fmt: skip


def artist(kind: type[HTTPProvider], url: str) -> HTTPProvider:
    return kind(name="acme", base_url=url, api_key="sk-0123456789", models=["m"], max_retries=0)


@pytest.mark.parametrize(
    ("kind", "data", "media"),
    [
        (OpenAIProvider, OPENAI_IMAGE, [IMAGE]),
        (OpenAIProvider, OPENAI_AUDIO,
         [{"type": "audio", "audio": {"id": "a1", "data": "UklGRg=="}}]),
        (GeminiProvider, GEMINI_IMAGE, [IMAGE]),
        (OpenAIResponsesProvider, RESPONSES_IMAGE, [IMAGE]),
    ],
    ids=["openai", "audio", "gemini", "responses"],
)  # fmt: skip
async def test_image_without_text_is_an_answer(
    canned: CannedServer,
    kind: type[HTTPProvider],
    data: dict[str, Any],
    media: list[dict[str, Any]],
) -> None:
    canned.answer(data)
    async with artist(kind, canned.url) as provider:
        response = await provider.generate("Draw a cat.")

    assert (response.content, response.media) == ("", media)
    assert response.raw_response == data


def events(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


OPENAI_CHUNKS = events(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"content": "", "images": [IMAGE]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)
RESPONSES_EVENTS = events(
    {"type": "response.output_item.done", "output_index": 0, "item": RESPONSES_IMAGE["output"][0]},
    {"type": "response.completed", "response": RESPONSES_IMAGE},
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (OpenAIProvider, OPENAI_CHUNKS),
        (GeminiProvider, events(GEMINI_IMAGE)),
        (OpenAIResponsesProvider, RESPONSES_EVENTS),
    ],
    ids=["openai", "gemini", "responses"],
)
async def test_streamed_image_without_text_is_an_answer(
    canned: CannedServer, kind: type[HTTPProvider], body: bytes
) -> None:
    canned.answer(Canned(body, content_type="text/event-stream"))
    async with artist(kind, canned.url) as provider:
        response = assemble([chunk async for chunk in provider.stream("Draw a cat.")])

    assert (response.content, response.media) == ("", [IMAGE])


# What has no JSON form.


async def test_half_a_surrogate_pair_in_a_prompt_is_replaced(upstream: FakeUpstream) -> None:
    async with acme(upstream, {}) as provider:
        await provider.generate("half \ud83d pair")
        await provider.embed(["half \ud83d pair"])

    assert upstream.requests[0].json["messages"][0]["content"] == "half � pair"
    assert upstream.requests[1].json["input"] == ["half � pair"]


async def test_field_without_a_json_form_is_an_error_of_ours(upstream: FakeUpstream) -> None:
    async with acme(upstream, {}) as provider:
        with pytest.raises(InvalidRequestError, match="acme: the request cannot be written"):
            await provider.generate("Hello", custom=object())

    assert upstream.requests == []


async def test_estimated_answer_survives_the_way_to_json_and_back(upstream: FakeUpstream) -> None:
    async with acme(upstream, {}) as provider:
        response = await provider.generate("Hello", model="fm:missing-usage")

    assert LLMResponse.from_dict(json.loads(json.dumps(response.to_dict()))) == response
