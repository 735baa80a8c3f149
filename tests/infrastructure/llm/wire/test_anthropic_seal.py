"""What other dialects want back, through clients of Anthropic's API."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse, ToolCall, ToolCallDelta
from faultmaven.infrastructure.llm.wire.anthropic_encoder import StreamEncoder, response_to_wire
from faultmaven.infrastructure.llm.wire.anthropic_front import request_from_wire
from faultmaven.infrastructure.llm.wire.anthropic_seal import SEAL, open_sealed, seal

DETAILS = [
    {"type": "reasoning.encrypted", "data": "b2s=", "format": "openai-responses-v1", "index": 0},
    {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "google-gemini-v1"},
]
BESIDE = {"google": {"thought_signature": "c2ln"}}


def read_back(blocks):
    """Give the turn that a client sends back."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": blocks}]
    body = {"model": "m", "max_tokens": 9, "messages": turns}
    return request_from_wire(codec.loads(codec.dumps(body))).messages[1]


def blocks_of(stream: bytes):
    """Put a stream's blocks together, as a client does."""
    events = [codec.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: ")]
    blocks = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    for event in events:
        if event["type"] == "content_block_delta":
            for name in ("thinking", "signature"):
                blocks[event["index"]].setdefault(name, "")
                blocks[event["index"]][name] += event["delta"].get(name, "")
    return blocks


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none()))
def test_what_is_sealed_is_opened(kept):
    assert open_sealed(seal(kept)) == kept


@pytest.mark.parametrize(
    "text", ["", "c2lnbmF0dXJl", SEAL, f"{SEAL}é", f"{SEAL}****", f"{SEAL}WzFd", None, 7]
)
def test_anything_else_is_not(text):
    assert open_sealed(text) is None


def test_a_whole_answers_thoughts_come_back_as_they_were():
    response = LLMResponse("Yes.", 0.0, "p", "m", 0, 0, reasoning="Hm.", reasoning_details=DETAILS)

    turn = read_back(response_to_wire(response)["content"])

    assert turn["reasoning_details"] == DETAILS
    assert turn["content"] == "Yes."


def test_what_is_sealed_signs_the_thinking_that_it_belongs_to():
    encrypted = DETAILS[0]
    response = LLMResponse(
        "Yes.", 0.0, "p", "m", 0, 0, reasoning="Hm.", reasoning_details=[encrypted]
    )
    encoder = StreamEncoder("msg_1", "m")
    chunks = [LLMChunk(reasoning="Hm."), LLMChunk(reasoning_details=[encrypted]), LLMChunk("Yes.")]

    whole = response_to_wire(response)["content"]
    streamed = blocks_of(b"".join(map(encoder.encode, chunks)) + encoder.end())

    assert whole[0] == streamed[0]
    assert whole[0] == {"type": "thinking", "thinking": "Hm.", "signature": seal(encrypted)}
    assert [block["type"] for block in streamed] == ["thinking", "text"]
    assert read_back(whole)["reasoning_details"] == [encrypted]
    assert read_back(whole)["reasoning"] == "Hm."


def test_a_whole_answers_calls_keep_what_stood_beside_them():
    call = ToolCall.make("call_1", "look", "{}")
    call["extra_content"] = BESIDE
    response = LLMResponse(
        "", 0.0, "p", "m", 0, 0, tool_calls=[call, ToolCall.make("call_2", "look", "{}")]
    )

    turn = read_back(response_to_wire(response)["content"])

    assert [made.get("extra_content") for made in turn["tool_calls"]] == [BESIDE, None]
    assert "reasoning_details" not in turn


def test_a_streams_thoughts_and_calls_keep_theirs():
    encoder = StreamEncoder("msg_1", "m")
    pieces = [ToolCallDelta.make(n, f"call_{n}", "look") for n in (0, 1)]
    for piece in pieces:
        piece["extra_content"] = BESIDE
    chunks = [
        LLMChunk(reasoning="Hm."),
        LLMChunk(reasoning_details=[DETAILS[1]]),
        LLMChunk(reasoning_details=[DETAILS[0]]),
        LLMChunk(tool_calls=pieces),
    ]

    turn = read_back(blocks_of(b"".join(map(encoder.encode, chunks)) + encoder.end()))

    details = turn["reasoning_details"]
    assert details[0]["signature"] == "c2ln"
    assert details[1] == DETAILS[0]
    assert [made.get("extra_content") for made in turn["tool_calls"]] == [BESIDE, BESIDE]


@pytest.mark.parametrize("beside", ["text", 7, ["a"]])
def test_a_seal_with_something_odd_inside_is_left_out(beside):
    blocks = [
        {"type": "redacted_thinking", "data": seal({"call": "call_1", "beside": beside})},
        {"type": "tool_use", "id": "call_1", "name": "look", "input": {}},
    ]

    assert "extra_content" not in read_back(blocks)["tool_calls"][0]
