"""The stream reader of dialects that say only how one event is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.sse import SSEDecoder, StreamDecodeError
from faultmaven.infrastructure.llm.types import LLMChunk
from faultmaven.infrastructure.llm.wire.errors import parse_error_object

if TYPE_CHECKING:
    from collections.abc import Callable


class SimpleStreamReader:
    """Reads server-sent events with one function for their data; see `ChunkReader`.

    The end of the body, or `[DONE]`, ends the answer.

    Args:
        parse: takes an event's parsed data and gives a chunk, text, or None for nothing.
    """

    def __init__(self, parse: Callable[[Any], LLMChunk | str | None]) -> None:
        self.done = False
        self.error: LLMError | None = None
        self.skipped = 0
        self.events = 0
        self._parse = parse
        self._decoder = SSEDecoder()
        self._last = LLMChunk()

    def limit_events(self, limit_bytes: int) -> None:
        """Set the size of the largest event; see `ChunkReader.limit_events`."""
        self._decoder.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> list[LLMChunk]:
        """Take the next bytes; see `ChunkReader.feed`."""
        chunks: list[LLMChunk] = []
        if self.done or self.error is not None:
            return chunks
        try:
            for event in self._decoder.feed(data):
                self.events += 1
                if event.data == b"[DONE]":
                    return chunks + self._end()
                if (chunk := self._read(event.data)) is not None:
                    chunks.append(chunk)
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
            self._decoder.finish()
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
            return []
        return self._end()

    def _end(self) -> list[LLMChunk]:
        self.done = True
        self._last.finish_reason = self._last.finish_reason or "stop"
        return [self._last]

    def _read(self, data: bytes) -> LLMChunk | None:
        try:
            packet = codec.loads_mended(data)
            if isinstance(packet, dict) and packet.get("error"):
                raise parse_error_object(packet)
            chunk = self._parse(packet)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as exc:
            msg = f"a chunk of the stream has an unexpected shape: {type(exc).__name__} {exc}"
            raise ResponseFormatError(msg, code="unexpected_shape") from exc
        if isinstance(chunk, str):
            chunk = LLMChunk(chunk)
        if chunk is None:
            return None
        self._keep(chunk)
        return (
            chunk if chunk.text or chunk.reasoning or chunk.tool_calls or chunk.refusal else None
        )

    def _keep(self, chunk: LLMChunk) -> None:
        """Hold what belongs to the last chunk, and take it out of this one."""
        for name in ("finish_reason", "finish_reason_raw", "usage", "model", "response_id"):
            if (value := getattr(chunk, name)) is not None:
                setattr(self._last, name, value)
                setattr(chunk, name, None)
