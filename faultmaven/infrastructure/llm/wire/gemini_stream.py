"""Streams of Gemini's generateContent: server-sent events, or one JSON array where `alt=sse` is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire.fields import as_object, text_in
from faultmaven.infrastructure.llm.wire.gemini_generate import (
    finish_from_wire,
    read_candidate,
)
from faultmaven.infrastructure.llm.wire.json_array import JSONArrayDecoder
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.infrastructure.llm.types import ToolCall


class _EitherDecoder:
    """Chooses between the two framings by the first byte that is no white space."""

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._array: JSONArrayDecoder | None = None
        self._has_begun = False

    def feed(self, data: bytes) -> list[bytes]:
        if not self._has_begun and (first := data.lstrip()[:1]):
            self._has_begun = True
            if first in b"[{":
                self._array = JSONArrayDecoder()
        if self._array is not None:
            return self._array.feed(data)
        return [event.data for event in self._sse.feed(data)]

    def finish(self) -> bytes | None:
        if self._array is not None:
            # An object of the array that is not whole is of no use.
            return None
        event = self._sse.finish()
        return None if event is None else event.data


class GeminiStreamReader(StreamReader[bytes]):
    """Reads the objects of a stream; the last has a finish reason.

    Args:
        finish_reason_optional: whether the end of the body completes an answer, too.
    """

    def __init__(self, *, finish_reason_optional: bool = False) -> None:
        super().__init__(_EitherDecoder())
        self._finish_reason_optional = finish_reason_optional

    @override
    def _read(self, event: bytes) -> Iterator[LLMChunk]:
        body = as_object(codec.loads_mended(event), "event")
        found = read_candidate(body, first_call=self.ending.tool_calls)
        self.ending.identify(text_in(body, "modelVersion"), text_in(body, "responseId"))
        if found.text or found.reasoning or found.calls or found.details or found.media:
            deltas = [self._delta(call) for call in found.calls]
            yield LLMChunk(
                found.text,
                found.reasoning,
                deltas or None,
                reasoning_details=found.details or None,
                media=found.media or None,
            )
        self.ending.usage = found.usage or self.ending.usage
        if found.finish_reason_raw:
            self.ending.finish_reason_raw = found.finish_reason_raw
            # Without counts more may follow, if only the counts.
            if found.usage is not None:
                yield self._end()

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self.ending.finish_reason_raw or (self._finish_reason_optional and self.events):
            yield self._end()

    def _end(self) -> LLMChunk:
        self.done = True
        chunk = self.ending.chunk({})
        has_calls = self.ending.tool_calls > 0
        chunk.finish_reason = finish_from_wire(chunk.finish_reason_raw, has_tool_calls=has_calls)
        return chunk

    def _delta(self, call: ToolCall) -> ToolCallDelta:
        delta = ToolCallDelta.make(self.ending.tool_calls, call.id, call.name, call.arguments_raw)
        if "extra_content" in call:
            delta["extra_content"] = call["extra_content"]
        self.ending.tool_calls += 1
        return delta
