"""Answers and streams in Anthropic's words."""

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.sse import SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta, Usage
from faultmaven.infrastructure.llm.wire.anthropic_encoder import StreamEncoder, response_to_wire
from faultmaven.infrastructure.llm.wire.anthropic_messages import response_from_wire
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader
from faultmaven.infrastructure.llm.wire.assemble import assemble

from .dialect_checks import read_whole, recorded, stream_bytes

LAST = LLMChunk(
    finish_reason="stop", finish_reason_raw="stop", usage=Usage(16, 2, 10, 5), model="up",
    response_id="x",
)  # fmt: skip


def encode(*chunks):
    encoder = StreamEncoder("msg_1", "m")
    return b"".join(map(encoder.encode, chunks)) + encoder.end()


def events(data):
    return [(e.event, json.loads(e.data)) for e in SSEDecoder().feed(data)]


def names(data):
    return [
        name.removeprefix("content_block_") + str(body.get("index", ""))
        for name, body in events(data)
    ]


def call(index, arguments="", name=None):
    return LLMChunk(tool_calls=[
        ToolCallDelta.make(index, f"t{index}" if name else None, name, arguments)
    ])  # fmt: skip


def test_text_stream_has_the_exact_grammar():
    found = events(encode(LLMChunk("Hi"), LLMChunk(" you"), LAST))

    assert [name for name, _ in found] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert all(body["type"] == name for name, body in found)
    assert found[0][1]["message"]["id"] == "msg_1"
    assert found[0][1]["message"]["model"] == "m"
    assert found[0][1]["message"]["usage"]["output_tokens"] == 0
    assert found[2][1] == {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Hi"},
    }
    assert found[-2][1] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 10,
            "output_tokens": 2,
        },
    }


def test_blocks_follow_one_another():
    signed = {"type": "reasoning.text", "text": "hm", "signature": "sig"}
    sealed = {"type": "reasoning.encrypted", "data": "xyz"}
    foreign = {"type": "reasoning.encrypted", "data": "q", "format": "openai-responses-v1"}
    data = encode(
        LLMChunk(reasoning="hm"),
        LLMChunk(reasoning_details=[signed, sealed, foreign]),
        LLMChunk("a"),
        call(0, '{"a":1}', "add"),
        call(1, "{}", "now"),
        LAST,
    )

    assert names(data) == [
        "message_start", "start0", "delta0", "delta0", "stop0", "start1", "stop1", "start2", "stop2",
        "start3", "delta3", "stop3", "start4", "delta4", "stop4", "start5", "delta5", "stop5",
        "message_delta", "message_stop",
    ]  # fmt: skip


def test_interleaved_calls_come_out_one_after_the_other():
    data = encode(
        call(0, "", "add"), call(1, '{"b"', "sub"), call(0, '{"a":1}'), call(1, ":2}"), LAST
    )
    response = assemble(read_whole(AnthropicStreamReader(), data))

    assert [(c.id, c.name, c.arguments_raw) for c in response.tool_calls] == [
        ("t0", "add", '{"a":1}'),
        ("t1", "sub", '{"b":2}'),
    ]
    assert names(data)[1:7] == ["start0", "delta0", "stop0", "start1", "delta1", "stop1"]


def test_empty_stream_is_whole():
    assert names(encode()) == ["message_start", "message_delta", "message_stop"]


def test_refusal_is_told_as_text():
    data = encode(LLMChunk(refusal="I can't."), LAST)

    assert assemble(read_whole(AnthropicStreamReader(), data)).content == "I can't."


def test_stop_reason_of_another_dialect_is_translated():
    response = assemble([LLMChunk("a"), LAST])
    response.finish_reason = "length"
    response.finish_reason_raw = "MAX_TOKENS"

    assert response_to_wire(response)["stop_reason"] == "max_tokens"


def test_id_of_another_dialect_gets_the_prefix():
    assert response_to_wire(assemble([LAST]))["id"] == "msg_x"


def test_unsigned_thinking_is_a_block_without_a_signature():
    response = assemble([LLMChunk(reasoning="hm"), LLMChunk("a"), LAST])

    assert response_to_wire(response)["content"][0] == {
        "type": "thinking",
        "thinking": "hm",
        "signature": "",
    }


@pytest.mark.parametrize(("exchange", "expected"), recorded("anthropic-messages", streamed=False))
def test_recorded_answer_survives_the_way_through(exchange, expected):
    response = response_from_wire(exchange["response"]["body"])
    again = response_from_wire(response_to_wire(response))

    assert facts(again) == facts(response)


@pytest.mark.parametrize(("exchange", "expected"), recorded("anthropic-messages", streamed=True))
def test_recorded_stream_survives_the_way_through(exchange, expected):
    chunks = read_whole(AnthropicStreamReader(), stream_bytes(exchange))
    response = assemble(chunks)
    encoder = StreamEncoder(response.response_id, response.model)
    data = b"".join(map(encoder.encode, chunks)) + encoder.end()

    assert facts(assemble(read_whole(AnthropicStreamReader(), data))) == facts(response)


def facts(response):
    return (
        response.content, response.reasoning, response.reasoning_details, response.finish_reason,
        [(c.id, c.name, c.arguments) for c in response.tool_calls], response.response_id,
        response.input_tokens, response.output_tokens, response.cache_read_tokens or 0,
        response.cache_write_tokens or 0, response.reasoning_tokens or 0,
    )  # fmt: skip


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PIECES = st.one_of(
    st.builds(LLMChunk, TEXTS),
    st.builds(lambda text: LLMChunk(reasoning=text), TEXTS),
    st.builds(lambda text, more: LLMChunk(text, reasoning=more), TEXTS, TEXTS),
)


@given(st.lists(PIECES, max_size=12), st.lists(st.integers(0, 3), max_size=8))
def test_any_stream_reads_back(pieces, turns):
    calls = [call(index, "", f"tool{index}") for index in range(4)]
    inputs = [call(index, str(place)) for place, index in enumerate(turns)]
    chunks = [*pieces, *calls, *inputs, LAST]
    reader = AnthropicStreamReader()
    again, wanted = assemble(read_whole(reader, encode(*chunks))), assemble(chunks)

    assert reader.error is None
    assert (again.content, again.reasoning) == (wanted.content, wanted.reasoning)
    assert [c.arguments_raw for c in again.tool_calls] == [
        c.arguments_raw or "{}" for c in wanted.tool_calls
    ]


def test_a_refusal_stands_behind_the_text_of_its_piece():
    (told,) = [
        body["delta"]["text"]
        for name, body in events(encode(LLMChunk(text="Hm.", refusal="No."), LAST))
        if name == "content_block_delta"
    ]

    assert told == "Hm.No."
