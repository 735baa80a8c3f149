"""A stream whose first piece is there: what comes from here on can no longer be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from faultmaven.infrastructure.llm.errors import ResponseFormatError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from faultmaven.infrastructure.llm.http import StreamReply
    from faultmaven.infrastructure.llm.types import LLMChunk
    from faultmaven.infrastructure.llm.wire.stream import ChunkReader


# Pieces of white space that are held back before they pass for an answer.
_MOST_HELD: Final = 64


class OpenedStream:
    """Iterates over the chunks of one answer.

    Args:
        reply: the open response, None for an answer that is already whole.
        reader: turns its bytes into chunks.
        window_s: seconds within which the next event must come; comments do not count.
    """

    def __init__(
        self, reply: StreamReply | None, reader: ChunkReader | None, window_s: float
    ) -> None:
        self._reply = reply
        self._reader = reader
        self._window_s = window_s
        self._first: list[LLMChunk] = []

    @classmethod
    def of_whole(cls, chunk: LLMChunk) -> Self:
        """Make the stream of an answer that came in one piece."""
        stream = cls(None, None, 0.0)
        stream._first = [chunk]
        return stream

    async def start(self) -> None:
        """Read up to the first chunk that holds a part of the answer.

        Raises:
            LLMError: the stream failed, or ended, before it; it may be tried again.
        """
        while not self._ended and len(self._first) < _MOST_HELD:
            batch = await self._next_batch()
            self._first += batch
            if any(map(_has_content, batch)):
                return
        if len(self._first) >= _MOST_HELD:
            return
        if self._reader is not None and self._reader.error is not None:
            error = self._reader.error
            if isinstance(error, StreamInterruptedError):
                if not self._reader.events:
                    msg = "the answer is no stream of events"
                    raise ResponseFormatError(msg, code="empty_response") from error
                error.retryable = True
            raise error
        if _is_hollow(self._first):
            msg = "the stream ended without any content"
            raise ResponseFormatError(msg, code="empty_response")

    async def __aiter__(self) -> AsyncIterator[LLMChunk]:
        """Give the chunks.

        Raises:
            LLMError: the stream failed midway.
        """
        batch = self._first
        while True:
            for chunk in batch:
                yield chunk
            if self._reader is None:
                return
            if self._reader.error is not None:
                raise self._reader.error
            if self._ended:
                return
            batch = await self._next_batch()

    async def close(self) -> None:
        """Keep the connection after a complete answer, drop it otherwise; twice is fine."""
        if self._reply is None:
            return
        if self._reader is not None and self._reader.done:
            await self._reply.release()
        else:
            await self._reply.close()

    @property
    def _ended(self) -> bool:
        return self._reader is None or self._reader.done or self._reader.error is not None

    async def _next_batch(self) -> list[LLMChunk]:
        if self._reply is None or self._reader is None:
            return []
        data = await self._reply.read()
        if not data:
            return self._reader.finish()
        seen = self._reader.events
        chunks = self._reader.feed(data)
        if self._reader.events != seen:
            self._reply.expect(self._window_s)
        return chunks


def _has_content(chunk: LLMChunk) -> bool:
    said = chunk.text.strip() or chunk.reasoning or chunk.tool_calls or chunk.refusal
    return bool(said or chunk.media)


def _is_hollow(chunks: list[LLMChunk]) -> bool:
    """Tell whether an answer that is nothing but its end should have had content."""
    return all(c.finish_reason in (None, "stop") and not c.reasoning_details for c in chunks)
