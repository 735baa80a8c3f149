from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.limits import WINDOW_S, NoPlaceError, Places, Window
from faultmaven.infrastructure.llm.retry import FakeClock

# Seconds that pass, then an amount that is asked for.
STEPS = st.lists(
    st.tuples(
        st.floats(0, 90, allow_nan=False)
        | st.sampled_from([0.0, 0.001, 0.999, 1.0, 59.999, 60.0]),
        st.integers(1, 30),
    ),
    max_size=60,
)


@given(limit=st.integers(1, 40), start=st.floats(0, 1e6, allow_nan=False), steps=STEPS)
def test_no_minute_ever_holds_more_than_the_limit(limit, start, steps):
    clock = FakeClock(start)
    window = Window(limit, clock)
    taken = []
    for passed_s, asked in steps:
        clock.advance(passed_s)
        amount = min(asked, limit)
        if window.wait_s(amount) == 0.0:
            window.take(amount)
            taken.append((clock.monotonic(), amount))

    for begin, _ in taken:
        assert sum(a for at, a in taken if begin <= at <= begin + WINDOW_S) <= limit


@given(limit=st.integers(1, 40), steps=STEPS)
def test_who_waits_as_long_as_he_is_told_is_let_in(limit, steps):
    clock = FakeClock(1000.25)
    window = Window(limit, clock)
    for passed_s, amount in steps:
        clock.advance(passed_s)
        wait_s = window.wait_s(amount)
        assert 0 <= wait_s <= WINDOW_S + 1
        if wait_s:
            clock.advance(wait_s + 1e-6)
            assert window.wait_s(amount) == 0.0
        window.take(min(amount, limit))


@given(
    limit=st.integers(1, 40),
    steps=st.lists(
        st.tuples(st.floats(0, 70), st.integers(0, 30), st.floats(0, 70), st.integers(0, 90)),
        max_size=30,
    ),
)
def test_what_is_settled_leaves_nothing_behind(limit, steps):
    clock = FakeClock()
    window = Window(limit, clock)
    for passed_s, amount, lasted_s, real in steps:
        clock.advance(passed_s)
        at = window.take(amount)
        clock.advance(lasted_s)
        window.settle(at, amount, real)
        assert 0 <= window.remaining <= limit

    clock.advance(WINDOW_S + 1)
    assert (window.remaining, window.reset_s, window.wait_s(limit)) == (limit, 0.0, 0.0)


def test_an_estimate_that_was_too_high_is_given_back():
    clock = FakeClock()
    window = Window(100, clock)
    at = window.take(90)

    assert window.wait_s(20) == pytest.approx(61.0)
    window.settle(at, 90, 30)
    assert (window.wait_s(70), window.remaining) == (0.0, 70)


def test_an_estimate_that_was_too_low_is_made_up_for():
    clock = FakeClock()
    window = Window(100, clock)
    at = window.take(10)
    clock.advance(30)
    window.settle(at, 10, 150)

    assert window.remaining == 0
    clock.advance(31.5)  # what was taken first is free, what was found out later is not
    assert window.remaining == 0
    clock.advance(30)
    assert window.remaining == 100


def test_what_is_more_than_the_limit_passes_when_nothing_else_has():
    clock = FakeClock()
    window = Window(10, clock)

    assert window.wait_s(5000) == 0.0
    window.take(1)
    assert window.wait_s(5000) == pytest.approx(61.0)


def test_a_new_limit_holds_at_once():
    window = Window(10, FakeClock())
    window.take(8)
    window.limit = 5

    assert window.remaining == 0
    assert window.wait_s(1) > 0
    window.limit = 20
    assert window.wait_s(12) == 0.0


def test_the_reset_is_when_the_last_has_become_free():
    clock = FakeClock()
    window = Window(10, clock)
    window.take(1)
    clock.advance(20)
    window.take(1)

    assert window.reset_s == pytest.approx(61.0)
    clock.advance(60)
    assert window.reset_s == pytest.approx(1.0)


async def settled() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_places_are_given_first_come_first_served():
    places = Places(2, queue_limit=10, queue_s=60)
    served = []

    async def come(number: int) -> None:
        await places.wait()
        served.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(6)]
    await settled()
    assert (served, places.taken, places.queued) == ([0, 1], 2, 4)
    assert not places.take(), "nobody passes those who wait"
    for _ in range(6):
        places.give_back()
        await settled()

    await asyncio.gather(*tasks)
    assert (served, places.taken, places.queued) == ([0, 1, 2, 3, 4, 5], 0, 0)


