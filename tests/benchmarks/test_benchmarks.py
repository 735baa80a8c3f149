"""The benchmarks run and check what they count; what they measure is for a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.mock import mock_upstream
from benchmarks.report import Section


def test_sdk_benchmark_gives_a_table_and_json(root: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    size = ["--rounds", "1", "--calls", "32", "--streams", "1", "--chunks", "5"]
    command = [sys.executable, "-m", "benchmarks", "sdk", *size, "--only", "faultmaven"]

    run = subprocess.run(
        [*command, "--json", str(figures)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert run.returncode == 0, run.stderr
    assert "CPU of a streamed chunk" in run.stdout
    sections = json.loads(figures.read_text())["sections"]
    assert all(section["subjects"][section["floor"]]["ratio"] == 1 for section in sections)


@pytest.mark.skipif(sys.platform != "linux", reason="the CPU of another process is read in /proc")
@pytest.mark.parametrize(
    ("kind", "size", "told"),
    [
        ("gateway", ["--calls", "16", "--streams", "2", "--paced", "2"], "one every 20 ms"),
        ("crowd", ["--streams", "20", "--requests", "32"], "20 streams at once"),
    ],
)
def test_gateway_benchmarks_check_every_answer(
    root: Path, kind: str, size: list[str], told: str
) -> None:
    command = [sys.executable, "-m", "benchmarks", kind, *size]
    command += ["--rounds", "1", "--chunks", "2", "--only", "Anthropic to OpenAI"]

    run = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=120
    )

    assert run.returncode == 0, run.stderr
    assert told in run.stdout
    assert "Anthropic to OpenAI" in run.stdout


def test_worker_fails_without_an_answer(root: Path) -> None:
    with mock_upstream(3) as url:
        command = [
            sys.executable,
            "-m",
            "benchmarks.worker",
            "bare aiohttp",
            "stream",
            url,
            "1",
            "1",
        ]
        good = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)
    gone = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)

    assert good.returncode == 0
    assert gone.returncode != 0


def test_ratios_are_taken_within_a_round() -> None:
    section = Section("Title", "ms", "floor", {"floor": [1.0, 2.0], "ours": [2.0, 2.0]})

    assert section.ratios("ours") == [2.0, 1.0]
