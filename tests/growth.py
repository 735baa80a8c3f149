"""How cost grows: whether eight times as much takes about eight times as long, on any machine.

A bound in seconds says how fast the machine is and what else it does; that is for `make bench`.  What a
hostile body must not do is cost more than in proportion to its size, and that is the same everywhere.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# How many times as much is done the second time.
TIMES: Final = 8
# Between what is linear, 8, and what is quadratic, 64: as far from the one as from the other.
MOST: Final = TIMES**1.5
# A cost that is not even this is no attack, however it grew.
FLOOR_S: Final = 0.001
FEWEST_ROUNDS: Final = 3
MOST_ROUNDS: Final = 8


class Growth:
    """The least processor time that a little takes, and that eight times as much takes.

    The machine's other work only adds to a cost, so the least of several is nearest to the truth.  Rounds
    go on while the growth looks too large: what is quadratic stays so.  No garbage is collected meanwhile,
    because that costs as much as the whole process has objects.

        growth = Growth()
        for times in growth.rounds():
            text = "[" * 1000 * times
            with growth.of(times):
                read(text)

        assert growth.factor < MOST
    """

    def __init__(self) -> None:
        self.least_s = {1: float("inf"), TIMES: float("inf")}

    @property
    def factor(self) -> float:
        """Tell how many times as much the much costs as the little."""
        return self.least_s[TIMES] / max(self.least_s[1], FLOOR_S)

    def rounds(self) -> Iterator[int]:
        """Give how many times as much is to be done, 1 and `TIMES` in turn, until the growth is known."""
        for number in range(MOST_ROUNDS):
            if number >= FEWEST_ROUNDS and self.factor < MOST:
                return
            yield 1
            yield TIMES

    @contextmanager
    def of(self, times: int) -> Iterator[None]:
        """Measure what is done within."""
        gc.disable()
        started_s = time.process_time()
        try:
            yield
        finally:
            self.least_s[times] = min(self.least_s[times], time.process_time() - started_s)
            gc.enable()
