from __future__ import annotations

import pytest

from faultmaven.gateway.failed_tries import MAX_ADDRESSES, FailedTries
from faultmaven.infrastructure.llm.retry import FakeClock


def test_the_eleventh_failure_of_a_minute_is_one_too_many():
    clock = FakeClock()
    tries = FailedTries(clock=clock)

    assert [tries.note("10.0.0.1") for _ in range(10)] == [0.0] * 10
    clock.advance(20)
    assert tries.note("10.0.0.1") == 40.0
    assert tries.note("10.0.0.2") == 0.0
    clock.advance(40)
    assert tries.note("10.0.0.1") == 0.0


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("no:address", "no:address", True),
    ],
)
def test_who_has_a_network_is_one(first, second, are_one):
    tries = FailedTries(limit=1, clock=FakeClock())
    tries.note(first)

    assert (tries.note(second) > 0) is are_one


def test_no_number_of_addresses_takes_more_memory():
    tries = FailedTries(limit=1, clock=FakeClock())
    for number in range(MAX_ADDRESSES + 100):
        tries.note(f"a{number}")

    assert len(tries._found) == MAX_ADDRESSES
    assert tries.note("a0") == 0.0, "the oldest are forgotten"


def test_this_machine_is_slowed_down_only_where_that_is_asked_for():
    usual, strict = FailedTries(clock=FakeClock()), FailedTries(limit=1, clock=FakeClock())

    assert not any(usual.note(address) for address in ["127.0.0.1", "::1"] * 20)
    assert [strict.note("127.0.0.1") > 0 for _ in range(2)] == [False, True]


def test_without_a_limit_everybody_may_go_on():
    tries = FailedTries(limit=0, clock=FakeClock())

    assert not any(tries.note("10.0.0.1") for _ in range(100))
