"""Errors go when their request has ended: what is held in a circle waits for the collector, and all wait for it."""

from __future__ import annotations

import gc

import pytest

from faultmaven.infrastructure.llm.errors import LLMError
from tests.gateway.lanes import LANES

REFUSALS = ["status:400", "status:429:retry-after-ms=1", "200-html", "status:503:retry-after-ms=1"]


@pytest.fixture
def collector():
    """Stop the collector for a while, so that only what nobody holds goes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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
