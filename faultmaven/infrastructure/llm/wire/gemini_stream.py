"""Streams of Gemini's generateContent: server-sent events, or one JSON array where `alt=sse` is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    list_in,
    malformed,
    object_in,
    text_in,
)
from faultmaven.infrastructure.llm.wire.gemini_generate import (
    call_from_wire,
    finish_from_wire,
    read_candidate,
    signature_in,
)
from faultmaven.infrastructure.llm.wire.json_array import JSONArrayDecoder
from faultmaven.infrastructure.llm.wire.partial_arguments import PartialArguments
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


# Pictures come whole, in one event: as much as a plain answer may have.
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


class _EitherDecoder:
    """Chooses between the two framings by the first byte that is no white space."""

    def __init__(self) -> None:
        self._sse = SSEDecoder(MAX_EVENT_BYTES)
        self._array: JSONArrayDecoder | None = None
        self._has_begun = False

    @property
    def limit_bytes(self) -> int:
        return self._sse.limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, limit_bytes: int) -> None:
        self._sse.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> list[bytes]:
        if not self._has_begun and (first := data.lstrip()[:1]):
            self._has_begun = True
            if first in b"[{":
                self._array = JSONArrayDecoder(self.limit_bytes)
        if self._array is not None:
            return self._array.feed(data)
        return [event.data for event in self._sse.feed(data)]

    def finish(self) -> bytes | None:
        if self._array is not None:
            # An object of the array that is not whole is of no use.
            self._array.finish()
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
        self._arguments: PartialArguments | None = None

    @override
    def _read(self, event: bytes) -> Iterator[LLMChunk]:
        body = as_object(codec.loads_mended(event), "event")
        found = read_candidate(body)
        self.ending.identify(text_in(body, "modelVersion"), text_in(body, "responseId"))
        if found.text or found.reasoning or found.calls or found.details or found.media:
            deltas = [delta for part in found.calls for delta in self._deltas(part)]
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
                yield from self._end()

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self.ending.finish_reason_raw or (self._finish_reason_optional and self.events):
            yield from self._end()

    def _end(self) -> Iterator[LLMChunk]:
        self.done = True
        chunk = self.ending.chunk({})
        has_calls = self.ending.tool_calls > 0
        chunk.finish_reason = finish_from_wire(chunk.finish_reason_raw, has_tool_calls=has_calls)
        # Arguments that a limit or filter cut off must not look whole.
        if chunk.finish_reason == "tool_calls" and (deltas := self._close_call()):
            yield LLMChunk(tool_calls=deltas)
        yield chunk

    def _deltas(self, part: dict[str, Any]) -> Iterator[ToolCallDelta]:
        """Read a call, or a piece of the one that is open."""
        call = object_in(part, "functionCall")
        if text_in(call, "name") or call.get("args"):
            yield from self._close_call()
            yield self._begin_call(part, call)
        elif self._arguments is not None:
            delta = self._go_on(self._arguments, call)
            delta.update(signature_in(part))
            yield delta
        elif "partialArgs" in call:
            raise malformed(None, "functionCall.name", "the name of a function")

    def _begin_call(self, part: dict[str, Any], call: dict[str, Any]) -> ToolCallDelta:
        made = call_from_wire(part, self.ending.tool_calls, self.ending.response_id)
        arguments = made.arguments_raw
        if call.get("willContinue") and not call.get("args"):
            self._arguments = PartialArguments()
            arguments = self._arguments.write(list_in(call, "partialArgs"))
        delta = ToolCallDelta.make(self.ending.tool_calls, made.id, made.name, arguments)
        delta.update(signature_in(part))
        self.ending.tool_calls += 1
        return delta

    def _go_on(self, arguments: PartialArguments, call: dict[str, Any]) -> ToolCallDelta:
        text = arguments.write(list_in(call, "partialArgs"))
        if not call.get("willContinue"):
            text += arguments.close()
            self._arguments = None
        return ToolCallDelta.make(self.ending.tool_calls - 1, arguments=text)

    def _close_call(self) -> list[ToolCallDelta]:
        """End the arguments of a call whose own end never came."""
        if self._arguments is None:
            return []
        return [self._go_on(self._arguments, {})]
