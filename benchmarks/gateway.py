"""The gateway beside a bare relay: CPU of a request and of a streamed chunk, start, memory.

The gateway checks a key, routes, counts and bounds every wait; the relay does nothing of that.  CPU is
what /proc says of the server's process, so that this needs Linux.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.load import Ask, ask_all
from benchmarks.mock import mock_upstream
from benchmarks.report import Report, Section
from benchmarks.servers import Server, gateway, gateway_with_ledger, relay

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from contextlib import AbstractContextManager

FLOOR: Final = "bare aiohttp relay"
WIDTH: Final = 16
# A paced stream's chunks, in milliseconds: what the output of a model looks like.
PACE_MS: Final = 20
CHAT: Final = Ask("/v1/chat/completions", "openai/mock")
MESSAGES: Final = Ask("/v1/messages", "anthropic/mock")


class Subject(NamedTuple):
    """Something that is measured: a server, and what it is asked for."""

    serve: Callable[[str], AbstractContextManager[Server]]
    ask: Ask


SUBJECTS: Final = {
    FLOOR: Subject(relay, CHAT),
    "OpenAI to OpenAI": Subject(gateway, CHAT),
    "OpenAI to OpenAI with a ledger": Subject(gateway_with_ledger, CHAT),
    "Anthropic to Anthropic": Subject(gateway, MESSAGES),
    "OpenAI to Anthropic": Subject(gateway, CHAT._replace(model="anthropic/mock")),
    "Anthropic to OpenAI": Subject(gateway, MESSAGES._replace(model="openai/mock")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--calls", type=int, default=4000, help="requests of a round")
    parser.add_argument("--streams", type=int, default=200, help="streams of a round")
    parser.add_argument("--chunks", type=int, default=200, help="chunks of a stream")
    parser.add_argument("--paced", type=int, default=32, help="streams at a model's pace")
    parser.add_argument("--only", default="", help="ways, separated by commas, beside the floor")


def chosen(only: str) -> dict[str, Subject]:
    """Give the floor and what was asked for; everything for ""."""
    names = {FLOOR, *only.split(",")} if only else set(SUBJECTS)
    return {name: subject for name, subject in SUBJECTS.items() if name in names}


def run(options: argparse.Namespace) -> Report:
    """Measure everything, each server started anew in every round."""
    sections = [
        Section("Start to the first answer", "ms", FLOOR),
        Section("CPU until then", "ms", FLOOR),
        Section(f"CPU of a request, {WIDTH} connections", "µs", FLOOR),
        Section("CPU of a chunk, streams as fast as they go", "µs", FLOOR),
        Section(f"CPU of a chunk, one every {PACE_MS} ms in {options.paced} streams", "µs", FLOOR),
        Section("Memory after that", "MB", FLOOR),
    ]
    subjects = list(chosen(options.only).items())
    with mock_upstream(options.chunks) as upstream:
        for number in range(options.rounds):
            turn = number % len(subjects)
            for name, subject in subjects[turn:] + subjects[:turn]:
                figures = _round(subject, upstream, options)
                for section, figure in zip(sections, figures, strict=True):
                    section.add(name, figure)
            sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
    return Report(sections)


def _round(subject: Subject, upstream: str, options: argparse.Namespace) -> list[float]:
    serve, ask = subject
    streamed = ask._replace(chunks=options.chunks)
    started = time.perf_counter()
    with serve(upstream) as server:
        asyncio.run(ask_all(server.port, ask, width=1, count=1))
        first_ms = (time.perf_counter() - started) * 1000
        first_cpu_ms = server.cpu_s() * 1000
        asyncio.run(ask_all(server.port, ask, width=WIDTH, count=10 * WIDTH))
        plain_us = _cpu_us(server, ask, WIDTH, options.calls)
        burst_us = _cpu_us(server, streamed, WIDTH, options.streams)
        memory_mb = server.memory_mb()
    with serve(upstream.replace("/v1", f"/pace/{PACE_MS}/v1")) as server:
        asyncio.run(ask_all(server.port, ask, width=WIDTH, count=WIDTH))
        paced_us = _cpu_us(server, streamed, options.paced, options.paced)
    return [
        first_ms,
        first_cpu_ms,
        plain_us / options.calls,
        burst_us / (options.streams * options.chunks),
        paced_us / (options.paced * options.chunks),
        memory_mb,
    ]


def _cpu_us(server: Server, ask: Ask, width: int, count: int) -> float:
    before = server.cpu_s()
    asyncio.run(ask_all(server.port, ask, width=width, count=count))
    return (server.cpu_s() - before) * 1e6
