"""Servers that are measured, each a process of its own; what /proc says of them needs Linux."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.load import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LEDGER: Final = "retention: { days: 1 }\n"


class Server(NamedTuple):
    """A server under measurement."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Give the processor time it has used, in seconds."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self, *, peak: bool = False) -> float:
        """Give the memory that it has now, or had at most."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"Vm{'HWM' if peak else 'RSS'}:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    def open_files(self) -> int:
        """Give how many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def relay(upstream: str) -> Iterator[Server]:
    """Run the floor."""
    command = [sys.executable, "-m", "benchmarks.gateway_relay", upstream]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(process.pid, int(process.stdout.readline()))
        process.stdin.close()


@contextmanager
def gateway(upstream: str) -> Iterator[Server]:
    """Run the gateway with a key and two providers, which are the mock."""
    with _serve(upstream) as server:
        yield server


@contextmanager
def gateway_with_ledger(upstream: str) -> Iterator[Server]:
    """Run it with the ledger on."""
    with _serve(upstream, _LEDGER) as server:
        yield server


@contextmanager
def _serve(upstream: str, configuration: str = "") -> Iterator[Server]:
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FAULTMAVEN_GATEWAY_KEYS": KEY,
        "CHAT_PROVIDER": "openai",
        "OPENAI_API_KEY": "sk-benchmark",
        "OPENAI_API_BASE": upstream,
        "ANTHROPIC_API_KEY": "sk-ant-benchmark",
        "ANTHROPIC_API_BASE": upstream,
    }
    command = [sys.executable, "-m", "faultmaven", "serve", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        if configuration:
            Path(folder, "faultmaven.yaml").write_text(configuration, encoding="utf-8")
        with subprocess.Popen(
            command, cwd=folder, env={**variables, "XDG_STATE_HOME": folder}, stderr=said
        ) as process:
            try:
                yield Server(process.pid, _wait_for_port(process, said.fileno()))
            finally:
                process.terminate()


def _wait_for_port(process: subprocess.Popen[bytes], said: int) -> int:
    """Read the port off the first words of the gateway.

    They go to a file: nobody would empty a pipe while requests are counted.
    """
    while process.poll() is None:
        text = os.pread(said, 65536, 0).decode()
        if found := re.search(r"http://127\.0\.0\.1:(\d+)\S*\n", text):
            return int(found[1])
    msg = f"the gateway did not start: {os.pread(said, 65536, 0).decode()}"
    raise RuntimeError(msg)
