"""A stream's head before its first piece, for proxies that give silent connections up; off by default.

It costs what was held back for: once the head is out, another provider's answer still can be, but its
name and the price are in no header, and an error comes within the stream.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.gateway.answer import StreamedAnswer

    Found = TypeVar("Found")

# A comment of the event stream, which every client ignores.
KEEPALIVE: Final = b": keepalive\n\n"


class EarlyHead:
    """Waits for a stream's first piece, and says now and then that it still does.

    Args:
        make_writer: makes what writes the stream.
        every_s: the head goes out after so long, with a comment; another follows each time it passes.

    Attributes:
        writer: what has written the head, None while nothing was written.
    """

    def __init__(self, make_writer: Callable[[], StreamedAnswer], every_s: float) -> None:
        self._make_writer = make_writer
        self._every_s = every_s
        self.writer: StreamedAnswer | None = None

    async def wait(self, opening: Awaitable[Found]) -> Found:
        """Wait for the first piece; raises what waiting for it raises.

        Raises:
            ConnectionError: the client is gone.
        """
        task = asyncio.ensure_future(opening)
        try:
            while not (await asyncio.wait({task}, timeout=self._every_s))[0]:
                if self.writer is None:
                    self.writer = self._make_writer()
                self.writer.write(KEEPALIVE)
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        return task.result()
