"""Every front to a provider of another dialect."""

from __future__ import annotations

import json

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import MESSAGES, events_of

TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
CALLS = Reply(tool_calls=[("look", {"at": "a"}), ("look", {"at": "b"})])


async def test_openai_client_asks_anthropic(client, upstream):
    body = {
        "model": "anthropic/fake",
        "messages": [{"role": "system", "content": "Be brief."}, *MESSAGES],
        "max_completion_tokens": 7,
        "stop": ["x"],
    }
    async with client.post("/v1/chat/completions", body) as reply:
        answer = await reply.json()

    sent = upstream.last_request
    assert sent.path == "/v1/messages"
    assert sent.json["max_tokens"] == 7
    assert sent.json["stop_sequences"] == ["x"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 25


async def test_anthropic_client_asks_openai(client, upstream):
    async with client.messages("openai/fake", system="Be brief.") as reply:
        answer = await reply.json()

    assert upstream.last_request.path == "/v1/chat/completions"
    assert upstream.last_request.json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert answer["content"][0]["type"] == "text"
    assert answer["stop_reason"] == "end_turn"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_parallel_tool_calls_stream_through_chat(client, upstream, provider):
    upstream.script([CALLS])

    async with client.chat(f"{provider}/fake", stream=True, tools=[TOOL]) as reply:
        relayed = [json.loads(e) for e in events_of(await reply.text()) if e != "[DONE]"]

    calls: dict[int, dict] = {}
    for event in relayed:
        for choice in event["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"name": None, "arguments": ""})
                call["name"] = call["name"] or piece["function"].get("name")
                call["arguments"] += piece["function"].get("arguments") or ""
    assert [call["name"] for call in calls.values()] == ["look", "look"]
    assert [json.loads(call["arguments"]) for call in calls.values()] == [{"at": "a"}, {"at": "b"}]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_parallel_tool_calls_stream_through_messages(client, upstream, provider):
    upstream.script([CALLS])

    tool = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
    async with client.messages(f"{provider}/fake", stream=True, tools=[tool]) as reply:
        relayed = [json.loads(event) for event in events_of(await reply.text())]

    starts = [e for e in relayed if e["type"] == "content_block_start"]
    names = [
        e["content_block"]["name"] for e in starts if e["content_block"]["type"] == "tool_use"
    ]
    deltas = [e for e in relayed if e["type"] == "message_delta"]
    assert names == ["look", "look"]
    assert deltas[0]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_responses_stream_ends_with_the_whole_response(client, provider):
    body = {"model": f"{provider}/fake", "input": "Hi", "stream": True}

    async with client.post("/v1/responses", body) as reply:
        relayed = [json.loads(event) for event in events_of(await reply.text())]

    assert relayed[0]["type"] == "response.created"
    assert relayed[-1]["type"] == "response.completed"
    assert relayed[-1]["response"]["usage"]["output_tokens"] == 25
    assert [e["sequence_number"] for e in relayed] == list(range(len(relayed)))


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "background", "prompt"])
async def test_stored_responses_are_declined(client, upstream, field):
    body = {"model": "openai/fake", "input": "Hi", field: "x"}

    async with client.post("/v1/responses", body) as reply:
        error = (await reply.json())["error"]

    assert reply.status == 400
    assert error["param"] == field
    assert not upstream.requests
    async with client.get("/v1/responses/resp_1") as reply:
        assert reply.status == 404


async def test_completions_are_a_chat_of_one_message(client, upstream):
    async with client.post("/v1/completions", {"model": "openai/f", "prompt": "Hi"}) as reply:
        answer = await reply.json()

    assert upstream.last_request.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"].startswith("Grüße")


async def test_embeddings_of_another_dialect_come_in_openais_shape(start):
    async with start(CHAT_PROVIDER="echo") as client:
        body = {"model": "echo/echo", "input": ["a", "b"], "encoding_format": "base64"}
        async with client.post("/v1/embeddings", body) as reply:
            answer = await reply.json()

    assert reply.status == 200, answer
    assert [row["index"] for row in answer["data"]] == [0, 1]
    assert isinstance(answer["data"][0]["embedding"], str)
