"""OpenAI Chat Completions streams, read piece by piece.

What hosts do differently, all of it seen in real traffic: tool calls without an index or an id, several
whole calls in one delta, usage in any chunk or none, an error object instead of a chunk, no `[DONE]`.
"""

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
from faultmaven.infrastructure.llm.wire.content import arguments_text
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.openai_chat import (
    finish_reason,
    is_error_object,
    media_of,
    reasoning_of,
    split_content,
    text_or_none,
    usage_from_wire,
    usage_object,
)

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import Usage


class OpenAIChatStreamReader:
    """Reads `data: {chat.completion.chunk}` events; see `ChunkReader`.

    Args:
        finish_reason_optional: the host may end an answer without a finish reason.
    """

    def __init__(self, *, finish_reason_optional: bool = False) -> None:
        self.done = False
        self.error: LLMError | None = None
        self.skipped = 0
        self.events = 0
        self._decoder = SSEDecoder()
        self._calls = _CallIndex()
        self._finish_optional = finish_reason_optional
        self._finish_raw: str | None = None
        self._finish_seen = False
        self._usage: Usage | None = None
        self._model: str | None = None
        self._response_id: str | None = None

    def limit_events(self, limit_bytes: int) -> None:
        """Set the size of the largest event; see `ChunkReader.limit_events`."""
        self._decoder.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> list[LLMChunk]:
        """Take the next bytes; see `ChunkReader.feed`."""
        if self.done or self.error is not None:
            return []
        chunks: list[LLMChunk] = []
        try:
            for event in self._decoder.feed(data):
                self.events += 1
                if event.data == b"[DONE]":
                    return chunks + self._end()
                chunk = self._read(event.event, event.data)
                if chunk is not None:
                    chunks.append(chunk)
                if self._failed:
                    return [*chunks, self._closing_chunk()]
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
        except LLMError as error:
            self.error = error
        return chunks

    def finish(self) -> list[LLMChunk]:
        """Take the end of the body; see `ChunkReader.finish`."""
        if self.done or self.error is not None:
            return []
        try:
            rest = self._decoder.finish()
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
            return []
        if rest is not None and rest.data != b"[DONE]":
            self.skipped += 1
        return self._end()

    @property
    def _failed(self) -> bool:
        return self.error is not None

    def _end(self) -> list[LLMChunk]:
        if not (self._finish_seen or self._finish_optional):
            self.error = StreamInterruptedError(
                "the stream ended without a finish reason", code="stream_incomplete"
            )
            return []
        if self._calls.has_nameless:
            self.error = ResponseFormatError("a streamed tool call has no name", code="wrong_type")
            return []
        self.done = True
        return [self._closing_chunk()]

    def _closing_chunk(self) -> LLMChunk:
        """Give what is known of the whole answer."""
        return LLMChunk(
            finish_reason=finish_reason(self._finish_raw, has_calls=bool(self._calls)),
            finish_reason_raw=self._finish_raw,
            usage=self._usage,
            model=self._model,
            response_id=self._response_id,
        )

    def _read(self, event: str, data: bytes) -> LLMChunk | None:
        try:
            packet = codec.loads_mended(data)
        except ValueError:
            msg = "a chunk of the stream is not JSON"
            raise ResponseFormatError(msg, code="invalid_json") from None
        if type(packet) is not dict:
            msg = "a chunk of the stream is not a JSON object"
            raise ResponseFormatError(msg, code="not_an_object")
        choices = packet.get("choices")
        if event == "error" or packet.get("error") or (not choices and is_error_object(packet)):
            self.error = parse_error_object(packet)
        if self._model is None or self._response_id is None:
            self._model = self._model or text_or_none(packet.get("model"))
            self._response_id = self._response_id or text_or_none(packet.get("id"))
        if "usage" in packet or "x_groq" in packet:
            self._usage = usage_from_wire(usage_object(packet)) or self._usage
        if not choices:
            return None
        choice = choices[0]
        if type(choice) is not dict:
            msg = "a chunk's choice is not a JSON object"
            raise ResponseFormatError(msg, code="wrong_type")
        return self._read_choice(choice)

    def _read_choice(self, choice: dict[str, Any]) -> LLMChunk | None:
        if choice.get("index"):
            return None  # further choices (n > 1) are not streamed to the caller
        raw = choice.get("finish_reason")
        if raw:
            self._finish_seen = True
            # Some hosts repeat it; the first one counts.
            self._finish_raw = self._finish_raw or str(raw)
            if "usage" in choice:
                self._usage = usage_from_wire(choice["usage"]) or self._usage
        elif raw == "":
            self._finish_seen = True
        delta = choice.get("delta")
        if not delta:
            return None
        if type(delta) is not dict:
            msg = "a chunk's delta is not a JSON object"
            raise ResponseFormatError(msg, code="wrong_type")
        return self._read_delta(delta)

    def _read_delta(self, delta: dict[str, Any]) -> LLMChunk | None:
        content = delta.get("content")
        if type(content) is str:
            text, thinking = content, ""
        else:
            text, thinking = split_content(content)
        chunk = LLMChunk(text, thinking)
        if len(delta) > 2 or (content is None and delta) or "role" not in delta:
            self._read_rest(delta, chunk)
        if text or chunk.reasoning or chunk.tool_calls or chunk.refusal or chunk.reasoning_details:
            return chunk
        return chunk if chunk.media else None

    def _read_rest(self, delta: dict[str, Any], chunk: LLMChunk) -> None:
        """Read what most deltas of a plain answer do not have."""
        if len(delta) == 1 and chunk.text:
            return
        reasoning, details = reasoning_of(delta)
        if reasoning:
            chunk.reasoning = reasoning
        if details:
            chunk.reasoning_details = details
        if refusal := text_or_none(delta.get("refusal")):
            chunk.refusal = refusal
        if "images" in delta or "audio" in delta:
            chunk.media = media_of(delta) or None
        if delta.get("tool_calls") or delta.get("function_call"):
            chunk.tool_calls = self._calls.read(delta) or None


