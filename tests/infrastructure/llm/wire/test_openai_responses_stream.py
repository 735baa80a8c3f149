"""Streams of OpenAI Responses, in any pieces and as incomplete as hosts send them."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import ResponseFormatError, StreamInterruptedError
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.openai_responses_stream import ResponsesStreamReader
from tests.splits import cut_places

from .dialect_checks import (
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)

THOUGHT = {"type": "reasoning", "id": "rs", "encrypted_content": "gAAA", "summary": []}
MESSAGE = {"type": "message", "id": "msg", "content": [{"type": "output_text", "text": "Grüezi"}]}
CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
RESPONSE = {
    "id": "resp", "model": "m", "status": "completed", "output": [THOUGHT, MESSAGE, CALL],
    "usage": {"input_tokens": 3, "output_tokens": 4},
}  # fmt: skip
COMPLETED = {"type": "response.completed", "response": RESPONSE}
EVENTS = [
    {
        "type": "response.created",
        "response": {"id": "resp", "model": "m", "status": "in_progress"},
    },
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "rs"},
    },
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm"},
    {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "Grü"},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "ezi"},
    {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
    {"type": "response.output_item.added", "output_index": 2, "item": CALL | {"arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a"'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": ":1}"},
    {"type": "response.output_item.done", "output_index": 2, "item": CALL},
    COMPLETED,
]


def as_events(events):
    return "".join(
        f"event: {e.get('type')}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events
    ).encode()


STREAM = as_events(EVENTS)


@pytest.mark.parametrize(("recording", "facts"), recorded("openai-responses", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(ResponsesStreamReader, stream_bytes(recording), facts, cuts)


@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(cuts):
    whole, pieces = ResponsesStreamReader(), ResponsesStreamReader()

    assert read_in_pieces(pieces, STREAM, cuts) == read_whole(whole, STREAM)
    assert state_of(pieces) == state_of(whole)


@pytest.mark.parametrize(
    "events",
    [EVENTS, [EVENTS[3], EVENTS[6], EVENTS[10], COMPLETED], [COMPLETED], [*EVENTS[:-1], COMPLETED | {"response": RESPONSE | {"output": []}}]],
    ids=["deltas", "items only", "last event only", "last event empty"],
)  # fmt: skip
def test_stream_says_everything_once(events):
    reader = ResponsesStreamReader()
    chunks = reader.feed(as_events(events))
    answer = assemble(chunks)

    assert reader.done
    assert answer.content == "Grüezi"
    assert [(c.id, c.name, c.arguments) for c in answer.tool_calls] == [("c1", "f", {"a": 1})]
    assert [d["data"] for d in answer.reasoning_details] == ["gAAA"]
    last = chunks[-1]
    assert (last.finish_reason, last.model, last.response_id) == ("tool_calls", "m", "resp")
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 4)


def test_stream_without_places_goes_by_ids():
    events = [{k: v for k, v in e.items() if k != "output_index"} for e in EVENTS]
    ids = {"response.reasoning_summary_text.delta": "rs", "response.output_text.delta": "msg", "response.function_call_arguments.delta": "fc"}  # fmt: skip
    events = [e | ({"item_id": ids[e["type"]]} if e["type"] in ids else {}) for e in events]

    answer = assemble(read_whole(ResponsesStreamReader(), as_events(events)))

    assert (answer.content, answer.reasoning) == ("Grüezi", "Hm")
    assert [c.arguments for c in answer.tool_calls] == [{"a": 1}]


def test_stream_that_stops_early_is_interrupted():
    reader = ResponsesStreamReader()
    read_whole(reader, as_events(EVENTS[:5]) + b"data: [DONE]\n\n")

    assert isinstance(reader.error, StreamInterruptedError)


def test_stream_counts_events_it_does_not_know():
    reader = ResponsesStreamReader()
    read_whole(reader, as_events([{"type": "response.new_thing"}, COMPLETED]))

    assert (reader.skipped, reader.error) == (1, None)


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "error", "code": "server_error", "message": "bad day", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "bad day"}},
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"message": "bad day"}},
        },
        {"error": {"message": "bad day"}},
    ],
    ids=["flat", "nested", "failed", "bare"],
)
def test_stream_with_error_ends_in_that_error(failure):
    reader = ResponsesStreamReader()
    chunks = read_whole(reader, as_events([*EVENTS[:5], failure, *EVENTS[5:]]))

    assert assemble(chunks).content == "Grü"
    assert "bad day" in str(reader.error.upstream_message or reader.error)


@pytest.mark.parametrize(
    "data", [b"{", b"5", b'{"type": "response.output_text.delta", "delta": 5}']
)
def test_stream_with_malformed_event_keeps_what_came_before(data):
    reader = ResponsesStreamReader()
    chunks = read_whole(reader, as_events(EVENTS[:5]) + b"data: " + data + b"\n\n" + STREAM)

    assert assemble(chunks).content == "Grü"
    assert isinstance(reader.error, ResponseFormatError)


@given(st.binary(max_size=200))
def test_stream_of_anything_never_raises(data):
    reader = ResponsesStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None
