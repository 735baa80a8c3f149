"""The gateway under many: a thousand streams at once, and a hundred thousand requests one after another."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.gateway import FLOOR, WIDTH, chosen
from benchmarks.load import ask_all
from benchmarks.mock import mock_upstream
from benchmarks.report import Report, Section

if TYPE_CHECKING:
    import argparse

# A chunk for each stream in this time: a thousand streams are two thousand chunks a second.
PACE_MS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--streams", type=int, default=1000, help="streams at the same time")
    parser.add_argument("--chunks", type=int, default=20, help="chunks of a stream")
    parser.add_argument("--requests", type=int, default=100_000, help="requests of the long run")
    parser.add_argument("--only", default="", help="ways, separated by commas, beside the floor")


def run(options: argparse.Namespace) -> Report:
    """Measure; a stream or an answer that is not whole ends it with an error."""
    together = Section(f"Most memory with {options.streams} streams at once", "MB", FLOOR)
    seconds = Section("Time until all of them had ended", "ms", FLOOR)
    growth = Section(f"Memory gained in {options.requests} requests", "MB", FLOOR)
    files = Section("Files and sockets left open by them", "", FLOOR)
    with mock_upstream(options.chunks) as upstream:
        slow = upstream.replace("/v1", f"/pace/{PACE_MS}/v1")
        for number in range(options.rounds):
            for name, (serve, ask) in chosen(options.only).items():
                streamed = ask._replace(chunks=options.chunks)
                with serve(slow) as server:
                    begun = time.perf_counter()
                    asyncio.run(
                        ask_all(
                            server.port, streamed, width=options.streams, count=options.streams
                        )
                    )
                    seconds.add(name, (time.perf_counter() - begun) * 1000)
                    together.add(name, server.memory_mb(peak=True))
                with serve(upstream) as server:
                    warm = options.requests // 10
                    asyncio.run(ask_all(server.port, ask, width=WIDTH, count=warm))
                    memory_mb, opened = server.memory_mb(), server.open_files()
                    asyncio.run(ask_all(server.port, ask, width=WIDTH, count=options.requests))
                    growth.add(name, server.memory_mb() - memory_mb)
                    files.add(name, server.open_files() - opened)
            sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
    return Report([together, seconds, growth, files])
