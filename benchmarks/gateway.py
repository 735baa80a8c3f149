"""The gateway beside a bare relay: CPU of a request and of a streamed chunk, start, memory.

The gateway checks a key, routes, counts and bounds every wait; the relay does nothing of that.  CPU is
what /proc says of the server's process, so that this needs Linux.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.mock import TEXT, WORD, mock_upstream
from benchmarks.report import Report, Section

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

FLOOR = "bare aiohttp relay"
KEY = "gk-benchmark-0123456789"
ROOT = Path(__file__).resolve().parent.parent
WIDTH = 16
_TICKS = os.sysconf("SC_CLK_TCK")


class Server(NamedTuple):
    """A server under measurement."""

    pid: int
    port: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--calls", type=int, default=4000, help="requests of a round")
    parser.add_argument("--streams", type=int, default=200, help="streams of a round")
    parser.add_argument("--chunks", type=int, default=200, help="chunks of a stream")


def run(options: argparse.Namespace) -> Report:
    """Measure everything, each server started anew in every round."""
    sections = [
        Section("Start to the first answer", "ms", FLOOR),
        Section(f"CPU of a request, {WIDTH} connections", "µs", FLOOR),
        Section("CPU of a streamed chunk", "µs", FLOOR),
        Section("Memory after that", "MB", FLOOR),
    ]
    with mock_upstream(options.chunks) as upstream:
        for number in range(options.rounds):
            subjects = list(SUBJECTS.items())
            for name, start in subjects[number % 2 :] + subjects[: number % 2]:
                figures = _round(start, upstream, options)
                for section, figure in zip(sections, figures, strict=True):
                    section.add(name, figure)
            sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
    return Report(sections)


def _round(
    start: Callable[[str], Iterator[Server]], upstream: str, options: argparse.Namespace
) -> list[float]:
    started = time.perf_counter()
    with contextmanager(start)(upstream) as server:
        asyncio.run(_load(server.port, 1, 1, stream=False, chunks=0))
        first_ms = (time.perf_counter() - started) * 1000
        asyncio.run(_load(server.port, WIDTH, 10 * WIDTH, stream=False, chunks=0))
        plain = _cpu_us(server, options.calls, stream=False, chunks=0)
        streamed = _cpu_us(server, options.streams, stream=True, chunks=options.chunks)
        return [
            first_ms,
            plain / options.calls,
            streamed / (options.streams * options.chunks),
            _memory_mb(server.pid),
        ]


def _cpu_us(server: Server, count: int, *, stream: bool, chunks: int) -> float:
    before = _cpu_s(server.pid)
    asyncio.run(_load(server.port, WIDTH, count, stream=stream, chunks=chunks))
    return (_cpu_s(server.pid) - before) * 1e6


async def _load(port: int, width: int, count: int, *, stream: bool, chunks: int) -> None:
    left = iter(range(count))
    await asyncio.gather(*(_client(port, left, stream, chunks) for _ in range(width)))


async def _client(port: int, left: Iterator[int], stream: bool, chunks: int) -> None:
    """Send requests over one connection, and check every answer.

    Raises:
        RuntimeError: an answer is wrong: a figure that was not checked counts for nothing.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = _request(stream)
    for _ in left:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = (
            await reader.readexactly(int(found[1]))
            if found
            else await reader.readuntil(b"\r\n0\r\n\r\n")
        )
        is_right = (
            body.count(WORD.encode()) == chunks and b"[DONE]" in body
            if stream
            else TEXT.encode() in body
        )
        if not is_right:
            msg = f"a wrong answer: {head!r} {body[:300]!r}"
            raise RuntimeError(msg)
    writer.close()
    await writer.wait_closed()


def _request(stream: bool) -> bytes:
    fields = {
        "model": "openai/mock",
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "How does the registry choose a provider? " * 6},
        ],
        "max_tokens": 256,
        "temperature": 0.7,
    }
    body = json.dumps({**fields, "stream": True} if stream else fields).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: benchmark\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _relay(upstream: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.gateway_relay", upstream]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(process.pid, int(process.stdout.readline()))
        process.stdin.close()


def _gateway(upstream: str) -> Iterator[Server]:
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FAULTMAVEN_GATEWAY_KEYS": KEY,
        "CHAT_PROVIDER": "openai",
        "OPENAI_API_KEY": "sk-benchmark",
        "OPENAI_API_BASE": upstream,
    }
    command = [sys.executable, "-m", "faultmaven", "serve", "--port", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            if not line:
                msg = "the gateway did not start"
                raise RuntimeError(msg)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        yield Server(process.pid, int(found[1]))
        process.terminate()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


SUBJECTS = {FLOOR: _relay, "faultmaven serve": _gateway}
