"""Amazon Bedrock's InvokeModel: answers of every family, told apart by their shape."""

import base64
import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import LLMError, RateLimitError, StreamInterruptedError
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.bedrock_invoke import (
    InvokeStreamReader,
    response_from_wire,
)
from faultmaven.testing.dialects.bedrock import event_stream_frame
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

METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}}
ANTHROPIC = [
    {
        "type": "message_start",
        "message": {"id": "msg", "model": "m", "usage": {"input_tokens": 3}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop", **METRICS},
]
NOVA = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}, **METRICS},
]
TITAN = [
    {"outputText": "H", "completionReason": None, "inputTextTokenCount": 3},
    {"outputText": "i", "completionReason": "FINISH", "totalOutputTextTokenCount": 4},
]
FAMILIES = pytest.mark.parametrize(
    "pieces", [ANTHROPIC, NOVA, TITAN], ids=["anthropic", "nova", "titan"]
)


def as_frames(pieces):
    return b"".join(
        event_stream_frame(
            {":message-type": "event", ":event-type": "chunk"},
            json.dumps(
                {"bytes": base64.b64encode(json.dumps(p).encode()).decode(), "p": "ab"}
            ).encode(),
        )
        for p in pieces
    )


@pytest.mark.parametrize(("recording", "facts"), recorded("bedrock-invoke", streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


@pytest.mark.parametrize(("recording", "facts"), recorded("bedrock-invoke", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(InvokeStreamReader, stream_bytes(recording), facts, cuts)


@pytest.mark.parametrize(
    "body",
    [
        {
            "type": "message",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
        },
        {"output": {"message": {"content": [{"text": "Hi"}]}}, "stopReason": "end_turn"},
        {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"generation": "Hi", "stop_reason": "stop"},
    ],
    ids=["anthropic", "nova", "openai", "text"],
)
def test_response_is_read_by_its_shape(body):
    response = response_from_wire(body)

    assert (response.content, response.finish_reason) == ("Hi", "stop")


@FAMILIES
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(pieces, cuts):
    whole, parts = InvokeStreamReader(), InvokeStreamReader()
    data = as_frames(pieces)

    assert read_in_pieces(parts, data, cuts) == read_whole(whole, data)
    assert state_of(parts) == state_of(whole)


@FAMILIES
def test_stream_assembles_to_the_answer(pieces):
    reader = InvokeStreamReader()
    chunks = reader.feed(as_frames(pieces))

    assert reader.done
    assert assemble(chunks).content == "Hi"
    assert chunks[-1].finish_reason == "stop"
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.output_tokens) == (3, 4)


@FAMILIES
def test_stream_that_stops_early_is_interrupted(pieces):
    reader = InvokeStreamReader()
    read_whole(reader, as_frames(pieces[:1]))

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize("pieces", [NOVA[:3], [TITAN[0], {"completionReason": "FINISH"}]])
def test_stream_without_counts_is_complete_once_finished(pieces):
    reader = InvokeStreamReader()
    chunks = read_whole(reader, as_frames(pieces))

    assert reader.done
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    "piece",
    [{"type": "error", "error": {"type": "api_error", "message": "bad day"}}, {"message": "bad day"}, {"outputText": 5}],
)  # fmt: skip
def test_stream_with_failure_ends_in_it(piece):
    reader = InvokeStreamReader()
    read_whole(reader, as_frames([piece]))

    assert isinstance(reader.error, LLMError)


def test_stream_with_exception_ends_in_that_error():
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    reader = InvokeStreamReader()
    read_whole(reader, event_stream_frame(headers, b'{"message": "slow down"}'))

    assert isinstance(reader.error, RateLimitError)


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"bytes": "!"}', b'{"bytes": 5}', b"5", b'{"bytes": "NQ=="}']
)
def test_stream_with_malformed_frame_is_an_error(payload):
    reader = InvokeStreamReader()
    read_whole(reader, event_stream_frame({":message-type": "event"}, payload))

    assert reader.error is not None


@given(st.binary(max_size=200))
def test_stream_of_anything_never_raises(data):
    reader = InvokeStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None
