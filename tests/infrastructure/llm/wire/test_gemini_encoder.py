"""Gemini's API, the gateway's side: answers and streams, read back by our own reader of the dialect."""

import pytest

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import (
    LLMChunk,
    LLMResponse,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.gemini_encoder import (
    GeminiStreamEncoder,
    finish_reason,
    response_to_wire,
)
from faultmaven.infrastructure.llm.wire.gemini_front import request_from_wire
from faultmaven.infrastructure.llm.wire.gemini_generate import DETAILS_FORMAT, response_from_wire
from faultmaven.infrastructure.llm.wire.gemini_stream import GeminiStreamReader

FOREIGN = {"type": "reasoning.text", "text": "Hm.", "signature": "s1", "format": "anthropic"}
OWN = {"type": "reasoning.encrypted", "data": "c2ln", "format": DETAILS_FORMAT}


def make_response(**fields):
    values = {
        "content": "Hi",
        "confidence": 0.0,
        "provider": "",
        "model": "m",
        "tokens_used": 37,
        "response_time_ms": 1,
        "finish_reason": "stop",
        "input_tokens": 30,
        "output_tokens": 7,
        "cache_read_tokens": 20,
        "reasoning_tokens": 2,
        "response_id": "r1",
        "usage_source": "reported",
    }
    return LLMResponse(**{**values, **fields})


def test_a_plain_answer_reads_back():
    call = ToolCall.make("id1", "get_weather", '{"city":"Paris"}')
    call["extra_content"] = {"google": {"thought_signature": "c2ln"}}
    said = make_response(tool_calls=[call], reasoning="Hm.", finish_reason="tool_calls")

    read = response_from_wire(response_to_wire(said))

    assert (read.content, read.reasoning, read.finish_reason) == ("Hi", "Hm.", "tool_calls")
    assert read.tool_calls[0]["id"] == "id1"
    assert read.tool_calls[0].arguments == {"city": "Paris"}
    assert read.tool_calls[0]["extra_content"] == call["extra_content"]
    assert (read.input_tokens, read.output_tokens, read.reasoning_tokens) == (30, 7, 2)
    assert read.cache_read_tokens == 20
    assert (read.model, read.response_id) == ("m", "r1")


def test_a_stream_reads_back():
    encoder = GeminiStreamEncoder("r1", "m")
    chunks = [
        LLMChunk(reasoning="Hm."),
        LLMChunk("One "),
        LLMChunk("two."),
        LLMChunk(tool_calls=[ToolCallDelta.make(0, "id1", "f", '{"a"')]),
        LLMChunk(tool_calls=[ToolCallDelta.make(1, "id2", "g")]),
        LLMChunk(tool_calls=[ToolCallDelta.make(0, arguments=":1}")]),
        LLMChunk(finish_reason="tool_calls", usage=Usage(30, 7), model="m", response_id="r1"),
    ]

    wire = b"".join(encoder.encode(chunk) for chunk in chunks) + encoder.end()
    reader = GeminiStreamReader()
    read = assemble(reader.feed(wire))

    assert reader.done
    assert (read.content, read.reasoning, read.finish_reason) == ("One two.", "Hm.", "tool_calls")
    assert [(c.id, c.name, c.arguments) for c in read.tool_calls] == [
        ("id1", "f", {"a": 1}),
        ("id2", "g", {}),
    ]
    assert (read.input_tokens, read.output_tokens) == (30, 7)


@pytest.mark.parametrize("detail", [FOREIGN, OWN], ids=["foreign", "own"])
def test_blocks_come_back_with_the_next_turn(detail):
    said = make_response(reasoning="Hm.", reasoning_details=[detail])

    turn = response_to_wire(said)["candidates"][0]["content"]
    answered = request_from_wire({"contents": [turn]}).messages[0]

    assert answered["reasoning_details"] == [detail]
    assert (answered["content"], answered["reasoning"]) == ("Hi", "Hm.")


@pytest.mark.parametrize("detail", [FOREIGN, OWN], ids=["foreign", "own"])
def test_blocks_of_a_stream_come_back_with_the_next_turn(detail):
    encoder = GeminiStreamEncoder("r1", "m")
    chunks = [LLMChunk(reasoning="Hm."), LLMChunk("Hi"), LLMChunk(reasoning_details=[detail])]

    events = [codec.loads(encoder.encode(chunk)[6:]) for chunk in chunks]
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    answered = request_from_wire({"contents": [{"role": "model", "parts": parts}]}).messages[0]

    assert answered["reasoning_details"] == [detail]
    assert (answered["content"], answered["reasoning"]) == ("Hi", "Hm.")


@pytest.mark.parametrize(
    ("reason", "raw", "expected"),
    [
        ("stop", "end_turn", "STOP"),
        ("length", None, "MAX_TOKENS"),
        ("content_filter", "refusal", "SAFETY"),
        ("content_filter", "RECITATION", "RECITATION"),
        ("tool_calls", "tool_use", "STOP"),
        (None, None, "STOP"),
    ],
)
def test_finish_reasons(reason, raw, expected):
    assert finish_reason(reason, raw) == expected


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
ELSEWHERE = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
NO_PICTURES = [{"type": "audio", "audio": {"data": "aGk="}}, {"type": "image_url"}]


def test_what_a_model_draws_goes_along():
    media = [PICTURE, ELSEWHERE, *NO_PICTURES]
    encoder = GeminiStreamEncoder("r", "m")

    whole = response_to_wire(make_response(media=media))
    event = codec.loads(encoder.encode(LLMChunk(media=media)).removeprefix(b"data: "))

    drawn = [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://pictures.example/a.png"}},
    ]
    assert whole["candidates"][0]["content"]["parts"] == [{"text": "Hi"}, *drawn]
    assert event["candidates"][0]["content"]["parts"] == drawn
    assert encoder.encode(LLMChunk(media=NO_PICTURES)) == b""


def test_thoughts_are_never_more_than_the_answer_that_they_are_a_part_of():
    usage = response_to_wire(make_response(reasoning_tokens=9))["usageMetadata"]

    assert (usage["thoughtsTokenCount"], usage["candidatesTokenCount"]) == (7, 0)


def test_a_refusal_stands_behind_the_text_of_its_piece():
    event = codec.loads(
        GeminiStreamEncoder("r", "m").encode(LLMChunk(text="Hm.", refusal="No."))[6:]
    )

    assert event["candidates"][0]["content"]["parts"] == [{"text": "Hm.No."}]
