"""Anthropic Messages streams, read piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.sse import SSEDecoder, StreamDecodeError
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import Ending
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    FINISH_REASONS,
    redacted_detail,
    thinking_detail,
    usage_from_wire,
)
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import object_in, optional_text_in, text_in

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.sse import ServerSentEvent

_WITHOUT_MEANING = frozenset({"ping"})


class AnthropicStreamReader:
    """Reads `message_start` … `message_stop`; see `ChunkReader`.

    A stream that ends without `message_stop` is complete if a stop reason has come.
    """

    def __init__(self) -> None:
        self.done = False
        self.error: LLMError | None = None
        self.skipped = 0
        self.events = 0
        self._decoder = SSEDecoder()
        self._ending = Ending()
        self._usage: dict[str, Any] = {}
        self._open: dict[int, _Thinking | _Call | None] = {}

    def limit_events(self, limit_bytes: int) -> None:
        """Set the size of the largest event; see `ChunkReader.limit_events`."""
        self._decoder.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> list[LLMChunk]:
        """Take the next bytes; see `ChunkReader.feed`."""
        chunks: list[LLMChunk] = []
        if self._is_over():
            return chunks
        try:
            for event in self._decoder.feed(data):
                self.events += 1
                self._read(event.data, chunks)
                if self._is_over():
                    break
        except LLMError as error:
            self.error = error
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
        return chunks

    def finish(self) -> list[LLMChunk]:
        """Take the end of the body; see `ChunkReader.finish`."""
        chunks: list[LLMChunk] = []
        if self._is_over():
            return chunks
        self._read_last(chunks)
        if self._is_over():
            return chunks
        if self._ending.finish_reason_raw is not None:
            self._end(chunks)
            return chunks
        self.error = self._interruption()
        return chunks

    def _is_over(self) -> bool:
        return self.done or self.error is not None

    def _interruption(self) -> StreamInterruptedError:
        return StreamInterruptedError(
            "The provider's stream ended without a stop reason.",
            code="stream_incomplete",
        )

    def _read_last(self, chunks: list[LLMChunk]) -> None:
        """Read an event whose blank line never came; half of one is left to the end's own rules."""
        try:
            rest: ServerSentEvent | None = self._decoder.finish()
            if rest is None:
                return
            codec.loads_mended(rest.data)
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
            return
        except ValueError:
            return
        try:
            self._read(rest.data, chunks)
        except LLMError as error:
            self.error = error

    def _read(self, data: bytes, chunks: list[LLMChunk]) -> None:
        """Read one event; most are deltas of text."""
        try:
            event = codec.loads_mended(data)
        except ValueError:
            if data == b"[DONE]":
                self._end_by_word(chunks)
                return
            msg = "An event of the provider's stream is not JSON."
            raise ResponseFormatError(msg, code="invalid_json") from None
        if type(event) is not dict:
            msg = "An event of the provider's stream is not a JSON object."
            raise ResponseFormatError(msg, code="not_an_object")
        kind = event.get("type")
        if kind == "content_block_delta":
            delta = event.get("delta")
            if type(delta) is dict and delta.get("type") == "text_delta":
                text = delta.get("text")
                if type(text) is str:
                    if text:
                        chunks.append(LLMChunk(text))
                    return
        self._read_kind(kind, event, chunks)

    def _read_kind(self, kind: object, event: dict[str, Any], chunks: list[LLMChunk]) -> None:
        if kind == "content_block_delta":
            self._read_delta(event.get("index"), object_in(event, "delta"), chunks)
        elif kind == "content_block_start":
            self._start_block(event.get("index"), object_in(event, "content_block"), chunks)
        elif kind == "content_block_stop":
            self._stop_block(event.get("index"), chunks)
        elif kind == "message_delta":
            self._take_usage(event.get("usage"))
            reason = optional_text_in(object_in(event, "delta"), "stop_reason")
            self._ending.finish_reason_raw = reason or self._ending.finish_reason_raw
        elif kind == "message_start":
            self._start_message(object_in(event, "message"))
        elif kind == "message_stop":
            self._end_by_word(chunks)
        elif kind == "error" or event.get("error"):
            raise parse_error_object(event)
        elif kind not in _WITHOUT_MEANING:
            self.skipped += 1

    def _start_message(self, message: dict[str, Any]) -> None:
        self._ending.identify(optional_text_in(message, "model"), optional_text_in(message, "id"))
        self._take_usage(message.get("usage"))
        # Only a first guess, and the whole answer's count comes with `message_delta`.
        self._usage.pop("output_tokens", None)

    def _take_usage(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage.update({n: value for n, value in usage.items() if value is not None})

    def _start_block(self, index: Any, block: dict[str, Any], chunks: list[LLMChunk]) -> None:
        kind = block.get("type")
        opened: _Thinking | _Call | None = None
        if kind == "text":
            if text := text_in(block, "text"):
                chunks.append(LLMChunk(text))
        elif kind == "tool_use":
            opened = self._start_call(block, chunks)
        elif kind == "thinking":
            opened = _Thinking(text_in(block, "thinking"), text_in(block, "signature"))
            if opened.text[0]:
                chunks.append(LLMChunk(reasoning=opened.text[0]))
        elif kind == "redacted_thinking":
            chunks.append(LLMChunk(reasoning_details=[redacted_detail(block.get("data"))]))
        # Anything else is what the provider runs itself: its input is no call of ours.
        self._open[index] = opened

    def _start_call(self, block: dict[str, Any], chunks: list[LLMChunk]) -> _Call:
        name = text_in(block, "name")
        if not name:
            msg = "A streamed tool call has no name."
            raise ResponseFormatError(msg, code="malformed_event")
        place = self._ending.tool_calls
        self._ending.tool_calls += 1
        call_id = optional_text_in(block, "id")
        call_id = call_id or content.make_call_id(place, self._ending.response_id, name)
        chunks.append(LLMChunk(tool_calls=[ToolCallDelta.make(place, call_id, name)]))
        return _Call(place, block.get("input"))

    def _read_delta(self, index: Any, delta: dict[str, Any], chunks: list[LLMChunk]) -> None:
        kind = delta.get("type")
        if kind == "input_json_delta":
            self._read_input(index, text_in(delta, "partial_json"), chunks)
        elif kind == "thinking_delta":
            thought = text_in(delta, "thinking")
            if isinstance(block := self._open.get(index), _Thinking):
                block.text.append(thought)
            if thought:
                chunks.append(LLMChunk(reasoning=thought))
        elif kind == "signature_delta":
            if isinstance(block := self._open.get(index), _Thinking):
                block.signature.append(text_in(delta, "signature"))
        elif kind == "text_delta":
            text_in(delta, "text")
        elif kind != "citations_delta":
            self.skipped += 1

    def _read_input(self, index: Any, piece: str, chunks: list[LLMChunk]) -> None:
        if index not in self._open:
            msg = "The input of a tool call came before the call."
            raise ResponseFormatError(msg, code="malformed_event")
        call = self._open[index]
        if isinstance(call, _Call) and piece:
            call.has_input = True
            chunks.append(LLMChunk(tool_calls=[ToolCallDelta.make(call.place, arguments=piece)]))

    def _stop_block(self, index: Any, chunks: list[LLMChunk]) -> None:
        block = self._open.pop(index, None)
        if isinstance(block, _Call):
            if not block.has_input:
                # An empty input streams as no delta at all.
                text = content.arguments_text(block.start_input) or "{}"
                delta = ToolCallDelta.make(block.place, arguments=text)
                chunks.append(LLMChunk(tool_calls=[delta]))
        elif block is not None:
            detail = thinking_detail("".join(block.text), "".join(block.signature) or None)
            chunks.append(LLMChunk(reasoning_details=[detail]))

    def _end_by_word(self, chunks: list[LLMChunk]) -> None:
        if self._ending.finish_reason_raw is None:
            raise self._interruption()
        self._end(chunks)

    def _end(self, chunks: list[LLMChunk]) -> None:
        for index in list(self._open):
            self._stop_block(index, chunks)
        self._ending.usage = usage_from_wire(self._usage)
        chunks.append(self._ending.chunk(FINISH_REASONS))
        self.done = True


class _Call:
    """A tool call whose input is still coming."""

    __slots__ = ("has_input", "place", "start_input")

    def __init__(self, place: int, start_input: object) -> None:
        self.place = place
        self.start_input = start_input
        self.has_input = False


class _Thinking:
    """A thinking block that is still coming."""

    __slots__ = ("signature", "text")

    def __init__(self, text: str, signature: str) -> None:
        self.text = [text]
        self.signature = [signature]
