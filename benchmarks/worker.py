"""One library at work in a process of its own: `python -m benchmarks.worker NAME KIND URL COUNT WIDTH`.

Prints the CPU seconds of the process per unit: a call (`plain`), a piece of text (`stream`), or, for
`first`, nothing but the answer.  Every answer is checked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.callers import CALLERS
from benchmarks.mock import TEXT, WORD

if TYPE_CHECKING:
    from benchmarks.callers import Caller

# Calls of each of those side by side: their connections are open before anything is measured.
WARM_UP = 20


async def _ask(caller: Caller) -> int:
    text = await caller.ask()
    assert text == TEXT, text
    return 1


async def _stream(caller: Caller) -> int:
    text, pieces = await caller.stream()
    assert text == WORD * pieces, text
    assert pieces > 0
    return pieces


async def _work(name: str, kind: str, url: str, count: int, width: int) -> float:
    caller = CALLERS[name](url)
    await caller.open()
    act = _stream if kind == "stream" else _ask

    async def several(calls: int) -> int:
        return sum([await act(caller) for _ in range(calls)])

    async def side_by_side(calls: int) -> int:
        return sum(await asyncio.gather(*(several(calls) for _ in range(width))))

    try:
        if kind == "first":
            await act(caller)
            return 0.0
        await side_by_side(min(WARM_UP, count // width))
        started = time.process_time()
        units = await side_by_side(count // width)
        return (time.process_time() - started) / units
    finally:
        await caller.close()


def main() -> None:
    """Work, and print the figure as JSON."""
    name, kind, url, count, width = sys.argv[1:]
    seconds = asyncio.run(_work(name, kind, url, int(count), int(width)))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
