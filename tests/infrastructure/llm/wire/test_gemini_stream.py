"""Streams of Gemini's generateContent, as events and as an array, in any pieces."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import ResponseFormatError, StreamInterruptedError
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.gemini_generate import response_from_wire
from faultmaven.infrastructure.llm.wire.gemini_stream import GeminiStreamReader
from tests.splits import cut_places

from .dialect_checks import (
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)


def piece(*parts, **fields):
    return {"candidates": [{"content": {"parts": list(parts)}, **fields}], "responseId": "r"}


PIECES = [
    piece({"text": "Hm", "thought": True}),
    piece({"text": 'Grü "\\'}),
    piece(
        {"text": "ezi"},
        {"functionCall": {"name": "f", "args": {"a": "{"}}, "thoughtSignature": "cw=="},
    ),
    piece({"functionCall": {"name": "f"}}),
    piece({"text": "", "thoughtSignature": "dA=="}, finishReason="STOP")
    | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}, "modelVersion": "m"},
]


def as_events(pieces):
    return "".join(f"data: {json.dumps(p, ensure_ascii=False)}\r\n\r\n" for p in pieces).encode()


def as_array(pieces):
    return json.dumps(pieces, ensure_ascii=False, indent=1).encode()


FRAMINGS = pytest.mark.parametrize("frame", [as_events, as_array])


@pytest.mark.parametrize(("recording", "facts"), recorded("gemini-generate", streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    # One recording is older than finish reasons in streams.
    optional = facts["finish_reason_raw"] is None

    assert_stream_matches(
        lambda: GeminiStreamReader(finish_reason_optional=optional),
        stream_bytes(recording),
        facts,
        cuts,
    )


@FRAMINGS
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(frame, cuts):
    whole, pieces = GeminiStreamReader(), GeminiStreamReader()

    assert read_in_pieces(pieces, frame(PIECES), cuts) == read_whole(whole, frame(PIECES))
    assert state_of(pieces) == state_of(whole)


@FRAMINGS
def test_stream_assembles_to_the_answer(frame):
    reader = GeminiStreamReader()
    chunks = reader.feed(frame(PIECES))
    answer = assemble(chunks)

    assert reader.done
    assert (answer.content, answer.reasoning) == ('Grü "\\ezi', "Hm")
    assert [c.arguments for c in answer.tool_calls] == [{"a": "{"}, {}]
    assert answer.tool_calls[0]["extra_content"] == {"google": {"thought_signature": "cw=="}}
    assert [d["data"] for d in answer.reasoning_details] == ["dA=="]
    last = chunks[-1]
    assert (last.finish_reason, last.model, last.response_id) == ("tool_calls", "m", "r")
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 4)


def test_stream_that_is_one_object_is_read():
    reader = GeminiStreamReader()
    chunks = read_whole(reader, json.dumps(PIECES[-1]).encode())

    assert assemble(chunks).response_id == response_from_wire(PIECES[-1]).response_id == "r"


def test_stream_waits_for_counts_after_the_finish_reason():
    reader = GeminiStreamReader()
    chunks = reader.feed(as_events([piece({"text": "A"}, finishReason="STOP")]))
    assert not reader.done
    chunks += reader.feed(
        as_events([{"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}])
    )
    chunks += reader.finish()

    assert reader.done
    assert (chunks[-1].finish_reason, chunks[-1].usage.output_tokens) == ("stop", 2)


@FRAMINGS
def test_stream_without_finish_reason_is_interrupted(frame):
    reader = GeminiStreamReader()
    read_whole(reader, frame(PIECES[:3]))

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize(
    "event", [b"{\n", b"5", b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}']
)
def test_stream_with_malformed_event_keeps_what_came_before(event):
    reader = GeminiStreamReader()
    chunks = read_whole(
        reader, as_events(PIECES[:2]) + b"data: " + event + b"\n\n" + as_events(PIECES)
    )

    assert [c.text or c.reasoning for c in chunks] == ["Hm", 'Grü "\\']
    assert isinstance(reader.error, ResponseFormatError)


@FRAMINGS
def test_stream_with_error_ends_in_that_error(frame):
    reader = GeminiStreamReader()
    failure = {"error": {"code": 503, "message": "no capacity", "status": "UNAVAILABLE"}}
    chunks = read_whole(reader, frame([PIECES[1], failure]))

    assert len(chunks) == 1
    assert "no capacity" in str(reader.error.upstream_message or reader.error)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}"\\a ', max_size=60).map(str.encode))
def test_stream_of_anything_never_raises(data):
    reader = GeminiStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None


def pieces_of(*calls):
    """Give the events of a stream whose calls come in pieces."""
    end = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}
    events = [piece({"functionCall": call}) for call in calls]
    return [*events, piece({"text": ""}, finishReason="STOP") | end]


def going_on(path, **value):
    return {"partialArgs": [{"jsonPath": path, **value}], "willContinue": True}


BEGUN = {"name": "f", "willContinue": True}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(
            [
                BEGUN,
                going_on("$.place", stringValue="Bos", willContinue=True),
                going_on("$.place", stringValue='ton, "MA"\n'),
                going_on("$.days", numberValue=5),
                {},
            ],
            [{"place": 'Boston, "MA"\n', "days": 5}],
            id="ended by an empty call",
        ),
        pytest.param(
            [
                BEGUN,
                going_on("$.ops[0].id", stringValue=""),
                going_on("$.ops[1].id", stringValue="b"),
                {"partialArgs": [{"jsonPath": "$.ops[1].price", "numberValue": 0.5}]},
            ],
            [{"ops": [{"id": ""}, {"id": "b", "price": 0.5}]}],
            id="ended by its last value",
        ),
        pytest.param(
            [BEGUN, going_on("$.a", boolValue=True)], [{"a": True}], id="ended by the stream"
        ),
        pytest.param(
            [BEGUN, going_on("$.a", nullValue=None), {"name": "g"}, {}],
            [{"a": None}, {}],
            id="ended by the next call",
        ),
        pytest.param([BEGUN, {}], [{}], id="without arguments"),
        pytest.param(
            [{"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "b"}]}],
            [{"a": "b"}],
            id="in one piece",
        ),
    ],
)
@given(cuts=cut_places)
def test_stream_joins_arguments_in_pieces(calls, expected, cuts):
    whole, cut = GeminiStreamReader(), GeminiStreamReader()
    events = as_events(pieces_of(*calls))
    chunks = read_whole(whole, events)
    answer = assemble(chunks)

    assert whole.error is None
    assert [call.arguments for call in answer.tool_calls] == expected
    assert answer.finish_reason == "tool_calls"
    assert read_in_pieces(cut, events, cuts) == chunks


def test_stream_gives_arguments_as_they_come():
    reader = GeminiStreamReader()
    calls = (BEGUN, going_on("$.a", stringValue="b"), going_on("$.a", stringValue="c"), {})
    chunks = reader.feed(as_events(pieces_of(*calls)[:4]))
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]

    assert [delta.arguments for delta in deltas] == ["", '{"a":"b', "c", '"}']
    assert [delta.name for delta in deltas] == ["f", None, None, None]
    assert {delta.index for delta in deltas} == {0}


def test_stream_leaves_arguments_cut_off_that_a_limit_cut_off():
    reader = GeminiStreamReader()
    events = pieces_of(BEGUN, going_on("$.a", stringValue="b"))
    events[-1]["candidates"][0]["finishReason"] = "MAX_TOKENS"
    answer = assemble(read_whole(reader, as_events(events)))

    assert answer.finish_reason == "length"
    assert answer.tool_calls[0].arguments_raw == '{"a":"b'


def test_stream_keeps_a_signature_that_comes_late():
    reader = GeminiStreamReader()
    events = pieces_of(BEGUN, going_on("$.a", stringValue="b"), {})
    events[2]["candidates"][0]["content"]["parts"][0]["thoughtSignature"] = "cw=="
    answer = assemble(read_whole(reader, as_events(events)))

    assert answer.tool_calls[0]["extra_content"] == {"google": {"thought_signature": "cw=="}}


def test_stream_refuses_pieces_of_no_call():
    reader = GeminiStreamReader()
    read_whole(reader, as_events(pieces_of(going_on("$.a", stringValue="b"))))

    assert isinstance(reader.error, ResponseFormatError)


@pytest.mark.parametrize("framing", ["data: %s\r\n\r\n", "[%s]"])
def test_a_large_picture_comes_in_one_event(framing):
    encoded = "A" * 3_000_000
    part = {"inlineData": {"mimeType": "image/png", "data": encoded}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    reader = GeminiStreamReader()

    chunks = read_whole(reader, (framing % json.dumps({"candidates": [candidate]})).encode())

    assert reader.error is None
    assert [chunk.media for chunk in chunks if chunk.media] == [
        [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}]
    ]
