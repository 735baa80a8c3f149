"""`POST /v1/messages/count_tokens`: whose count it is, and that nobody is billed for it."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import KEY, MESSAGES, UPSTREAM_KEY

COUNTED = "/v1/messages/count_tokens"
SOURCE = "x-faultmaven-token-count"


async def test_a_provider_of_the_same_api_counts_the_body_as_it_was_written(client, upstream):
    body = {
        "model": "anthropic/fake",
        "system": [{"type": "text", "text": "Brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "unheard_of": None,
    }
    headers = {"anthropic_beta": "some-beta-1", "anthropic_version": "2026-10-21"}

    async with client.post(COUNTED, body, **headers) as reply:
        counted = await reply.json()

    sent = upstream.last_request
    assert sent.path == COUNTED
    assert sent.json == body | {"model": "fake"}
    assert sent.headers["anthropic-beta"] == "some-beta-1"
    assert sent.headers["anthropic-version"] == "2026-10-21"
    assert sent.api_key == UPSTREAM_KEY
    assert KEY not in str(sent.headers)
    assert counted["input_tokens"] > 0
    assert reply.headers[SOURCE] == "provider"


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_host_without_the_endpoint_gets_an_estimate(client, upstream, status):
    upstream.script([f"status:{status}"])

    async with client.post(COUNTED, {"model": "anthropic/fake", "messages": MESSAGES}) as reply:
        counted = await reply.json()

    assert reply.status == 200
    assert counted["input_tokens"] > 0
    assert reply.headers[SOURCE] == "estimate"
    assert len(upstream.requests) == 1


async def test_a_provider_that_fails_is_asked_again(start, upstream):
    upstream.script(["status:500", "ok"])
    body = {"model": "anthropic/fake", "messages": MESSAGES}

    async with start(LLM_MAX_RETRIES="1") as client, client.post(COUNTED, body) as reply:
        assert reply.status == 200, await reply.text()

    assert reply.headers[SOURCE] == "provider"
    assert len(upstream.requests) == 2


async def test_a_refusal_is_told_in_anthropics_shape(client, upstream):
    upstream.mode("status:400")

    async with client.post(COUNTED, {"model": "anthropic/fake", "messages": MESSAGES}) as reply:
        answer = await reply.json()

    assert reply.status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert reply.headers["request-id"] == reply.headers["x-request-id"] == answer["request_id"]


async def test_another_api_is_not_asked_and_the_answer_says_so(client, upstream):
    async with client.post(COUNTED, {"model": "openai/fake", "messages": MESSAGES}) as reply:
        counted = await reply.json()

    assert counted["input_tokens"] > 0
    assert reply.headers[SOURCE] in ("tokenizer", "estimate")
    assert not upstream.requests


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["anthropic/fake", "openai/fake"])
async def test_messages_have_their_id_where_anthropics_clients_look(client, model, stream):
    async with client.messages(model, stream=stream) as reply:
        await reply.read()

    assert reply.headers["request-id"] == reply.headers["x-request-id"]


async def test_other_apis_have_one_name_for_it(client):
    async with client.chat() as reply:
        assert "x-request-id" in reply.headers
        assert "request-id" not in reply.headers
