"""Streams of Cohere's chat: events of version 2, JSON lines of version 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import NDJSONDecoder, ServerSentEvent, SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.cohere_chat import (
    FINISH_REASONS,
    call_from_v1,
    make_details,
    raise_failure,
    usage_from_wire,
)
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    list_in,
    object_in,
    optional_text_in,
    text_in,
)
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Known, and nothing in them that is not said elsewhere.
_SILENT = frozenset({
    "message-start", "content-end", "tool-call-end", "citation-start", "citation-end", "debug",
})  # fmt: skip


class CohereStreamReader(StreamReader[ServerSentEvent]):
    """Reads the events of version 2, up to `message-end`."""

    def __init__(self) -> None:
        super().__init__(SSEDecoder())
        self._thinking: list[str] = []
        self._plan: list[str] = []
        self._calls: dict[object, int] = {}
        self._readers: Mapping[str, Callable[[dict[str, Any]], Iterator[LLMChunk]]] = {
            "content-start": self._content,
            "content-delta": self._content,
            "tool-plan-delta": self._tool_plan,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_delta,
            "message-end": self._message_end,
        }

    @override
    def _read(self, event: ServerSentEvent) -> Iterator[LLMChunk]:
        if event.data == b"[DONE]":
            return
        body = as_object(codec.loads_mended(event.data), "event")
        kind = str(body.get("type") or event.event)
        if kind == "error" or (kind == "message" and (body.get("message") or body.get("error"))):
            raise parse_error_object(body)
        if kind == "message-start":
            self.ending.identify(None, text_in(body, "id"))
        if kind in self._readers:
            yield from self._readers[kind](body)
        elif kind not in _SILENT:
            self.skipped += 1

    def _content(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        block = object_in(_message_of(body), "content")
        chunk = LLMChunk(text=text_in(block, "text"), reasoning=text_in(block, "thinking"))
        if chunk.reasoning:
            self._thinking.append(chunk.reasoning)
        if chunk.text or chunk.reasoning:
            yield chunk

    def _tool_plan(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        # The plan is neither text nor thought; it goes back with the turn.
        self._plan.append(text_in(_message_of(body), "tool_plan"))
        return iter(())

    def _call_start(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        call = object_in(_message_of(body), "tool_calls")
        function = object_in(call, "function")
        index = self.ending.tool_calls
        self.ending.tool_calls += 1
        self._calls[body.get("index")] = index
        name = text_in(function, "name")
        call_id = text_in(call, "id") or content.make_call_id(index, self.ending.response_id, name)
        arguments = content.arguments_text(function.get("arguments"))
        yield LLMChunk(tool_calls=[ToolCallDelta.make(index, call_id, name, arguments)])

    def _call_delta(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        index = self._calls.get(body.get("index"), self.ending.tool_calls - 1)
        if index < 0:
            self.skipped += 1
            return
        function = object_in(object_in(_message_of(body), "tool_calls"), "function")
        if fragment := text_in(function, "arguments"):
            yield LLMChunk(tool_calls=[ToolCallDelta.make(index, arguments=fragment)])

    def _message_end(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        delta = object_in(body, "delta")
        raw_reason = optional_text_in(delta, "finish_reason")
        raise_failure(delta, raw_reason)
        if details := make_details("".join(self._thinking), "".join(self._plan)):
            yield LLMChunk(reasoning_details=details)
        self.ending.finish_reason_raw = raw_reason
        self.ending.usage = usage_from_wire(delta.get("usage"))
        self.done = True
        yield self.ending.chunk(FINISH_REASONS)


def _message_of(body: dict[str, Any]) -> dict[str, Any]:
    return object_in(object_in(body, "delta"), "message")


class CohereV1StreamReader(StreamReader[bytes]):
    """Reads the lines of version 1, up to `stream-end`."""

    def __init__(self) -> None:
        super().__init__(NDJSONDecoder())

    @override
    def _read(self, event: bytes) -> Iterator[LLMChunk]:
        body = as_object(codec.loads_mended(event), "line")
        kind = body.get("event_type")
        if kind == "text-generation":
            yield LLMChunk(text=text_in(body, "text"))
        elif kind == "tool-calls-generation":
            yield self._calls(body)
        elif kind == "stream-end":
            yield self._end(body)
        elif kind is None and (body.get("message") or body.get("error")):
            raise parse_error_object(body)
        elif kind not in {"stream-start", "citation-generation", "tool-calls-chunk"}:
            self.skipped += 1

    def _calls(self, body: dict[str, Any]) -> LLMChunk:
        deltas = []
        for call in list_in(body, "tool_calls"):
            whole = call_from_v1(call, self.ending.tool_calls, body)
            deltas.append(
                ToolCallDelta.make(
                    self.ending.tool_calls, whole.id, whole.name, whole.arguments_raw
                )
            )
            self.ending.tool_calls += 1
        return LLMChunk(tool_calls=deltas or None)

    def _end(self, body: dict[str, Any]) -> LLMChunk:
        raw_reason = optional_text_in(body, "finish_reason")
        response = object_in(body, "response")
        raise_failure({"error": body.get("error")}, raw_reason)
        self.ending.identify(None, text_in(response, "response_id"))
        self.ending.finish_reason_raw = raw_reason
        self.ending.usage = usage_from_wire(response.get("meta"))
        self.done = True
        return self.ending.chunk(FINISH_REASONS)
