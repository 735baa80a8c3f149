"""Streams of Cohere's chat, in any pieces."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import ResponseFormatError, StreamInterruptedError
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.cohere_stream import (
    CohereStreamReader,
    CohereV1StreamReader,
)
from tests.splits import cut_places

from .dialect_checks import (
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)


def event(kind, message=None, **fields):
    body = {"type": kind, **fields}
    return body if message is None else body | {"delta": {"message": message}}


def call(**function):
    return {"tool_calls": {"id": "f_1", "type": "function", "function": function}}


END = {"finish_reason": "TOOL_CALL", "usage": {"tokens": {"input_tokens": 3, "output_tokens": 4}}}
EVENTS = [
    event("message-start", {"role": "assistant"}, id="r"),
    event("content-start", {"content": {"type": "thinking", "thinking": ""}}, index=0),
    event("content-delta", {"content": {"thinking": "Hm"}}, index=0),
    event("content-end", index=0),
    event("content-delta", {"content": {"text": "Grü"}}, index=1),
    event("content-delta", {"content": {"text": "ezi"}}, index=1),
    event("tool-plan-delta", {"tool_plan": "I will "}),
    event("tool-plan-delta", {"tool_plan": "call f."}),
    event("tool-call-start", call(name="f", arguments=""), index=0),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"a"'}}}, index=0),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": ":1}"}}}, index=0),
    event("tool-call-end", index=0),
    {"type": "message-end", "delta": END},
]
LINES = [
    {"event_type": "stream-start", "generation_id": "g"},
    {"event_type": "text-generation", "text": "Grü"},
    {"event_type": "text-generation", "text": "ezi"},
    {"event_type": "tool-calls-generation", "tool_calls": [{"name": "f", "parameters": {"a": 1}}]},
    {
        "event_type": "stream-end", "finish_reason": "COMPLETE",
        "response": {"response_id": "r", "meta": {"tokens": {"input_tokens": 3, "output_tokens": 4}}},
    },
]  # fmt: skip


def as_events(events):
    return "".join(
        f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events
    ).encode()


def as_lines(lines):
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


VERSIONS = pytest.mark.parametrize(
    ("make_reader", "frame", "items"),
    [(CohereStreamReader, as_events, EVENTS), (CohereV1StreamReader, as_lines, LINES)],
    ids=["v2", "v1"],
)


@pytest.mark.parametrize(("recording", "facts"), recorded("cohere-v2", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(CohereStreamReader, stream_bytes(recording), facts, cuts)


@pytest.mark.parametrize(("recording", "facts"), recorded("cohere-v1", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_of_version_1_matches_recording(recording, facts, cuts):
    assert_stream_matches(CohereV1StreamReader, stream_bytes(recording), facts, cuts)


@VERSIONS
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(make_reader, frame, items, cuts):
    whole, pieces = make_reader(), make_reader()

    assert read_in_pieces(pieces, frame(items), cuts) == read_whole(whole, frame(items))
    assert state_of(pieces) == state_of(whole)


@VERSIONS
def test_stream_assembles_to_the_answer(make_reader, frame, items):
    reader = make_reader()
    chunks = reader.feed(frame(items))
    answer = assemble(chunks)

    assert reader.done
    assert answer.content == "Grüezi"
    assert [c.arguments for c in answer.tool_calls] == [{"a": 1}]
    last = chunks[-1]
    assert (last.finish_reason, last.response_id) == ("tool_calls", "r")
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 4)


def test_stream_keeps_thoughts_and_plan_for_the_next_turn():
    answer = assemble(read_whole(CohereStreamReader(), as_events(EVENTS)))

    assert answer.reasoning == "Hm"
    assert [d["text"] for d in answer.reasoning_details] == ["Hm", "I will call f."]


@VERSIONS
def test_stream_that_stops_early_is_interrupted(make_reader, frame, items):
    reader = make_reader()
    read_whole(reader, frame(items[:-1]))

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "invalid tool generation"}},
        {"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}},
        {"type": "error", "message": "bad day"},
        {"type": None, "message": "bad day"},
    ],
    ids=["end with text", "end without", "error", "bare"],
)  # fmt: skip
def test_stream_with_error_ends_in_that_error(failure):
    reader = CohereStreamReader()
    data = as_events(EVENTS[:6]) + f"data: {json.dumps(failure)}\n\ndata: [DONE]\n\n".encode()
    chunks = read_whole(reader, data)

    assert assemble(chunks).content == "Grüezi"
    assert reader.error is not None
    assert not isinstance(reader.error, StreamInterruptedError)


def test_stream_of_version_1_with_error_ends_in_that_error():
    reader = CohereV1StreamReader()
    read_whole(reader, as_lines([*LINES[:3], {"message": "bad day"}]))

    assert "bad day" in str(reader.error.upstream_message or reader.error)


@VERSIONS
def test_stream_counts_events_it_does_not_know(make_reader, frame, items):
    reader = make_reader()
    read_whole(reader, frame([{"type": "new", "event_type": "new"}, *items]))

    assert (reader.skipped, reader.done) == (1, True)


def test_stream_with_fragment_before_its_call_skips_it():
    reader = CohereStreamReader()
    read_whole(reader, as_events([EVENTS[9], EVENTS[-1]]))

    assert (reader.skipped, reader.error) == (1, None)


@pytest.mark.parametrize(
    "data",
    [b"{", b"5", b'{"type": "content-delta", "delta": {"message": {"content": {"text": 5}}}}'],
)
def test_stream_with_malformed_event_keeps_what_came_before(data):
    reader = CohereStreamReader()
    chunks = read_whole(
        reader, as_events(EVENTS[:5]) + b"data: " + data + b"\n\n" + as_events(EVENTS)
    )

    assert assemble(chunks).content == "Grü"
    assert isinstance(reader.error, ResponseFormatError)


@VERSIONS
@given(data=st.binary(max_size=200))
def test_stream_of_anything_never_raises(make_reader, frame, items, data):
    reader = make_reader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None
