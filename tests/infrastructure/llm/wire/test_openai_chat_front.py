"""OpenAI Chat Completions, the client's side: what clients rely on in answers of every dialect."""

import json

import pytest

from faultmaven.infrastructure.llm.types import (
    LLMChunk,
    LLMResponse,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from faultmaven.infrastructure.llm.wire.openai_chat_front import (
    ChatStreamEncoder,
    response_to_wire,
)

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
SOUND = {"type": "audio", "audio": {"id": "a1", "data": "aGk=", "transcript": "Hi"}}


def answer(**fields):
    said = LLMResponse("", 0.0, "", "m", 7, 1, input_tokens=3, output_tokens=4)
    for name, value in fields.items():
        setattr(said, name, value)
    return response_to_wire(said, created=0)["choices"][0]["message"]


def events(*chunks, include_usage=True):
    encoder = ChatStreamEncoder("c1", "m", 0, include_usage=include_usage)
    data = b"".join(map(encoder.encode, chunks)) + encoder.end()
    blocks = data.decode().split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


def deltas(found):
    return [event["choices"][0]["delta"] for event in found if event["choices"]]


@pytest.mark.parametrize(
    ("reason", "arguments"), [("tool_calls", "{}"), (None, "{}"), ("length", "")]
)
def test_no_arguments_are_an_object_unless_they_were_cut_off(reason, arguments):
    call = ToolCall.make("c1", "now", "")

    message = answer(tool_calls=[call], finish_reason=reason)

    assert message["tool_calls"][0]["function"] == {"name": "now", "arguments": arguments}
    assert call.arguments_raw == ""


@pytest.mark.parametrize(("reason", "arguments"), [("tool_calls", "{}"), ("length", "")])
def test_a_streamed_call_gets_its_empty_object_before_the_end(reason, arguments):
    found = events(
        LLMChunk(tool_calls=[ToolCallDelta.make(0, "c1", "now")]),
        LLMChunk(tool_calls=[ToolCallDelta.make(1, "c2", "look")]),
        LLMChunk(tool_calls=[ToolCallDelta.make(1, arguments='{"at":1}')]),
        LLMChunk(finish_reason=reason),
    )

    texts = {0: "", 1: ""}
    for delta in deltas(found):
        for piece in delta.get("tool_calls", ()):
            texts[piece["index"]] += piece["function"]["arguments"]
    assert texts == {0: arguments, 1: '{"at":1}'}
    assert found[-1]["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (LLMChunk(text="Hi"), "stop"),
        (LLMChunk(tool_calls=[ToolCallDelta.make(0, "c1", "f", "{}")]), "tool_calls"),
    ],
)
def test_a_stream_has_a_finish_reason_and_its_counts_behind_it(chunk, reason):
    found = events(chunk, LLMChunk(usage=Usage(3, 4)))

    assert [e["choices"][0]["finish_reason"] for e in found if e["choices"]] == [None, reason]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] == 7


def test_counts_that_nobody_asked_for_are_left_out():
    found = events(
        LLMChunk(text="Hi", finish_reason="stop", usage=Usage(3, 4)), include_usage=False
    )

    assert not any("usage" in event for event in found)


def test_what_a_model_draws_and_speaks_goes_along():
    message = answer(media=[PICTURE, SOUND, PICTURE])
    (delta, end) = deltas(events(LLMChunk(media=[PICTURE, SOUND]), LLMChunk(finish_reason="stop")))

    assert message["images"] == [PICTURE, PICTURE]
    assert message["audio"] == SOUND["audio"]
    assert (delta["images"], delta["audio"]) == ([PICTURE], SOUND["audio"])
    assert end == {}
