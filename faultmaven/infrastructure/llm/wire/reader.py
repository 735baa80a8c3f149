"""The part of a stream reader that is the same for every dialect: errors kept, chunks never lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.sse import StreamDecodeError
from faultmaven.infrastructure.llm.wire.answer import Ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faultmaven.infrastructure.llm.types import LLMChunk

Event = TypeVar("Event")


class Decoder(Protocol[Event]):
    """Turns bytes into whole events; see `llm.sse` and `llm.event_stream`.

    Attributes:
        limit_bytes: the size of the largest event; another one may be set before the first byte.
    """

    limit_bytes: int

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; give the events that they complete."""
        ...

    def finish(self) -> Event | None:
        """Say that the bytes have ended; give the event that lacks nothing but its end."""
        ...


class StreamReader(ABC, Generic[Event]):
    """A `ChunkReader` over events; a dialect says what an event means.

    Attributes:
        done: the answer is complete.
        error: what is wrong; None while all is well.
        skipped: events of kinds that the dialect does not know.
        events: all events so far.
        ending: what the last chunk will say.
    """

    def __init__(self, decoder: Decoder[Event]) -> None:
        self.done = False
        self.error: LLMError | None = None
        self.skipped = 0
        self.events = 0
        self._decoder = decoder
        self.ending = Ending()

    def limit_events(self, limit_bytes: int) -> None:
        """Set the size of the largest event; see `ChunkReader.limit_events`."""
        self._decoder.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> list[LLMChunk]:
        """Take the next bytes of the body; give the chunks that they complete."""
        chunks: list[LLMChunk] = []
        if self._is_over():
            return chunks
        try:
            for event in self._decoder.feed(data):
                self.events += 1
                chunks.extend(self._read(event))
                if self.done:
                    break
        except LLMError as exc:
            self.error = exc
        except (ValueError, RecursionError) as exc:
            self.error = self._unreadable(exc)
        return chunks

    def finish(self) -> list[LLMChunk]:
        """Say that the body has ended; give what was held back, or set `error`."""
        chunks: list[LLMChunk] = []
        if self._is_over():
            return chunks
        try:
            chunks.extend(self._read_rest())
            if not self._is_over():
                chunks.extend(self._close())
        except LLMError as exc:
            self.error = exc
        except StreamDecodeError as exc:
            if exc.code != "truncated_frame":
                self.error = self._unreadable(exc)
        except (ValueError, RecursionError):
            # The last event was cut off, which is told below.
            pass
        if not self._is_over():
            self.error = StreamInterruptedError(
                "The provider's stream ended before the answer was complete.",
                code="stream_incomplete",
            )
        return chunks

    def _is_over(self) -> bool:
        return self.done or self.error is not None

    def _read_rest(self) -> Iterator[LLMChunk]:
        event = self._decoder.finish()
        if event is not None:
            yield from self._read(event)

    @staticmethod
    def _unreadable(exc: Exception) -> ResponseFormatError:
        msg = f"An event of the provider's stream cannot be read: {exc}"
        return ResponseFormatError(msg, code=getattr(exc, "code", "malformed_event"))

    @abstractmethod
    def _read(self, event: Event) -> Iterator[LLMChunk]:
        """Give the chunks of one event; set `done` with the last one of the answer.

        Raises:
            LLMError: the event is malformed, or says that the call failed.
            ValueError: the event is not JSON.
        """

    def _close(self) -> Iterable[LLMChunk]:
        """Give the last chunk where the end of the body completes the answer; sets `done` then."""
        return ()
