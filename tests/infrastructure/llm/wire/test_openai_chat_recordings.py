"""Recorded answers of OpenAI chat and its many speakers, whole and cut into pieces."""

import pytest
from hypothesis import HealthCheck, given, settings

from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire
from faultmaven.infrastructure.llm.wire.openai_chat import response_from_wire
from faultmaven.infrastructure.llm.wire.openai_chat_stream import OpenAIChatStreamReader
from tests.infrastructure.llm.wire.error_words import word_of
from tests.splits import cut_places

from .dialect_checks import (
    assert_facts,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)

DIALECTS = ("openai-chat", "mistral-chat")


@pytest.mark.parametrize(("exchange", "expected"), recorded(*DIALECTS, streamed=False))
def test_answer_has_the_recorded_facts(exchange, expected):
    assert_facts(response_from_wire(exchange["response"]["body"]), expected)


@pytest.mark.parametrize(("exchange", "expected"), recorded(*DIALECTS, streamed=True))
def test_stream_has_the_recorded_facts(exchange, expected):
    reader = OpenAIChatStreamReader()

    chunks = read_whole(reader, stream_bytes(exchange))

    assert_facts(assemble(chunks), expected)
    failure = expected.get("stream_error") or expected.get("choice_error")
    assert (reader.error is None) is (failure is None)
    if failure:
        assert reader.error.upstream_message == failure["message"]
        assert str(reader.error.code) == str(failure["error_code"])
        assert word_of(reader.error) == failure["class"]
        assert reader.error.retryable == failure["retryable"]
    else:
        assert all(chunk.finish_reason is None for chunk in chunks[:-1])
        assert chunks[-1].model == expected["model"]


@pytest.mark.parametrize(("exchange", "expected"), recorded(*DIALECTS, streamed=True))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(exchange, expected, cuts):
    data = stream_bytes(exchange)
    whole, pieces = OpenAIChatStreamReader(), OpenAIChatStreamReader()

    assert read_in_pieces(pieces, data, cuts) == read_whole(whole, data)
    assert state_of(pieces) == state_of(whole)


@pytest.mark.parametrize(("exchange", "expected"), recorded("openai-models", kind="models"))
def test_recorded_model_list_is_read(exchange, expected):
    ids = model_ids_from_wire(exchange["response"]["body"])

    assert len(ids) == expected["count"]
    assert ids[: len(expected["first_ids"])] == expected["first_ids"]
