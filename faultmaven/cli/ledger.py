"""`faultmaven ledger`: what calls through the gateway have cost, and how long they took."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.group import DefaultGroup
from faultmaven.cli.output import say_error, write_json, write_table
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faultmaven.infrastructure.llm.db.call_reader import CallReader

    Rows = list[dict[str, Any]]

GROUPS: Final = ("provider", "model", "caller", "day", "front", "outcome")
_SPAN: Final = re.compile(r"(\d{1,5})([smhdw])")
_SPAN_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SUMMED: Final = (
    "name", "calls", "failed", "input_tokens", "output_tokens", "estimated", "cost_usd",
    "without_price",
)  # fmt: skip
_LISTED: Final = (
    "time", "request_id", "caller", "provider", "model", "status", "outcome", "duration_ms",
    "input_tokens", "output_tokens", "usage_source", "cost_usd",
)  # fmt: skip
_TIMED: Final = ("name", "calls", "p50_ms", "p95_ms", "first_p50_ms", "first_p95_ms")


def _read_since(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int:
    """Read `24h`, `7d`, `2026-11-01` or `2026-11-01T12:00` (UTC) as milliseconds since 1970."""
    if value is None:
        return 0
    if found := _SPAN.fullmatch(value):
        span = timedelta(seconds=int(found[1]) * _SPAN_S[found[2]])
        return int((datetime.now(UTC) - span).timestamp() * 1000)
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        msg = f"{value!r} is neither a span such as 24h or 7d nor a date."
        raise click.BadParameter(msg) from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return int(at.timestamp() * 1000)


_SINCE = click.option(
    "--since", "since_ms", callback=_read_since, help="Only since then: 24h, 7d, 2026-11-01."
)
_BY = click.option(
    "--by", type=click.Choice(GROUPS), default="provider", help="Put together by; provider."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=DefaultGroup, default="sum")
def ledger() -> None:
    """Show what the gateway has kept of calls."""


@ledger.command("sum")
@_BY
@_SINCE
@_JSON
def sum_calls(by: str, since_ms: int, as_json: bool) -> int:
    """Sum calls, tokens and cost.

    `estimated` counts calls whose tokens the provider did not report; `without_price` counts those whose
    price nobody knows, which are in no sum.
    """
    return _show(lambda reader: reader.sums(by, since_ms), _SUMMED, as_json=as_json)


@ledger.command("list")
@click.option("-n", "--count", type=click.IntRange(1, 100_000), default=20, help="How many; 20.")
@_SINCE
@_JSON
def list_calls(count: int, since_ms: int, as_json: bool) -> int:
    """List the newest calls, the newest last; times are UTC."""
    return _show(
        lambda reader: [_timed(row) for row in reader.newest(count, since_ms)],
        _LISTED,
        as_json=as_json,
    )


@ledger.command("stats")
@_BY
@_SINCE
@_JSON
def show_latencies(by: str, since_ms: int, as_json: bool) -> int:
    """Show how long good calls took: median and 95th percentile, whole and to a stream's first piece."""
    return _show(lambda reader: reader.latencies(by, since_ms), _TIMED, as_json=as_json)


def _show(read: Callable[[CallReader], Rows], columns: tuple[str, ...], *, as_json: bool) -> int:
    import sqlite3

    from faultmaven.infrastructure.llm.db.call_reader import CallReader

    path = _find_path()
    try:
        rows = read(CallReader(path))
    except FileNotFoundError:
        say_error(
            f"There is no ledger at {path}: `retention` in faultmaven.yaml or "
            "FAULTMAVEN_DATABASE_URL has the gateway keep one."
        )
        return EXIT_FAILED
    except sqlite3.Error as exc:
        say_error(f"The ledger {path} cannot be read: {exc}.")
        return EXIT_FAILED
    if as_json:
        write_json(rows)
    else:
        write_table(columns, [[_shown(row[name]) for name in columns] for row in rows])
    return EXIT_OK


def _find_path() -> Path:
    from faultmaven.gateway.books import default_path
    from faultmaven.infrastructure.llm.ledger import path_of_url

    settings = start_registry().settings
    url = settings.faultmaven_database_url
    return default_path(settings) if url is None else path_of_url(url)


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.pop("time_ms") / 1000, UTC)
    return {"time": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **row}


def _shown(value: object) -> object:
    return f"{value:.6f}" if isinstance(value, float) else value