async def test_the_queue_is_bounded():
    places = Places(1, queue_limit=1, queue_s=60)
    assert places.take()
    first = asyncio.create_task(places.wait())
    await settled()

    assert places.is_full
    with pytest.raises(NoPlaceError) as refused:
        await places.wait()
    assert refused.value.reason == "queue_full"
    places.give_back()
    await first
    assert (places.taken, places.queued) == (1, 0)


async def test_nobody_waits_for_ever():
    places = Places(1, queue_limit=5, queue_s=60)
    places.take()

    with pytest.raises(NoPlaceError) as refused:
        await places.wait(0.001)
    assert refused.value.reason == "queue_timeout"
    assert (places.taken, places.queued) == (1, 0)


async def test_who_has_waited_too_long_is_not_begun_when_timers_are_late():
    clock = FakeClock()
    places = Places(1, queue_limit=5, queue_s=10, clock=clock)
    places.take()
    late = asyncio.create_task(places.wait())
    await settled()
    clock.advance(9)
    in_time = asyncio.create_task(places.wait())
    await settled()
    clock.advance(2)
    places.give_back()
    await settled()

    with pytest.raises(NoPlaceError):
        await late
    await in_time
    assert (places.taken, places.queued) == (1, 0)


async def test_who_leaves_the_queue_takes_no_place():
    places = Places(1, queue_limit=5, queue_s=60)
    places.take()
    leaver, stayer = (asyncio.create_task(places.wait()) for _ in range(2))
    await settled()
    leaver.cancel()
    await settled()
    assert places.queued == 1
    places.give_back()
    await stayer

    assert (places.taken, places.queued) == (1, 0)


async def test_a_place_given_to_one_who_leaves_in_that_instant_goes_to_the_next():
    places = Places(1, queue_limit=5, queue_s=60)
    places.take()
    leaver, stayer = (asyncio.create_task(places.wait()) for _ in range(2))
    await settled()
    places.give_back()
    leaver.cancel()
    await settled()

    assert leaver.cancelled()
    await stayer
    assert (places.taken, places.queued) == (1, 0)


async def test_more_places_serve_the_queue_and_fewer_take_nothing_away():
    places = Places(1, queue_limit=5, queue_s=60)
    places.take()
    waiting = [asyncio.create_task(places.wait()) for _ in range(3)]
    await settled()
    places.set_limits(3, 5, 60)
    await settled()
    assert (places.taken, places.queued) == (3, 1)
    places.set_limits(1, 5, 60)
    places.give_back()
    places.give_back()
    await settled()
    assert (places.taken, places.queued) == (1, 1)
    places.give_back()
    await asyncio.gather(*waiting)

    assert (places.taken, places.queued) == (1, 0)


@given(
    limit=st.integers(1, 4),
    acts=st.lists(st.tuples(st.sampled_from(["come", "leave", "go", "turn"]), st.integers(0, 9))),
)
def test_places_are_never_lost_nor_too_many(limit, acts):
    async def play() -> None:
        places = Places(limit, queue_limit=3, queue_s=60)
        inside = 0
        most = 0
        doors: list[asyncio.Event] = []

        async def visit(door: asyncio.Event) -> None:
            nonlocal inside, most
            await places.wait()
            try:
                inside += 1
                most = max(most, inside)
                await door.wait()
            finally:
                inside -= 1
                places.give_back()

        tasks: list[asyncio.Task[None]] = []
        for act, number in acts:
            if act == "come":
                doors.append(asyncio.Event())
                tasks.append(asyncio.create_task(visit(doors[-1])))
            elif act == "turn":
                await asyncio.sleep(0)
            elif tasks:
                chosen = number % len(tasks)
                if act == "leave":
                    tasks[chosen].cancel()
                else:
                    doors[chosen].set()
        for door in doors:
            door.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)

        assert all(
            one is None or isinstance(one, NoPlaceError | asyncio.CancelledError) for one in found
        )
        assert most <= limit
        assert (places.taken, places.queued) == (0, 0)

    asyncio.run(play())
