"""The real command in a process of its own, in an empty folder and with an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from faultmaven.testing import FakeUpstream

Run = subprocess.CompletedProcess[str]
TIMEOUT_S = 60


class FaultMaven(Protocol):
    """Runs `faultmaven ARGUMENTS` and gives what came of it."""

    def __call__(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Run: ...


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    return {
        # Where coverage is measured, it is measured in these processes, too.
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(root),
        "PYTHONWARNINGS": "error",
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def faultmaven(environment: dict[str, str], tmp_path: Path) -> FaultMaven:
    def run(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "faultmaven", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=TIMEOUT_S,
            cwd=tmp_path,
            env={**environment, **(env or {})},
        )

    return run


@pytest.fixture
def start(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Start the command, and end it with the test."""
    running: list[subprocess.Popen[Any]] = []

    def begin(
        *arguments: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        options = {"stdin": subprocess.DEVNULL, "stdout": -1, "stderr": -1} | options
        command = [sys.executable, "-m", "faultmaven", *arguments]
        process = subprocess.Popen(
            options.pop("command", command),
            cwd=tmp_path,
            env={**environment, **(env or {})},
            text=False,
            **options,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream.in_thread() as server:
        yield server


@pytest.fixture
def local(upstream: FakeUpstream) -> dict[str, str]:
    """Give the variables that make the fake upstream the one that answers."""
    return {
        "CHAT_PROVIDER": "local",
        "LOCAL_LLM_BASE_URL": upstream.base_url,
        "LOCAL_LLM_MODEL": "fake-model",
        "LLM_MAX_RETRIES": "0",
    }
