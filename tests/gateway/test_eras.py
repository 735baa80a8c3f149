"""Closing what was replaced when nobody can be using it any more."""

from __future__ import annotations

import asyncio

from faultmaven.gateway.eras import Eras


class Closable:
    """Counts how often it is closed."""

    provider_name = "closable"

    def __init__(self, failure: Exception | None = None) -> None:
        self.closings = 0
        self._failure = failure

    async def close(self) -> None:
        self.closings += 1
        if self._failure is not None:
            raise self._failure


async def settled(eras: Eras) -> None:
    eras.settle()
    await asyncio.sleep(0)


async def test_what_nobody_uses_is_closed_at_once():
    eras, provider = Eras(), Closable()
    eras.turn([provider])
    await settled(eras)

    assert provider.closings == 1


async def test_what_an_earlier_request_may_use_waits_for_it():
    eras, first, second = Eras(), Closable(), Closable()
    oldest = eras.now
    oldest.requests = 1
    eras.turn([first])
    younger = eras.now
    younger.requests = 1
    eras.turn([second])
    younger.requests = 0
    await settled(eras)
    assert (first.closings, second.closings) == (0, 0)
    oldest.requests = 0
    await settled(eras)

    assert (first.closings, second.closings) == (1, 1)


async def test_at_the_end_everything_is_closed_whoever_fails(caplog):
    eras, bad, good = Eras(), Closable(OSError("no")), Closable()
    eras.now.requests = 1
    eras.turn([bad, good])
    await eras.close()
    await eras.close()

    assert (bad.closings, good.closings) == (1, 1)
    assert "closable could not be closed" in caplog.text
