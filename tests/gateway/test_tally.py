from __future__ import annotations

from faultmaven.gateway.meter import Meter, merged
from faultmaven.gateway.tally import REASONS, Tally


def test_the_numbers_of_all_workers_are_one():
    mine, theirs = Meter(), Meter()
    mine.tally.calls, theirs.tally.calls = 3, 4
    theirs.tally.queued = 2
    mine.tally.replayed = 1
    mine.tally.rejected["queue_full"] = 5
    theirs.tally.rejected["queue_full"] = 6

    text = merged(mine, [theirs.to_bytes()]).expose().decode()
    assert "faultmaven_model_calls 7.0" in text
    assert "faultmaven_queued 2.0" in text
    assert "faultmaven_replayed_total 1.0" in text
    assert 'faultmaven_rejected_total{reason="queue_full"} 11.0' in text


def test_a_successor_counts_on_and_begins_empty():
    tally = Tally()
    tally.calls = tally.queued = 2
    tally.rejected["key_tokens"] = 3
    tally.forget_present()

    assert (tally.calls, tally.queued, tally.rejected["key_tokens"]) == (0, 0, 3)


def test_reasons_are_in_order_and_once():
    assert list(REASONS) == sorted(set(REASONS))
