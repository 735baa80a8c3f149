from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faultmaven.config.settings import load_settings
from faultmaven.gateway.allowance import NO_BOUNDS, Allowance, Allowances

FILE = """
keys:
  - {name: own, key: vk-own-0123456789, limits: {requests_per_minute: 5}}
limits:
  default: {requests_per_minute: 60, concurrency: 4}
  keys:
    own: {requests_per_minute: 50, tokens_per_minute: 700}
    other: {concurrency: 9}
  providers:
    groq: {concurrency: 3}
"""


@pytest.fixture
def allowances(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "faultmaven.yaml"
    path.write_text(FILE)
    return Allowances.of(load_settings(FAULTMAVEN_CONFIG=str(path)))


def test_what_is_said_nearest_to_a_key_wins(allowances):
    assert allowances.of_key("own") == Allowance(5, 700, 4)
    assert allowances.of_key("other") == Allowance(60, None, 9)
    assert allowances.of_key("somebody") == Allowance(60, None, 4)


def test_the_file_wins_over_a_providers_row(allowances):
    row = {"limits": {"concurrency": 8, "requests_per_minute": 10, "min_interval_ms": 5}}

    assert allowances.of_provider("groq", row) == Allowance(10, None, 3)
    assert allowances.of_provider("openai", row) == Allowance(10, None, 8)
    assert allowances.of_provider("openai", {}) == NO_BOUNDS


def test_nothing_holds_where_limits_are_switched_off(allowances):
    off = Allowances(allowances.providers, allowances.keys, allowances.default, enabled=False)

    assert off.of_key("own") == NO_BOUNDS
    assert off.of_provider("groq", {"limits": {"concurrency": 1}}) == NO_BOUNDS


@given(limit=st.integers(1, 100_000), workers=st.integers(1, 64))
def test_the_workers_shares_are_the_limit(limit, workers):
    whole = Allowance(limit, limit, limit, max_tokens=5)
    shares = [whole.share(workers, worker) for worker in range(workers)]

    assert sum(share.requests_per_minute for share in shares) == max(limit, workers)
    assert all(share.max_tokens == 5 for share in shares)
    assert max(s.concurrency for s in shares) - min(s.concurrency for s in shares) <= 1


def test_limits_that_cannot_be_shared_out_are_named(allowances):
    assert allowances.less_than(4) == ["limits.providers.groq.concurrency"]
    assert allowances.less_than(2) == []
