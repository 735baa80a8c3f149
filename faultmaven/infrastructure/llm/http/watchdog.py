"""One timer for all the waits of a pool.

A timer for each request costs more than anything else that is done for it.  Most waits end long before
their time, so the watchdog sleeps until the earliest expiry it knows and looks then who is still there.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watch(Protocol):
    """Something that must not last longer than until `expires_at`.

    Attributes:
        expires_at: instant of `time.monotonic()`; it may be moved later without telling anyone.
        is_lingering: nobody waits for it any more, so that it may end at any time.
    """

    expires_at: float
    is_lingering: bool

    def expire(self) -> None:
        """Take the consequences; the watchdog has forgotten the watch by then."""
        ...


class Watchdog:
    """Expires watches on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watches: set[Watch] = set()
        self._fires_at = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Watch]:
        return iter(self._watches)

    def add(self, watch: Watch) -> None:
        """Watch from now on; adding again after `expires_at` was moved earlier is how to say so."""
        self._watches.add(watch)
        if watch.expires_at < self._fires_at:
            self._arm(watch.expires_at)

    def discard(self, watch: Watch) -> None:
        """Stop watching; unknown watches are fine."""
        self._watches.discard(watch)

    def close(self) -> None:
        """Forget all, and end what only lingers."""
        lingering = [watch for watch in self._watches if watch.is_lingering]
        self._watches.clear()
        for watch in lingering:
            watch.expire()
        self._fires_at = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, instant: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = instant
        self._handle = self._loop.call_later(max(0.0, instant - time.monotonic()), self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._fires_at = math.inf
        now = time.monotonic()
        expired = [watch for watch in self._watches if watch.expires_at <= now]
        self._watches.difference_update(expired)
        for watch in expired:
            watch.expire()
        earliest = min((watch.expires_at for watch in self._watches), default=math.inf)
        if earliest < self._fires_at:
            self._arm(earliest)


class TaskWatch:
    """Cancels the task that made it when the time is up.

    Attributes:
        expires_at: instant of `time.monotonic()`.
        fired: whether it cancelled the task.
        is_lingering: never; the task waits.
    """

    __slots__ = ("_cancelling", "_task", "expires_at", "fired", "is_lingering")

    def __init__(self, expires_at: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "requests are made from tasks"
        self._task = task
        self._cancelling = task.cancelling()
        self.expires_at = expires_at
        self.fired = False
        self.is_lingering = False

    def expire(self) -> None:
        """Cancel the task."""
        self.fired = True
        self._task.cancel()

    def settle(self) -> bool:
        """Take the cancellation back and say whether time was up and nobody else had cancelled.

        Call it once, after the work has ended in whatever way.
        """
        return self.fired and self._task.uncancel() <= self._cancelling
