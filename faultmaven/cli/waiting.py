"""A line on standard error while an answer is waited for."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Self

from faultmaven.cli.output import printable, say

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE_S = 0.5
_TICK_S = 1.0
_CLEAR_LINE = "\r\x1b[K"


class Waiting:
    """Says whom we wait for and how long, from `PATIENCE_S` on until the first piece comes.

    On a terminal one line counts the seconds; elsewhere only the start of an engine is told, once.

    Attributes:
        is_engine_start: whether the provider first starts a model of its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._is_shown = False
        self.is_engine_start = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tell())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the line away."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._is_shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
            self._is_shown = False

    async def _tell(self) -> None:
        started = time.monotonic()
        await asyncio.sleep(PATIENCE_S)
        doing = "starting the model" if self.is_engine_start else "waiting"
        text = printable(f"{self._name}: {doing}")
        if not sys.stderr.isatty():
            if self.is_engine_start:
                say(f"{text} …")
            return
        while True:
            self._is_shown = True
            sys.stderr.write(f"{_CLEAR_LINE}{text} … {time.monotonic() - started:.0f} s")
            sys.stderr.flush()
            await asyncio.sleep(_TICK_S)
