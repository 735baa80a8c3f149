"""Reading the file of calls: sums, newest calls, and how long calls took."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.db.call_store import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What calls are put together by, and how that is said in SQL.
GROUPS: Final = {
    "provider": "provider",
    "model": "provider || '/' || model",
    "caller": "caller",
    "day": "date(time_ms / 1000, 'unixepoch')",
    "front": "front",
    "outcome": "outcome",
}
_SUMS: Final = """
    count(*) AS calls,
    sum(outcome != 'ok') AS failed,
    sum(coalesce(input_tokens, 0)) AS input_tokens,
    sum(coalesce(output_tokens, 0)) AS output_tokens,
    sum(usage_source = 'estimated') AS estimated,
    sum(cost_usd) AS cost_usd,
    sum(cost_usd IS NULL AND usage_source != 'none') AS without_price
"""


class CallReader:
    """Reads a ledger's file, which may be written at the same time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def sums(self, group: str, since_ms: int) -> list[dict[str, Any]]:
        """Sum calls since an instant by one of `GROUPS`, the dearest first, days in their order.

        Raises:
            OSError: there is no such file.
            sqlite3.Error: it cannot be read.
        """
        order = "name" if group == "day" else "cost_usd DESC, calls DESC"
        query = (
            f"SELECT {GROUPS[group]} AS name, {_SUMS} FROM calls WHERE time_ms >= ? "  # noqa: S608  # our own words
            f"GROUP BY name ORDER BY {order}"
        )
        return self._read(query, (since_ms,))

    def newest(self, count: int, since_ms: int) -> list[dict[str, Any]]:
        """Give the newest calls since an instant, the newest last.

        Raises:
            OSError: there is no such file.
            sqlite3.Error: it cannot be read.
        """
        query = (
            f"SELECT {', '.join(COLUMNS)} FROM calls WHERE time_ms >= ? "  # noqa: S608  # our own words
            "ORDER BY id DESC LIMIT ?"
        )
        return self._read(query, (since_ms, count))[::-1]

    def latencies(self, group: str, since_ms: int) -> list[dict[str, Any]]:
        """Give the median and the 95th percentile of good calls since an instant.

        Raises:
            OSError: there is no such file.
            sqlite3.Error: it cannot be read.
        """
        query = (
            f"SELECT {GROUPS[group]} AS name, duration_ms, first_ms FROM calls "  # noqa: S608  # our own words
            "WHERE time_ms >= ? AND outcome = 'ok' AND provider != ''"
        )
        found: dict[str, tuple[list[int], list[int]]] = {}
        for row in self._read(query, (since_ms,)):
            durations, firsts = found.setdefault(row["name"], ([], []))
            durations.append(row["duration_ms"])
            if row["first_ms"] is not None:
                firsts.append(row["first_ms"])
        return [_latency(name, *found[name]) for name in sorted(found)]

    def _read(self, query: str, values: tuple[int, ...]) -> list[dict[str, Any]]:
        if not self.path.is_file():
            raise FileNotFoundError(2, "there is no such file", str(self.path))
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]


def _latency(name: str, durations: list[int], firsts: list[int]) -> dict[str, Any]:
    return {
        "name": name,
        "calls": len(durations),
        "p50_ms": percentile(durations, 0.5),
        "p95_ms": percentile(durations, 0.95),
        "first_p50_ms": percentile(firsts, 0.5),
        "first_p95_ms": percentile(firsts, 0.95),
    }


def percentile(values: Sequence[int], share: float) -> int | None:
    """Give the least value that so large a share does not exceed; None for no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
