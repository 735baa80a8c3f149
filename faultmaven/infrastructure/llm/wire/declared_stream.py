"""A dialect as data, the streams: which fields of which event hold what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import NDJSONDecoder, ServerSentEvent, SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire.declared import AnswerMap, Place, make_details
from faultmaven.infrastructure.llm.wire.fields import as_object
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.wire.declared import DeclaredDialect

ANY_EVENT = "*"


class StreamMap:
    """A dialect's `stream`, made ready once for all streams.

    Args:
        data: as `stream` in `schemas/dialect.schema.json`.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.is_ndjson = data.get("framing") == "ndjson"
        self.kind = Place(data.get("kind"))
        self.done = str(data.get("done") or "").encode()
        self.may_end_early = bool(data.get("may_end_early"))
        self.silent = frozenset(data.get("skip") or ())
        self.events = {kind: AnswerMap(event) for kind, event in data["events"].items()}


class DeclaredStreamReader(StreamReader[Any]):
    """Reads one stream of a declared dialect; see `ChunkReader`.

    Args:
        dialect: whose stream it is.
        stream: its `stream`.
    """

    def __init__(self, dialect: DeclaredDialect, stream: StreamMap) -> None:
        super().__init__(NDJSONDecoder() if stream.is_ndjson else SSEDecoder())
        self._dialect = dialect
        self._stream = stream
        self._indexes: dict[Any, int] = {}
        self._details: dict[str, list[str]] = {kind: [] for kind in dialect.response.details}

    @override
    def _read(self, event: Any) -> Iterator[LLMChunk]:
        named = isinstance(event, ServerSentEvent)
        text: bytes = event.data if named else event
        if self._stream.done and text.strip() == self._stream.done:
            if self.ending.finish_reason_raw is not None or self._stream.may_end_early:
                yield from self._end()
            return
        body = as_object(codec.loads_mended(text), "event")
        kind = self._stream.kind.text(body) or (event.event if named else "")
        places = self._stream.events.get(kind) or self._stream.events.get(ANY_EVENT)
        if places is None:
            self._dialect.response.raise_error(body)
            self.skipped += kind not in self._stream.silent
            return
        places.raise_error(body)
        yield from self._take(places, body)

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self.ending.finish_reason_raw is not None or self._stream.may_end_early:
            yield from self._end()

    def _take(self, places: AnswerMap, body: dict[str, Any]) -> Iterator[LLMChunk]:
        self.ending.identify(places.model.text(body), places.id.text(body))
        for kind, place in places.details.items():
            self._details.setdefault(kind, []).append(place.text(body))
        chunk = LLMChunk(
            text=places.text.text(body),
            reasoning=places.reasoning.text(body),
            tool_calls=list(self._deltas(places, body)) or None,
            refusal=places.refusal.text(body) or None,
        )
        if chunk.text or chunk.reasoning or chunk.tool_calls or chunk.refusal:
            yield chunk
        if reason := places.finish_reason.text(body):
            self._dialect.raise_failure(reason)
            self.ending.finish_reason_raw = reason
        if (usage := places.usage(body)) is not None:
            self.ending.usage = usage
        if places.is_last or places.last.peek(body):
            yield from self._end()

    def _end(self) -> Iterator[LLMChunk]:
        texts = {kind: "".join(pieces) for kind, pieces in self._details.items()}
        if details := make_details(texts):
            yield LLMChunk(reasoning_details=details)
        self.done = True
        yield self.ending.chunk(self._dialect.words)

    def _deltas(self, places: AnswerMap, body: dict[str, Any]) -> Iterator[ToolCallDelta]:
        calls = places.calls
        for call in calls.calls(body):
            numbers = calls.index.values(call) or calls.event_index.values(body)
            number = numbers[0] if numbers else None
            if number is not None and number in self._indexes:
                yield from self._fragment(self._indexes[number], calls.arguments_of(call))
            elif calls.name and calls.name.text(call):
                index = self.ending.tool_calls
                self.ending.tool_calls += 1
                if number is not None:
                    self._indexes[number] = index
                whole = calls.make(call, index, body)
                yield ToolCallDelta.make(index, whole.id, whole.name, whole.arguments_raw)
            elif self.ending.tool_calls:
                yield from self._fragment(self.ending.tool_calls - 1, calls.arguments_of(call))
            else:
                self.skipped += 1

    @staticmethod
    def _fragment(index: int, arguments: str) -> Iterator[ToolCallDelta]:
        if arguments:
            yield ToolCallDelta.make(index, arguments=arguments)
