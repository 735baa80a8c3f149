"""Streams of Amazon Bedrock's Converse, in any pieces."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import (
    InvalidRequestError,
    RateLimitError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.bedrock_stream import ConverseStreamReader
from faultmaven.testing.dialects.bedrock import event_stream_frame
from tests.splits import cut_places

from .dialect_checks import (
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)


def frame(kind, body, message_type="event"):
    label = ":event-type" if message_type == "event" else ":exception-type"
    return event_stream_frame(
        {":message-type": message_type, label: kind}, json.dumps(body).encode()
    )


def delta(block, **fields):
    return frame("contentBlockDelta", {"contentBlockIndex": block, "delta": fields, "p": "abc"})


def stop(block):
    return frame("contentBlockStop", {"contentBlockIndex": block})


USE = {"toolUse": {"toolUseId": "t1", "name": "f"}}
FRAMES = [
    frame("messageStart", {"role": "assistant"}),
    delta(0, reasoningContent={"text": "Hm"}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "cmVk"}),
    stop(1),
    delta(2, text="Grü"),
    delta(2, text="ezi"),
    stop(2),
    frame("contentBlockStart", {"contentBlockIndex": 3, "start": USE}),
    delta(3, toolUse={"input": '{"a"'}),
    delta(3, toolUse={"input": ":1}"}),
    stop(3),
    frame("messageStop", {"stopReason": "tool_use"}),
    frame("metadata", {"usage": {"inputTokens": 3, "outputTokens": 4}}),
]
STREAM = b"".join(FRAMES)


@pytest.mark.parametrize(("recording", "facts"), recorded("bedrock-converse", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(ConverseStreamReader, stream_bytes(recording), facts, cuts)


@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(cuts):
    whole, pieces = ConverseStreamReader(), ConverseStreamReader()

    assert read_in_pieces(pieces, STREAM, cuts) == read_whole(whole, STREAM)
    assert state_of(pieces) == state_of(whole)


def test_stream_assembles_to_the_answer():
    reader = ConverseStreamReader()
    chunks = reader.feed(STREAM)
    answer = assemble(chunks)

    assert reader.done
    assert (answer.content, answer.reasoning) == ("Grüezi", "Hm")
    assert [(c.id, c.name, c.arguments) for c in answer.tool_calls] == [("t1", "f", {"a": 1})]
    assert [
        (d["type"], d.get("signature") or d.get("data")) for d in answer.reasoning_details
    ] == [
        ("reasoning.text", "c2ln"),
        ("reasoning.encrypted", "cmVk"),
    ]
    assert chunks[-1].finish_reason == "tool_calls"
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.output_tokens) == (3, 4)


def test_stream_without_metadata_is_complete_once_stopped():
    reader = ConverseStreamReader()
    chunks = read_whole(reader, b"".join(FRAMES[:-1]))

    assert reader.done
    assert chunks[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize("data", [b"".join(FRAMES[:8]), STREAM[: len(b"".join(FRAMES[:8])) + 20]])
def test_stream_that_stops_early_is_interrupted(data):
    reader = ConverseStreamReader()
    read_whole(reader, data)

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("validationException", InvalidRequestError), ("throttlingException", RateLimitError)],
)
def test_stream_with_exception_ends_in_that_error(kind, error):
    reader = ConverseStreamReader()
    failure = frame(kind, {"message": "bad day"}, "exception")
    chunks = read_whole(reader, b"".join([*FRAMES[:7], failure, *FRAMES[7:]]))

    assert assemble(chunks).content == "Grü"
    assert isinstance(reader.error, error)
    assert "bad day" in str(reader.error.upstream_message or reader.error)


def test_stream_with_error_frame_ends_in_that_error():
    headers = {
        ":message-type": "error",
        ":error-code": "InternalError",
        ":error-message": "bad day",
    }
    reader = ConverseStreamReader()
    read_whole(reader, event_stream_frame(headers, b""))

    assert "bad day" in str(reader.error.upstream_message or reader.error)


@given(cuts=cut_places)
def test_stream_with_wrong_checksum_is_malformed(cuts):
    damaged = b"".join(FRAMES[:7]) + FRAMES[7][:-1] + b"\x00" + STREAM
    reader = ConverseStreamReader()
    chunks = read_in_pieces(reader, damaged, cuts)

    assert assemble(chunks).content == "Grü"
    assert isinstance(reader.error, ResponseFormatError)


def test_stream_counts_events_it_does_not_know():
    reader = ConverseStreamReader()
    read_whole(reader, frame("newThing", {}) + delta(9, toolUse={"input": "{"}) + STREAM)

    assert (reader.skipped, reader.error) == (2, None)


@given(st.binary(max_size=200))
def test_stream_of_anything_never_raises(data):
    reader = ConverseStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None
