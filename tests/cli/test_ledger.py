from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from faultmaven.infrastructure.llm.db.call_reader import percentile
from faultmaven.infrastructure.llm.db.call_store import CallStore
from tests.infrastructure.llm.test_ledger import row

NOW = datetime.now(UTC)


@pytest.fixture
def run(faultmaven, tmp_path):
    store = CallStore(tmp_path / "ledger.db")
    store.write(
        [
            row(1, at=NOW, provider="groq", model="llama", caller="ann", input_tokens=10,
                output_tokens=5, usage_source="provider", cost_usd=0.25, duration_ms=100),
            row(2, at=NOW, provider="groq", model="llama", caller="bob", input_tokens=1,
                output_tokens=1, usage_source="estimated", cost_usd=0.5, duration_ms=300),
            row(3, at=NOW - timedelta(days=3), provider="xai", model="g", outcome="RateLimitError",
                status=429),
        ]
    )  # fmt: skip
    store.close()

    def running(*arguments: str) -> subprocess.CompletedProcess[str]:
        url = f"sqlite:///{tmp_path}/ledger.db"
        return faultmaven("ledger", *arguments, env={"FAULTMAVEN_DATABASE_URL": url})

    return running


def test_sums_are_by_provider(run):
    found = run()

    assert found.returncode == 0
    assert found.stdout.splitlines() == [
        "groq\t2\t0\t11\t6\t1\t0.750000\t0",
        "xai\t1\t1\t0\t0\t0\t\t0",
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--by", "caller"), ["bob", "ann", "key1"]),
        (("--by", "model", "--since", "1d"), ["groq/llama"]),
        (("--by", "outcome"), ["ok", "RateLimitError"]),
        (("--since", "2999-01-01"), []),
    ],
)
def test_sums_are_by_what_is_asked(run, arguments, names):
    found = json.loads(run("sum", *arguments, "--json").stdout)

    assert [entry["name"] for entry in found] == names


def test_sums_by_day_are_in_order(run):
    found = json.loads(run("sum", "--by", "day", "--json").stdout)

    days = [entry["name"] for entry in found]
    assert days == sorted(days)
    assert sum(entry["calls"] for entry in found) == 3


def test_the_newest_calls_are_listed(run):
    found = json.loads(run("list", "-n", "2", "--json").stdout)

    assert [entry["request_id"] for entry in found] == ["req_2", "req_3"]
    assert found[0]["time"].endswith("Z")


def test_latencies_are_of_good_calls(run):
    found = json.loads(run("stats", "--json").stdout)

    assert [(e["name"], e["p50_ms"], e["p95_ms"]) for e in found] == [("groq", 100, 300)]


def test_a_span_that_is_none_is_refused(run):
    found = run("--since", "yesterday")

    assert found.returncode == 2
    assert "24h" in found.stderr


def test_no_ledger_is_said(faultmaven):
    found = faultmaven("ledger")

    assert found.returncode == 1
    assert "retention" in found.stderr


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.95, 95)],
)
def test_percentiles(values, share, expected):
    assert percentile(values, share) == expected
