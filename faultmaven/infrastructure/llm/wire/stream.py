"""What every dialect's stream reader is: bytes in, chunks out, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.types import LLMChunk


class ChunkReader(Protocol):
    """Turns a response body, in whatever pieces it arrives, into chunks.

    Any split of the same bytes gives the same chunks.  Nothing is raised: a reader that meets an error
    sets `error`, keeps the chunks that came before it, and ignores the rest, so that what was received
    is never lost to what came after it.

    Attributes:
        done: the answer is complete; nothing more is expected, even if the connection stays open.
        error: what the provider, or the dialect's rules, say is wrong; None while all is well.
        skipped: events of kinds that the reader does not know.
        events: all events so far, comments not counted: what shows that the provider is alive.
    """

    done: bool
    error: LLMError | None
    skipped: int
    events: int

    def limit_events(self, limit_bytes: int) -> None:
        """Set the size of the largest event, in place of the dialect's own; before the first byte."""
        ...

    def feed(self, data: bytes) -> list[LLMChunk]:
        """Take the next bytes of the body; give the chunks that they complete."""
        ...

    def finish(self) -> list[LLMChunk]:
        """Say that the body has ended; give what was held back.

        Sets `error` to a `StreamInterruptedError` where the answer was not complete.
        """
        ...