class _CallIndex:
    """Tells the calls of one stream apart, and numbers them from 0."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        # The newest call with an index, with an id, and with both.
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._by_both: dict[tuple[int, str], _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def has_nameless(self) -> bool:
        return any(not call.announced for call in self._calls)

    def read(self, delta: dict[str, Any]) -> list[ToolCallDelta]:
        pieces = delta.get("tool_calls")
        if not isinstance(pieces, list):
            function = delta.get("function_call")
            is_call = isinstance(function, dict) and (function.get("name") or self._calls)
            pieces = [{"function": function}] if is_call else []
        found = []
        for piece in pieces:
            if not isinstance(piece, dict):
                msg = "a streamed tool call is not a JSON object"
                raise ResponseFormatError(msg, code="wrong_type")
            if (made := self._read_piece(piece)) is not None:
                found.append(made)
        return found

    def _read_piece(self, piece: dict[str, Any]) -> ToolCallDelta | None:
        function = piece.get("function") or {}
        name = text_or_none(function.get("name"))
        identity = text_or_none(piece.get("id"))
        call = self._find(piece.get("index"), identity, name)
        arguments = arguments_text(function.get("arguments"))
        if identity and not call.call_id:
            self._identify(call, identity)
        call.name = call.name or name
        if call.announced:
            return ToolCallDelta.make(call.position, arguments=arguments) if arguments else None
        call.held.append(arguments)
        if call.name is None:
            return None
        call.announced = True
        call.call_id = call.call_id or f"call_{call.position}"
        made = ToolCallDelta.make(call.position, call.call_id, call.name, "".join(call.held))
        if "extra_content" in piece:
            made["extra_content"] = piece["extra_content"]
        return made

    def _find(self, index: Any, identity: str | None, name: str | None) -> _Call:
        call = None
        if type(index) is int:
            call = self._by_index.get(index)
            if call and call.call_id and identity and identity != call.call_id and name:
                # An index that is always 0, with a new id and a name: another call.
                call = self._by_both.get((index, identity))
        elif identity:
            call = self._by_id.get(identity)
        elif not name and self._calls:
            call = self._calls[-1]
        return call or self._begin(index)

    def _begin(self, index: Any) -> _Call:
        call = _Call(len(self._calls), index)
        self._calls.append(call)
        if type(index) is int:
            self._by_index[index] = call
        return call

    def _identify(self, call: _Call, identity: str) -> None:
        call.call_id = identity
        self._by_id[identity] = call
        if type(call.index) is int:
            self._by_both[call.index, identity] = call


class _Call:
    __slots__ = ("announced", "call_id", "held", "index", "name", "position")

    def __init__(self, position: int, index: Any) -> None:
        self.position = position
        self.index = index
        self.call_id: str | None = None
        self.name: str | None = None
        self.held: list[str] = []
        self.announced = False
