"""Streams of OpenAI Responses, the provider's side.

Deltas are passed on as they come.  What a host sends only in an item's end, or only in the last event,
is passed on then, so that nothing is lost and nothing said twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import ServerSentEvent, SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import as_object, list_in, object_in, text_in
from faultmaven.infrastructure.llm.wire.openai_responses import (
    FINISH_REASONS,
    call_from_item,
    details_of_item,
    media_of_item,
    raise_failure,
    raw_finish,
    reasoning_of_item,
    text_of_item,
    usage_from_wire,
)
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAST: Final = frozenset({
    "response.completed", "response.incomplete", "response.failed", "response.cancelled",
    "response.done",
})  # fmt: skip

# What a delta adds to: the chunk's field.
_DELTAS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}

# Known, and nothing in them that is not said elsewhere.
_SILENT: Final = frozenset({
    "response.created", "response.queued", "response.in_progress",
    "response.content_part.added", "response.content_part.done",
    "response.output_text.done", "response.output_text.annotation.added", "response.refusal.done",
    "response.reasoning_summary_part.added", "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.done", "response.reasoning_text.done",
    "response.function_call_arguments.done", "keepalive",
})  # fmt: skip


class _Item:
    """What has been passed on of one output item."""

    __slots__ = ("call_index", "has_arguments", "is_whole", "said")

    def __init__(self) -> None:
        self.said: set[str] = set()
        self.call_index: int | None = None
        self.has_arguments = False
        self.is_whole = False


class ResponsesStreamReader(StreamReader[ServerSentEvent]):
    """Reads a stream up to `response.completed`, `.incomplete` or `.failed`."""

    def __init__(self) -> None:
        super().__init__(SSEDecoder())
        self._items: dict[object, _Item] = {}

    @override
    def _read(self, event: ServerSentEvent) -> Iterator[LLMChunk]:
        if event.data == b"[DONE]":
            return
        body = as_object(codec.loads_mended(event.data), "event")
        kind = body.get("type") or event.event
        if kind == "error" or (body.get("error") and kind not in _LAST):
            raise parse_error_object(body)
        if isinstance(body.get("response"), dict):
            response = object_in(body, "response")
            self.ending.identify(text_in(response, "model"), text_in(response, "id"))
        if kind in _DELTAS:
            yield self._delta(_DELTAS[kind], body)
        elif kind == "response.function_call_arguments.delta":
            yield from self._arguments(body)
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            item = object_in(body, "item")
            yield from self._item(item, self._at(body), is_whole=kind.endswith("done"))
        elif kind in _LAST:
            yield from self._last(object_in(body, "response"))
        elif kind not in _SILENT:
            self.skipped += 1

    def _at(self, body: dict[str, Any]) -> _Item:
        """Find the item that an event is about, by its place, or by its id where a host leaves that out."""
        key = body.get("output_index")
        if not isinstance(key, int):
            key = str(body.get("item_id") or object_in(body, "item").get("id"))
        return self._items.setdefault(key, _Item())

    def _delta(self, field: str, body: dict[str, Any]) -> LLMChunk:
        self._at(body).said.add(field)
        chunk = LLMChunk()
        setattr(chunk, field, text_in(body, "delta"))
        return chunk

    def _arguments(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        item = self._at(body)
        fragment = text_in(body, "delta")
        # Before the call has a name its arguments have no place; its end repeats them all.
        if item.call_index is not None and fragment:
            item.has_arguments = True
            yield LLMChunk(tool_calls=[ToolCallDelta.make(item.call_index, arguments=fragment)])

    def _item(self, data: dict[str, Any], item: _Item, *, is_whole: bool) -> Iterator[LLMChunk]:
        if data.get("type") == "function_call":
            yield from self._call(data, item, is_whole=is_whole)
        elif is_whole and not item.is_whole:
            yield from self._unsaid(data, item)
        item.is_whole = item.is_whole or is_whole

    def _call(self, data: dict[str, Any], item: _Item, *, is_whole: bool) -> Iterator[LLMChunk]:
        call = call_from_item(data, self.ending.tool_calls)
        if item.call_index is None:
            item.call_index = self.ending.tool_calls
            self.ending.tool_calls += 1
            yield LLMChunk(tool_calls=[ToolCallDelta.make(item.call_index, call.id, call.name)])
        if is_whole and not item.has_arguments and call.arguments_raw:
            item.has_arguments = True
            yield LLMChunk(
                tool_calls=[ToolCallDelta.make(item.call_index, arguments=call.arguments_raw)]
            )

    def _unsaid(self, data: dict[str, Any], item: _Item) -> Iterator[LLMChunk]:
        """Pass on what no delta has said of an item that is whole."""
        chunk = LLMChunk()
        found = {
            "text": text_of_item(data),
            "refusal": text_of_item(data, "refusal", "refusal"),
            "reasoning": reasoning_of_item(data),
        }
        for field, text in found.items():
            if text and field not in item.said:
                setattr(chunk, field, text)
        if details := details_of_item(data, self.ending.tool_calls):
            chunk.reasoning_details = [details]
        chunk.media = media_of_item(data) or None
        if chunk != LLMChunk():
            yield chunk

    def _last(self, response: dict[str, Any]) -> Iterator[LLMChunk]:
        raise_failure(response)
        for place, data in enumerate(list_in(response, "output")):
            # Hosts that give no places in a stream give ids.
            key = (
                data.get("id")
                if place not in self._items and data.get("id") in self._items
                else place
            )
            yield from self._item(data, self._items.setdefault(key, _Item()), is_whole=True)
        # Some hosts change the id from event to event; the last one is the answer's.
        self.ending.response_id = text_in(response, "id") or self.ending.response_id
        self.ending.finish_reason_raw = raw_finish(response)
        self.ending.usage = usage_from_wire(response)
        self.done = True
        yield self.ending.chunk(FINISH_REASONS)
