"""The library: imports, the first answer, and the CPU of a call and of a streamed chunk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.callers import CALLERS, KEY, installed
from benchmarks.mock import mock_upstream
from benchmarks.report import Report, Section, measure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

FLOOR = "bare aiohttp"
TIMEOUT_S = 300
WIDTH = 32
ROOT = Path(__file__).resolve().parent.parent
_INSPECTION = (
    "from faultmaven.infrastructure.llm.providers import get_registry;"
    "names = get_registry().get_all_provider_names(); assert len(names) > 1"
)


MORE_ROWS = 10_000
_LOOK_UP = """
import sys, timeit
from faultmaven.infrastructure.llm.providers import PROVIDER_SCHEMA, get_registry
row = {"default_base_url": "http://127.0.0.1:9/v1", "default_model": "m", "api_key_var": None}
PROVIDER_SCHEMA.update({f"more_{number}": dict(row) for number in range(int(sys.argv[1]))})
registry = get_registry()
assert registry.get_provider("echo") is registry.get_provider("echo")
print(min(timeit.repeat(lambda: registry.get_provider("echo"), number=20_000)) / 20_000 * 1e9)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--calls", type=int, default=3200, help="calls of a round")
    parser.add_argument("--streams", type=int, default=40, help="streams of a round")
    parser.add_argument("--chunks", type=int, default=200, help="chunks of a stream")
    parser.add_argument(
        "--only", default="", help="callers, separated by commas, beside the floor"
    )


def run(options: argparse.Namespace) -> Report:
    """Measure everything."""
    names = installed()
    if options.only:
        names = [name for name in names if name in (FLOOR, *options.only.split(","))]
    with mock_upstream(options.chunks) as url:
        return Report(
            [
                _imports(names, options.rounds),
                _inspection(options.rounds),
                _look_ups(options.rounds),
                _first_answer(names, url, options.rounds),
                _calls(names, url, options.calls, 1, options.rounds),
                _calls(names, url, options.calls, WIDTH, options.rounds),
                _chunks(names, url, options.streams, options.rounds),
            ]
        )


def _imports(names: list[str], rounds: int) -> Section:
    section = Section("Import, the interpreter's start included", "ms", "nothing")
    subjects = {"nothing": partial(_wall_ms, ["-c", "pass"])}
    for name in names:
        package = CALLERS[name].package
        subjects[package] = partial(_wall_ms, ["-c", f"import {package}"])
    subjects["click"] = partial(_wall_ms, ["-c", "import click"])
    subjects["faultmaven --help"] = partial(_wall_ms, ["-m", "faultmaven", "--help"])
    return measure(section, subjects, rounds)


def _inspection(rounds: int) -> Section:
    floor = "import pydantic_settings"
    section = Section("Naming every provider (python -c)", "ms", floor)
    subjects = {
        floor: partial(_wall_ms, ["-c", floor]),
        "get_all_provider_names()": partial(_wall_ms, ["-c", _INSPECTION]),
    }
    return measure(section, subjects, rounds)


def _look_ups(rounds: int) -> Section:
    floor = "the built-in rows"
    section = Section("get_provider() after the first", "ns", floor)
    subjects = {
        floor: partial(_look_up_ns, 0),
        f"and {MORE_ROWS} rows more": partial(_look_up_ns, MORE_ROWS),
    }
    return measure(section, subjects, rounds)


def _look_up_ns(more_rows: int) -> float:
    return float(_run(["-c", _LOOK_UP, str(more_rows)]))


def _first_answer(names: list[str], url: str, rounds: int) -> Section:
    section = Section("First answer, from the interpreter's start to its end", "ms", FLOOR)
    subjects: dict[str, Callable[[], float]] = {
        name: partial(_wall_ms, ["-m", "benchmarks.worker", name, "first", url, "1", "1"])
        for name in names
    }
    return measure(section, subjects, rounds)


def _calls(names: list[str], url: str, count: int, width: int, rounds: int) -> Section:
    section = Section(f"CPU of a call, {width} at a time", "µs", FLOOR)
    subjects: dict[str, Callable[[], float]] = {
        name: partial(_cpu_us, name, "plain", url, count, width) for name in names
    }
    return measure(section, subjects, rounds)


def _chunks(names: list[str], url: str, count: int, rounds: int) -> Section:
    section = Section("CPU of a streamed chunk", "µs", FLOOR)
    subjects: dict[str, Callable[[], float]] = {
        name: partial(_cpu_us, name, "stream", url, count, 1) for name in names
    }
    return measure(section, subjects, rounds)


def _wall_ms(arguments: list[str]) -> float:
    started = time.perf_counter()
    _run(arguments)
    return (time.perf_counter() - started) * 1000


def _cpu_us(name: str, kind: str, url: str, count: int, width: int) -> float:
    printed = _run(["-m", "benchmarks.worker", name, kind, url, str(count), str(width)])
    seconds: float = json.loads(printed.splitlines()[-1])["seconds"]
    return seconds * 1e6


def _run(arguments: list[str]) -> str:
    """Run this interpreter in an empty folder, so that no `.env` is found; give what it printed.

    Raises:
        RuntimeError: it failed: a figure that was not checked counts for nothing.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_API_KEY": KEY}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False,
            cwd=folder, env=environment, timeout=TIMEOUT_S,
        )  # fmt: skip
    if done.returncode != 0:
        msg = f"{arguments} ended with {done.returncode}: {done.stderr}"
        raise RuntimeError(msg)
    return done.stdout
