"""Streams of Amazon Bedrock's Converse: binary frames, one event each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.event_stream import EventStreamDecoder, EventStreamFrame
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.bedrock_converse import (
    FINISH_REASONS,
    make_details,
    usage_from_wire,
)
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    object_in,
    optional_text_in,
    text_in,
)
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.infrastructure.llm.errors import LLMError

# Exceptions come under HTTP 200; these are the statuses that they have outside of a stream.
EXCEPTION_STATUSES: Final = {
    "validationException": 400,
    "accessDeniedException": 403,
    "resourceNotFoundException": 404,
    "modelTimeoutException": 408,
    "modelStreamErrorException": 424,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}


def error_from_frame(frame: EventStreamFrame) -> LLMError | None:
    """Give the error that a frame of the type exception or error means; None for an event."""
    kind = frame.headers.get(":message-type", "event")
    if kind == "event":
        return None
    name = str(frame.headers.get(":exception-type") or frame.headers.get(":error-code") or kind)
    try:
        body = codec.loads_mended(frame.payload)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.get("message"):
        body = {"message": str(frame.headers.get(":error-message") or name)}
    status = EXCEPTION_STATUSES.get(name[:1].lower() + name[1:], 500)
    return parse_error_object(body, status, {"x-amzn-errortype": name})


class _Thought:
    """A block of reasoning while it streams."""

    __slots__ = ("redacted", "signature", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.signature: list[str] = []
        self.redacted: list[str] = []


class ConverseEvents:
    """What the events of Converse mean, wherever they come framed.

    Attributes:
        is_stopped: `messageStop` has come.
        is_complete: `metadata`, the last event, has come.
    """

    def __init__(self, reader: StreamReader[EventStreamFrame]) -> None:
        self.is_stopped = False
        self.is_complete = False
        self._ending = reader.ending
        self._reader = reader
        self._calls: dict[object, int] = {}
        self._thoughts: dict[object, _Thought] = {}

    def read(self, kind: str, body: dict[str, Any]) -> Iterator[LLMChunk]:
        """Give the chunks of one event."""
        block = body.get("contentBlockIndex")
        if kind == "contentBlockStart":
            yield from self._start(block, object_in(body, "start"))
        elif kind == "contentBlockDelta":
            yield from self._delta(block, object_in(body, "delta"))
        elif kind == "contentBlockStop":
            yield from self._thought(block)
        elif kind == "messageStop":
            self._ending.finish_reason_raw = optional_text_in(body, "stopReason")
            self.is_stopped = True
        elif kind == "metadata":
            self._ending.usage = usage_from_wire(body.get("usage"))
            self.is_complete = self.is_stopped
        elif kind != "messageStart":
            self._reader.skipped += 1

    def end(self) -> Iterator[LLMChunk]:
        """Give what was held back, and the last chunk."""
        for block in list(self._thoughts):
            yield from self._thought(block)
        yield self._ending.chunk(FINISH_REASONS)

    def _start(self, block: object, start: dict[str, Any]) -> Iterator[LLMChunk]:
        if "toolUse" not in start:
            return
        use = object_in(start, "toolUse")
        index = self._calls[block] = self._ending.tool_calls
        self._ending.tool_calls += 1
        name = text_in(use, "name")
        call_id = text_in(use, "toolUseId") or content.make_call_id(index, name)
        yield LLMChunk(tool_calls=[ToolCallDelta.make(index, call_id, name)])

    def _delta(self, block: object, delta: dict[str, Any]) -> Iterator[LLMChunk]:
        if text := text_in(delta, "text"):
            yield LLMChunk(text=text)
        if "toolUse" in delta:
            yield from self._arguments(block, object_in(delta, "toolUse"))
        if "reasoningContent" in delta:
            piece = object_in(delta, "reasoningContent")
            thought = self._thoughts.setdefault(block, _Thought())
            thought.signature.append(text_in(piece, "signature"))
            thought.redacted.append(text_in(piece, "redactedContent"))
            if text := text_in(piece, "text"):
                thought.text.append(text)
                yield LLMChunk(reasoning=text)

    def _arguments(self, block: object, use: dict[str, Any]) -> Iterator[LLMChunk]:
        fragment = content.arguments_text(use.get("input"))
        if block not in self._calls:
            self._reader.skipped += 1
        elif fragment:
            yield LLMChunk(tool_calls=[ToolCallDelta.make(self._calls[block], arguments=fragment)])

    def _thought(self, block: object) -> Iterator[LLMChunk]:
        thought = self._thoughts.pop(block, None)
        if thought is None:
            return
        details = make_details(
            "".join(thought.text), "".join(thought.signature), "".join(thought.redacted)
        )
        if details is not None:
            yield LLMChunk(reasoning_details=[details])


class ConverseStreamReader(StreamReader[EventStreamFrame]):
    """Reads the frames of `/converse-stream`, up to `metadata` after `messageStop`."""

    def __init__(self) -> None:
        super().__init__(EventStreamDecoder())
        self._events = ConverseEvents(self)

    @override
    def _read(self, event: EventStreamFrame) -> Iterator[LLMChunk]:
        if (error := error_from_frame(event)) is not None:
            raise error
        body = as_object(codec.loads_mended(event.payload), "event")
        yield from self._events.read(str(event.headers.get(":event-type")), body)
        if self._events.is_complete:
            self.done = True
            yield from self._events.end()

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self._events.is_stopped:
            self.done = True
            yield from self._events.end()
