"""Recorded answers of Anthropic Messages, whole and cut into pieces."""

import pytest
from hypothesis import HealthCheck, given, settings

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    response_from_wire,
    token_count_from_wire,
)
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire
from tests.splits import cut_places

from .dialect_checks import (
    assert_facts,
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)

DIALECT = "anthropic-messages"


@pytest.mark.parametrize(("exchange", "expected"), recorded(DIALECT, streamed=False))
def test_answer_has_the_recorded_facts(exchange, expected):
    response = response_from_wire(exchange["response"]["body"])

    assert_facts(response, expected)
    assert response.usage_source == "reported"
    assert redacted(response) == (expected.get("redacted_thinking") or 0)


@pytest.mark.parametrize(("exchange", "expected"), recorded(DIALECT, streamed=True))
def test_stream_has_the_recorded_facts(exchange, expected):
    assert_stream_matches(AnthropicStreamReader, stream_bytes(exchange), expected)


@pytest.mark.parametrize(("exchange", "expected"), recorded(DIALECT, streamed=True))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(exchange, expected, cuts):
    data = stream_bytes(exchange)
    whole, pieces = AnthropicStreamReader(), AnthropicStreamReader()

    assert read_in_pieces(pieces, data, cuts) == read_whole(whole, data)
    assert state_of(pieces) == state_of(whole)
    assert whole.done


@pytest.mark.parametrize(
    ("exchange", "expected"), recorded("anthropic-count-tokens", kind="count-tokens")
)
def test_recorded_count_is_read(exchange, expected):
    assert token_count_from_wire(exchange["response"]["body"]) == expected["input_tokens"]


@pytest.mark.parametrize(("exchange", "expected"), recorded("anthropic-models", kind="models"))
def test_recorded_models_are_read(exchange, expected):
    ids = model_ids_from_wire(exchange["response"]["body"])

    assert (len(ids), ids[-1]) == (expected["count"], expected["last_id"])


def redacted(response):
    kinds = [detail["type"] for detail in response.reasoning_details]
    assert codec.dumps(response.reasoning_details)
    return kinds.count("reasoning.encrypted")
