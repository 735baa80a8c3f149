"""Errors go when their request has ended: what is held in a circle waits for the collector, and all wait for it."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest
from aiohttp.web import BaseRequest

from faultmaven.infrastructure.llm.errors import LLMError
from tests.gateway.conftest import MESSAGES
from tests.gateway.lanes import LANES
from tests.gateway.test_raw_http import post

REFUSALS = ["status:400", "status:429:retry-after-ms=1", "200-html", "status:503:retry-after-ms=1"]


@pytest.fixture
def collector():
    """Stop the collector for a while, so that only what nobody holds goes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


LEFT = [
    "openai/fm:stall-headers",
    "openai/fm:stall-mid-stream:3",
    "anthropic/fm:stall-mid-stream:9",
]


def errors_left():
    return [thing for thing in gc.get_objects() if isinstance(thing, LLMError)]


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("variables", [
    {}, {"LLM_MAX_RETRIES": "1"}, {"FALLBACK_PROVIDERS": "groq"},
], ids=["one try", "two tries", "two targets"])  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
async def test_no_error_outlives_its_request(start, upstream, lane, stream, variables):
    async with start("circuit: {failures: 2}", **variables) as client:
        before = len(errors_left())
        body = lane.body("", stream=stream, model=f"{lane.provider}/fake")
        for spec in REFUSALS:
            upstream.mode(spec)
            for _ in range(4):  # the circuit opens on the way
                async with client.post(lane.path, body) as reply:
                    assert reply.status >= 400
                    await reply.read()

        assert len(errors_left()) == before
    assert upstream.requests


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("model", LEFT)
async def test_a_client_that_leaves_takes_its_request_along(client, upstream, model):
    body = {"model": model, "max_tokens": 9, "stream": True, "messages": MESSAGES}
    _, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(post(json.dumps(body).encode()))
    await upstream.wait_for_requests(1)

    writer.close()
    await upstream.wait_for_clients_gone(1)

    async with asyncio.timeout(60):
        while client.server.connections:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    assert not [thing for thing in gc.get_objects() if isinstance(thing, BaseRequest)]
