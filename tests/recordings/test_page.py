"""The page on recordings: its example is one, and it names whatever the tests leave out."""

from __future__ import annotations

import json

import pytest

from faultmaven.infrastructure.llm.errors import ResponseFormatError, StreamInterruptedError
from faultmaven.infrastructure.llm.wire.openai_embeddings import embeddings_from_wire
from tests.docs.blocks import ROOT, blocks_of
from tests.infrastructure.llm.wire.dialect_checks import assert_facts, recorded
from tests.infrastructure.llm.wire.test_openai_embeddings import NO_VECTORS
from tests.recordings.replay import replaying
from tests.recordings.test_replay import NO_ANSWERS, provider_for, stream

PAGE = ROOT / "docs" / "recordings.md"
ENDLESS = "vertexai.gemini-generate.stream.e081a06a59"


def named(recording, *dialects, **kinds):
    cases = recorded(*dialects, **kinds)
    return [case for case in cases if case.id is None or case.id == recording]


async def test_the_example_is_a_recording_with_its_facts():
    exchange, facts = (
        json.loads(block.code) for block in blocks_of(PAGE) if block.language == "json"
    )
    async with replaying(exchange) as origin, provider_for(exchange, origin) as provider:
        response = await provider.generate("Hello")

    assert_facts(response, facts[exchange["id"]])


@pytest.mark.parametrize("recording", sorted({*NO_ANSWERS, *NO_VECTORS, ENDLESS}))
def test_what_is_left_out_is_named(recording):
    assert f"| `{recording}` |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("exchange", "expected"), named(ENDLESS, "gemini-generate", streamed=True)
)
async def test_a_stream_without_a_reason_is_taken_for_one_that_was_cut(exchange, expected):
    strict = {"row": {"api_key_var": "RECORDED_API_KEY"}}
    async with (
        replaying(exchange, status=200) as origin,
        provider_for(exchange, origin, **strict) as provider,
    ):
        with pytest.raises(StreamInterruptedError):
            await stream(provider, [])


@pytest.mark.parametrize(
    ("exchange", "expected"), named(NO_VECTORS[0], "openai-embeddings", kind="embeddings")
)
def test_a_page_of_usage_holds_no_vectors(exchange, expected):
    with pytest.raises(ResponseFormatError):
        embeddings_from_wire(exchange["response"]["body"], "m")
