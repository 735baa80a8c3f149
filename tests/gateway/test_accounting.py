"""Tokens and money: told by the provider, or estimated and said to be."""

from __future__ import annotations

import asyncio

import pytest

from faultmaven.infrastructure.llm.events import CallFinished, subscribe
from tests.gateway.conftest import MESSAGES


@pytest.fixture
def finished():
    """Give the events of calls that have ended, as a queue."""
    queue: asyncio.Queue[CallFinished] = asyncio.Queue()
    leave = subscribe(queue.put_nowait)
    yield queue
    leave()


async def last(queue):
    return await asyncio.wait_for(queue.get(), 60)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("front", ["chat", "messages"])
async def test_counts_that_are_told_are_taken(client, finished, front, provider, stream):
    async with getattr(client, front)(f"{provider}/fake", stream=stream) as reply:
        assert reply.status == 200
        await reply.read()

    event = await last(finished)
    assert event.usage_source == "provider"
    assert event.input_tokens > 0
    assert event.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("front", ["chat", "messages"])
@pytest.mark.parametrize("fault", ["missing-usage", "bad-usage:negative", "bad-usage:string"])
async def test_counts_that_are_missing_or_nonsense_are_estimated(
    client, finished, front, provider, stream, fault
):
    async with getattr(client, front)(f"{provider}/fm:{fault}", stream=stream) as reply:
        assert reply.status == 200
        await reply.read()

    event = await last(finished)
    assert event.usage_source == "estimated"
    assert event.input_tokens > 0
    assert event.output_tokens > 0


@pytest.mark.parametrize("front", ["chat", "messages"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_stream_that_breaks_off_is_incomplete_and_estimated(
    client, finished, front, provider
):
    async with getattr(client, front)(f"{provider}/fm:reset-mid-stream:5", stream=True) as reply:
        assert reply.status == 200
        await reply.read()

    event = await last(finished)
    assert (event.outcome, event.usage_source) == ("incomplete", "estimated")
    assert event.output_tokens > 0


@pytest.mark.parametrize("front", ["chat", "messages"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_what_a_client_that_leaves_has_had_is_charged(client, finished, front, provider):
    reply = await getattr(client, front)(f"{provider}/fm:hold", stream=True)
    await reply.content.readline()
    reply.close()

    event = await last(finished)
    assert (event.outcome, event.status, event.usage_source) == ("cancelled", 499, "estimated")
    assert event.input_tokens > 0


async def test_an_answer_that_never_came_has_no_tokens(client, finished):
    async with client.chat("openai/fm:close-mid-body") as reply:
        assert reply.status == 502

    event = await last(finished)
    assert (event.usage_source, event.input_tokens, event.cost_usd) == ("none", None, None)


async def test_a_longer_answer_is_estimated_to_be_longer(client, finished):
    found = []
    for name in ("missing-usage", "missing-usage"):
        messages = MESSAGES * (1 + 20 * len(found))
        async with client.chat(f"openai/fm:{name}", messages=messages) as reply:
            await reply.read()
        found.append((await last(finished)).input_tokens)

    assert found[0] * 10 < found[1]


async def test_what_the_client_is_told_of_usage_is_as_it_asked(client, finished):
    for wanted in (False, True):
        options = {"include_usage": wanted}
        async with client.chat(stream=True, stream_options=options) as reply:
            text = await reply.text()

        assert ('"prompt_tokens"' in text) is wanted
        assert (await last(finished)).usage_source == "provider"


async def test_texts_to_embed_are_estimated_too(client, finished, upstream):
    body = {"model": "openai/fm:missing-usage", "input": ["eight by" * 10, "x"]}
    async with client.post("/v1/embeddings", body) as reply:
        assert reply.status == 200

    event = await last(finished)
    assert event.output_tokens == 0
    assert event.input_tokens == 21
