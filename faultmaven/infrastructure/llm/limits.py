"""How much may pass: amounts in any minute, and places at the same time; in memory, for one event loop.

Nothing here makes a task or takes a lock, and all of it is a few operations on integers as long as there
is room.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.retry import Clock

WINDOW_S: Final = 60
# The slice that has begun and the whole minute before it: any minute lies within them.
_SLICES: Final = WINDOW_S + 1


class Window:
    """Bounds an amount in every stretch of a minute, wherever it begins.

    The time is counted in slices of a second, of which 61 together stay within the limit, so that what is
    taken is free again 60 to 61 seconds later.

    Args:
        limit: what may be taken in a minute, above 0.
        clock: the time.

    Attributes:
        limit: as above; a new one holds from then on.
    """

    __slots__ = ("_newest", "_now", "_slice", "_slices", "_used", "limit")

    def __init__(self, limit: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self.limit = limit
        self._now = time.monotonic if clock is SYSTEM_CLOCK else clock.monotonic
        self._slices = [0] * _SLICES
        self._slice = self._newest = int(self._now())
        self._used = 0

    @property
    def remaining(self) -> int:
        """What may be taken now."""
        self._advance()
        return max(0, self.limit - self._used)

    @property
    def reset_s(self) -> float:
        """Seconds until the whole limit may be taken again."""
        now = self._advance()
        return max(0.0, self._newest + _SLICES - now) if self._used else 0.0

    def wait_s(self, amount: int) -> float:
        """Give the seconds until an amount may be taken, 0.0 for at once.

        What is more than the limit waits until nothing else has been taken.
        """
        now = self._advance()
        missing = self._used + min(amount, self.limit) - self.limit
        if missing <= 0:
            return 0.0
        for number in range(self._slice - WINDOW_S, self._slice + 1):
            missing -= self._slices[number % _SLICES]
            if missing <= 0:
                return number + _SLICES - now
        return float(WINDOW_S)  # the limit was lowered meanwhile

    def take(self, amount: int) -> int:
        """Take an amount, without asking; give the instant that `settle` wants to know."""
        self._advance()
        self._add(self._slice, amount)
        return self._slice

    def settle(self, taken_at: int, taken: int, real: int) -> None:
        """Say what an amount has really been.

        What was too much goes back to where it was taken; what was too little is taken now.
        """
        self._advance()
        if real > taken:
            self._add(self._slice, real - taken)
        elif self._slice - taken_at < _SLICES:
            place = taken_at % _SLICES
            back = min(
                taken - real, self._slices[place]
            )  # what was taken from another window is not here
            self._slices[place] -= back
            self._used -= back

    def _add(self, number: int, amount: int) -> None:
        if amount:
            self._slices[number % _SLICES] += amount
            self._used += amount
            self._newest = number

    def _advance(self) -> float:
        """Forget the slices that are older than the window; give the present instant."""
        now = self._now()
        number = int(now)
        if number > self._slice:
            self._forget(number)
        return now

    def _forget(self, number: int) -> None:
        """Make a slice the present one."""
        steps = number - self._slice
        self._slice = number
        if not self._used:
            return
        if steps >= _SLICES:
            self._slices, self._used = [0] * _SLICES, 0
            return
        slices = self._slices
        for passed in range(number - steps + 1, number + 1):
            place = passed % _SLICES
            self._used -= slices[place]
            slices[place] = 0


Reason = Literal["queue_full", "queue_timeout"]
QUEUE_FULL: Final = "queue_full"
QUEUE_TIMEOUT: Final = "queue_timeout"


class NoPlaceError(Exception):
    """There was no place.

    Attributes:
        reason: too many wait already, or it was waited too long.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Places:
    """So many at the same time; who comes beyond them waits, first come, first served.

    Args:
        limit: how many places there are.
        queue_limit: how many may wait.
        queue_s: seconds for which one may wait.
        clock: the time.

    Attributes:
        taken: how many places are in use.
    """

    __slots__ = ("_clock", "_limit", "_queue", "_queue_limit", "_queue_s", "taken")

    def __init__(
        self,
        limit: int,
        *,
        queue_limit: int = 0,
        queue_s: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.taken = 0
        self._limit = limit
        self._queue_limit = queue_limit
        self._queue_s = queue_s
        self._clock = clock
        # Until when each waits.
        self._queue: OrderedDict[asyncio.Future[None], float] = OrderedDict()

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Tell whether one more could not even wait."""
        return self.taken >= self._limit and len(self._queue) >= self._queue_limit

    def take(self) -> bool:
        """Take a place; False where there is none for someone who comes now."""
        if self.taken >= self._limit or self._queue:
            return False
        self.taken += 1
        return True

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait for a place, and take it.

        Args:
            timeout_s: seconds, where that is less than for others; None is as long as others.

        Raises:
            NoPlaceError: too many wait, or it took too long.
        """
        if self.take():
            return
        if len(self._queue) >= self._queue_limit:
            raise NoPlaceError(QUEUE_FULL)
        wait_s = self._queue_s if timeout_s is None else min(timeout_s, self._queue_s)
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._queue[place] = self._clock.monotonic() + wait_s
        timer = loop.call_later(wait_s, self._give_up, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.give_back()  # it was given in the same instant
            raise
        finally:
            timer.cancel()
            self._queue.pop(place, None)

    def give_back(self) -> None:
        """Give a place back: the first who waits has it."""
        self.taken -= 1
        self._serve_queue()

    def set_limits(self, limit: int, queue_limit: int, queue_s: float) -> None:
        """Have other bounds from now on; who has a place or waits stays."""
        self._limit, self._queue_limit, self._queue_s = limit, queue_limit, queue_s
        self._serve_queue()

    def _serve_queue(self) -> None:
        while self._queue and self.taken < self._limit:
            place, until = self._queue.popitem(last=False)
            if place.done():
                continue
            # Where the machine is so busy that timers are late, what has waited too long is not begun.
            if self._clock.monotonic() > until:
                place.set_exception(NoPlaceError(QUEUE_TIMEOUT))
                continue
            self.taken += 1
            place.set_result(None)

    def _give_up(self, place: asyncio.Future[None]) -> None:
        with suppress(asyncio.InvalidStateError):
            place.set_exception(NoPlaceError(QUEUE_TIMEOUT))
        self._queue.pop(place, None)
