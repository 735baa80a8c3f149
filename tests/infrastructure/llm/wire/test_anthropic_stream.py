"""Anthropic streams: the grammar, and what breaks it."""

import json

import pytest
from hypothesis import given

from faultmaven.infrastructure.llm.errors import (
    OverloadedError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader
from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.splits import cut_places

from .dialect_checks import read_in_pieces, read_whole, state_of

START = {"type": "message_start", "message": {
    "id": "msg_1", "model": "m",
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1},
}}  # fmt: skip
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 9},
}
STOP = {"type": "message_stop"}


def delta(index, kind, **fields):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def block(index, kind, **fields):
    return {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": kind, **fields},
    }


def end(index):
    return {"type": "content_block_stop", "index": index}


def says(text):
    return delta(0, "text_delta", text=text)


def sse(*events):
    lines = (
        f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n"
        if isinstance(e, dict)
        else f"data: {e}\n\n"
        for e in events
    )
    return "".join(lines).encode()


def read(*events):
    reader = AnthropicStreamReader()
    return reader, read_whole(reader, sse(*events))


WHOLE = (
    START,
    {"type": "ping"},
    block(0, "thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="h"),
    delta(0, "thinking_delta", thinking="m"),
    delta(0, "signature_delta", signature="sig"),
    end(0),
    block(1, "redacted_thinking", data="xyz"),
    end(1),
    block(2, "text", text=""),
    delta(2, "text_delta", text="Grü"),
    delta(2, "text_delta", text="ße 😀"),
    delta(2, "citations_delta", citation={}),
    end(2),
    block(3, "server_tool_use", id="s", name="search", input={}),
    delta(3, "input_json_delta", partial_json='{"q":1}'),
    end(3),
    block(4, "tool_use", id="t1", name="add", input={}),
    block(5, "tool_use", id="t2", name="now", input={}),
    delta(4, "input_json_delta", partial_json=""),
    delta(4, "input_json_delta", partial_json='{"a":'),
    delta(4, "input_json_delta", partial_json="1}"),
    end(4),
    end(5),
    {"type": "later_event"},
    {**ENDED, "delta": {"stop_reason": "tool_use"}},
    STOP,
)


def test_whole_grammar_is_read():
    reader, chunks = read(*WHOLE)
    response = assemble(chunks)

    assert reader.done
    assert reader.error is None
    assert (reader.skipped, reader.events) == (1, len(WHOLE))
    assert (response.content, response.reasoning) == ("Grüße 😀", "hm")
    assert [(c.id, c.arguments_raw) for c in response.tool_calls] == [
        ("t1", '{"a":1}'),
        ("t2", "{}"),
    ]
    assert [d.get("signature") or d.get("data") for d in response.reasoning_details] == [
        "sig",
        "xyz",
    ]
    last = chunks[-1]
    assert (last.finish_reason, last.model, last.response_id) == ("tool_calls", "m", "msg_1")
    assert (last.usage.input_tokens, last.usage.output_tokens) == (7, 9)


@given(cuts=cut_places)
def test_any_pieces_read_the_same(cuts):
    whole, pieces = AnthropicStreamReader(), AnthropicStreamReader()
    data = sse(*WHOLE)

    assert read_in_pieces(pieces, data, cuts) == read_whole(whole, data)
    assert state_of(pieces) == state_of(whole)


def test_later_usage_overrides_the_first():
    late = {
        **ENDED,
        "usage": {"input_tokens": 50, "cache_read_input_tokens": None, "output_tokens": 9},
    }
    _, chunks = read(START, TEXT, says("a"), late, STOP)

    assert chunks[-1].usage.input_tokens == 54


def test_output_of_the_start_is_no_count():
    _, chunks = read(START, TEXT, says("a"), {**ENDED, "usage": None}, STOP)

    assert chunks[-1].usage.output_tokens is None


def test_done_does_not_wait_for_the_connection():
    reader = AnthropicStreamReader()
    chunks = reader.feed(sse(START, TEXT, says("a"), ENDED, STOP, says("late")))

    assert reader.done
    assert assemble(chunks).content == "a"
    assert reader.feed(sse(says("later"))) == reader.finish() == []


@pytest.mark.parametrize("tail", [[], ["[DONE]"]])
def test_end_without_message_stop_is_accepted_after_a_stop_reason(tail):
    reader, chunks = read(START, TEXT, says("a"), ENDED, *tail)

    assert reader.done
    assert chunks[-1].finish_reason == "stop"


def test_last_event_without_its_blank_line_is_read():
    reader = AnthropicStreamReader()
    chunks = read_whole(reader, sse(START, TEXT, says("a"), ENDED, STOP).rstrip())

    assert reader.done
    assert assemble(chunks).content == "a"


@pytest.mark.parametrize("tail", [[], [STOP], ["[DONE]"]])
def test_end_without_a_stop_reason_is_an_interruption(tail):
    reader, chunks = read(START, TEXT, says("a"), *tail)

    assert isinstance(reader.error, StreamInterruptedError)
    assert [chunk.text for chunk in chunks] == ["a"]
    assert not reader.done


def test_half_of_an_event_is_an_interruption():
    reader = AnthropicStreamReader()
    chunks = read_whole(reader, sse(START, TEXT, says("a")) + b'data: {"type": "mess')

    assert isinstance(reader.error, StreamInterruptedError)
    assert len(chunks) == 1


def test_error_event_ends_the_stream_and_keeps_the_text():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader, chunks = read(START, TEXT, says("a"), error, says("b"), ENDED, STOP)

    assert type(reader.error) is OverloadedError
    assert reader.error.retryable
    assert [chunk.text for chunk in chunks] == ["a"]


MALFORMED = {
    "not JSON": "{nope",
    "not an object": "[1]",
    "text is a number": delta(0, "text_delta", text=5),
    "delta is text": {"type": "content_block_delta", "index": 0, "delta": "x"},
    "input without a call": delta(7, "input_json_delta", partial_json="{}"),
    "call without a name": block(1, "tool_use", id="t"),
}


@pytest.mark.parametrize("event", MALFORMED.values(), ids=MALFORMED)
def test_malformed_event_ends_the_stream(event):
    reader, chunks = read(START, TEXT, says("a"), event, ENDED, STOP)

    assert isinstance(reader.error, ResponseFormatError)
    assert [chunk.text for chunk in chunks] == ["a"]


def test_call_of_a_compatible_host_is_read():
    """No id, the whole input in the start, and no stop event."""
    reader, chunks = read(START, block(0, "tool_use", name="add", input={"a": 1}), ENDED, STOP)
    (call,) = assemble(chunks).tool_calls

    assert reader.error is None
    assert call.id.startswith("call_0_")
    assert call.arguments == {"a": 1}
    assert chunks[-1].finish_reason == "tool_calls"


def test_text_before_any_start_is_read():
    reader, chunks = read(says("a"), ENDED, STOP)

    assert reader.done
    assert assemble(chunks).content == "a"


def test_giant_event_is_an_error():
    reader = AnthropicStreamReader()
    reader.feed(b"data: " + b"x" * 2**21)
    reader.finish()

    assert isinstance(reader.error, ResponseFormatError)
    assert reader.error.code == "event_too_large"
