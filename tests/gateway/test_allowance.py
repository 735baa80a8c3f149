from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faultmaven.config.errors import ConfigFileError
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
    (told,) = allowances.too_small(4)

    assert told.startswith("limits.providers.groq.concurrency: 3 cannot be shared out among 4")
    assert allowances.too_small(2) == []


def test_limits_that_are_nobodys_are_named(allowances):
    assert allowances.unknown(["groq"], ["own", "other"]) == []
    assert allowances.unknown(["grog", "openai"], ["own", "others"]) == [
        "limits.keys.other: there is no such key. Did you mean others?",
        "limits.providers.groq: there is no such provider. Did you mean grog?",
    ]


def test_another_spelling_of_limits_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "faultmaven.yaml"
    path.write_text("""
rate_limit_settings:
  enabled: true
  limits:
    groq:
      rpm: 60
      tpm: 100000
""")
    read = Allowances.of(load_settings(FAULTMAVEN_CONFIG=str(path)))

    assert read.of_provider("groq", {}) == Allowance(60, 100_000)
    path.write_text(path.read_text().replace("60", "0"))
    with pytest.raises(
        ConfigFileError, match=r"yaml:6: limits.providers.groq.requests_per_minute"
    ):
        load_settings(FAULTMAVEN_CONFIG=str(path))


@pytest.mark.parametrize(
    "text",
    [
        "rate_limit_settings: {burst: 5}",
        "{rate_limit_settings: {enabled: true}, limits: {enabled: true}}",
        "rate_limit_settings: {limits: [groq]}",
        "rate_limit_settings: {limits: {groq: {rps: 5}}}",
    ],
)
def test_what_is_not_understood_of_it_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "faultmaven.yaml"
    path.write_text(text)

    with pytest.raises(ConfigFileError, match="unknown field"):
        load_settings(FAULTMAVEN_CONFIG=str(path))
