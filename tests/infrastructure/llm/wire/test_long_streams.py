"""What a stream costs grows with its length, and no more: readers, encoders, and what joins the pieces."""

from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta, Usage
from faultmaven.infrastructure.llm.wire.anthropic_encoder import StreamEncoder
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.bedrock_stream import ConverseEvents, ConverseStreamReader
from faultmaven.infrastructure.llm.wire.gemini_encoder import GeminiStreamEncoder
from faultmaven.infrastructure.llm.wire.gemini_stream import GeminiStreamReader
from faultmaven.infrastructure.llm.wire.openai_chat_front import ChatStreamEncoder
from faultmaven.infrastructure.llm.wire.openai_chat_stream import OpenAIChatStreamReader
from faultmaven.infrastructure.llm.wire.openai_responses_encoder import ResponsesStreamEncoder
from faultmaven.infrastructure.llm.wire.openai_responses_stream import ResponsesStreamReader
from tests.growth import MOST, Growth

PIECES = 250
FEWER = 80
WORD = "word" * 100
LAST = LLMChunk(finish_reason="stop", usage=Usage(1, 1, None, None, None))
ENCODERS = {
    "chat": lambda: ChatStreamEncoder("r", "m", 0),
    "messages": lambda: StreamEncoder("r", "m"),
    "responses": lambda: ResponsesStreamEncoder("r", "m", 0),
    "gemini": lambda: GeminiStreamEncoder("r", "m"),
}
READERS = {
    "chat": OpenAIChatStreamReader,
    "messages": AnthropicStreamReader,
    "responses": ResponsesStreamReader,
    "gemini": GeminiStreamReader,
}


def call(index: int, text: str) -> LLMChunk:
    return LLMChunk(tool_calls=[ToolCallDelta.make(index, f"c{index}", "f", text)])


STREAMS = {
    "text": lambda number: LLMChunk(text=WORD),
    "reasoning": lambda number: LLMChunk(reasoning=WORD),
    "turns": lambda number: LLMChunk(text=WORD) if number % 2 else LLMChunk(reasoning=WORD),
    "arguments": lambda number: call(0, WORD),
    "calls": lambda number: call(number, "{}"),
    "calls in turn": lambda number: call(number % 7, WORD),
}
# Where each piece has to find what it belongs to.
LOOKED_UP = ("arguments", "calls")
every_encoder = pytest.mark.parametrize("front", ENCODERS)
every_stream = pytest.mark.parametrize("kind", STREAMS)


def chunks_of(kind: str, times: int) -> list[LLMChunk]:
    pieces = PIECES if kind in LOOKED_UP else FEWER
    return [*(STREAMS[kind](number) for number in range(pieces * times)), LAST]


def written(front: str, chunks: list[LLMChunk]) -> list[bytes]:
    encoder = ENCODERS[front]()
    return [*(encoder.encode(chunk) for chunk in chunks), encoder.end()]


@every_encoder
@every_stream
def test_encoders(front, kind):
    growth = Growth()
    for times in growth.rounds():
        chunks = chunks_of(kind, times)
        with growth.of(times):
            written(front, chunks)

    assert growth.factor < MOST


@every_encoder
@every_stream
def test_readers(front, kind):
    growth = Growth()
    for times in growth.rounds():
        pieces = written(front, chunks_of(kind, times))
        reader = READERS[front]()
        with growth.of(times):
            for piece in pieces:
                reader.feed(piece)
        assert reader.done

    assert growth.factor < MOST


def test_thoughts_of_converse():
    growth = Growth()
    for times in growth.rounds():
        reader = ConverseStreamReader()
        events = ConverseEvents(reader)
        thought = {"delta": {"reasoningContent": {"text": WORD * 10}}, "contentBlockIndex": 0}
        with growth.of(times):
            for _ in range(PIECES * 10 * times):
                assert list(events.read("contentBlockDelta", thought))

    assert growth.factor < MOST


@every_stream
def test_joining(kind):
    growth = Growth()
    for times in growth.rounds():
        chunks = chunks_of(kind, times)
        with growth.of(times):
            assemble(chunks)

    assert growth.factor < MOST
