"""Bodies that only some hosts send, without the folder of recordings."""

from __future__ import annotations

import json

import pytest

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.providers.ollama_provider import OllamaProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.recordings.replay import replaying


def body(data):
    return {"response": {"status": 200, "headers": {}, "body": data}}


def chat(message, finish_reason="stop"):
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"id": "c", "model": "m", "choices": [choice]}


def provider(kind, base_url, **row):
    row = {"api_key_var": None, **row}
    return kind(name="odd", base_url=base_url, models=["m"], max_retries=0, row=row)


async def test_thinking_without_an_answer_is_given():
    thought = chat({"role": "assistant", "content": None, "reasoning_content": "Hm."})
    async with (
        replaying(body(thought)) as origin,
        provider(OpenAIProvider, f"{origin}/v1") as odd,
    ):
        response = await odd.generate("Hello")

    assert (response.content, response.reasoning) == ("", "Hm.")


@pytest.mark.parametrize("content", [None, "", "  \n"])
async def test_an_answer_with_nothing_in_it_is_an_error(content):
    empty = chat({"role": "assistant", "content": content})
    async with replaying(body(empty)) as origin, provider(OpenAIProvider, f"{origin}/v1") as odd:
        with pytest.raises(ResponseFormatError) as caught:
            await odd.generate("Hello")

    assert caught.value.code == "empty_response"


@pytest.mark.parametrize("cuts", [(), range(0, 400, 7)], ids=["whole", "pieces"])
async def test_lines_of_json_are_a_stream_under_the_type_of_json(cuts):
    lines = [
        {"model": "m", "message": {"role": "assistant", "content": "Good "}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "day"}, "done": False},
        {"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop"},
    ]
    exchange = {
        "response": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "ndjson": "".join(f"{json.dumps(line)}\n" for line in lines),
        }
    }
    async with (
        replaying(exchange, cuts=cuts) as origin,
        provider(OllamaProvider, origin) as odd,
    ):
        chunks = [chunk async for chunk in odd.stream("Hello")]

    assert assemble(chunks).content == "Good day"
    assert len(chunks) >= 3
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("usage", "usd", "status"),
    [
        ({"cost": 0.0042, "is_byok": False}, 0.0042, "actual"),
        ({"cost": 0.0001, "is_byok": True}, 0.000985, "estimated"),
        ({}, 0.000985, "estimated"),
    ],
    ids=["stated", "own-key", "computed"],
)
async def test_the_hosts_own_sum_is_the_cost(usage, usd, status):
    counts = {"prompt_tokens": 1000, "completion_tokens": 500, **usage}
    answer = chat({"role": "assistant", "content": "Hi"}) | {"usage": counts}
    async with replaying(body(answer)) as origin:
        priced = provider(OpenAIProvider, f"{origin}/v1", catalog="groq")
        async with priced as odd:
            response = await odd.generate("Hello", model="llama-3.3-70b-versatile")

    assert response.cost_usd == pytest.approx(usd)
    assert response.cost_status == status


async def test_a_model_without_a_price_has_no_cost():
    answer = chat({"role": "assistant", "content": "Hi"})
    async with (
        replaying(body(answer)) as origin,
        provider(OpenAIProvider, f"{origin}/v1") as odd,
    ):
        response = await odd.generate("Hello")

    assert (response.cost_usd, response.cost_status) == (None, "unknown")


async def test_a_streams_last_piece_has_the_hosts_sum():
    events = [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {
            "id": "c", "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.01},
        },
    ]  # fmt: skip
    sse = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    exchange = {"response": {"status": 200, "headers": {}, "sse": sse}}
    async with (
        replaying(exchange) as origin,
        provider(OpenAIProvider, f"{origin}/v1") as odd,
    ):
        chunks = [chunk async for chunk in odd.stream("Hello")]

    assert chunks[-1].usage.cost_usd == 0.01
    assert odd.price("m", chunks[-1].usage).status == "actual"
    assert assemble(chunks).cost_status == "actual"
