"""`make run` and `make chat`, with everything installed: what is served, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.clients.installed import need_program
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT_S = 60


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start make as a terminal would: in a process group of its own, with all of it installed."""
    program_make = need_program("make")
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    program = programs / "faultmaven"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m faultmaven "$@"\n')
    program.chmod(0o755)
    venv = tmp_path / "venv"
    installed = ["-o", f"{venv}/.run", "-o", f"{venv}/.engine", f"VENV={venv}"]
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        "CHAT_PROVIDER": "echo",
        "FAULTMAVEN_ENV_FILE": os.devnull,
    }
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [program_make, "--no-print-directory", *installed, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_it_says_hello_serves_and_ends_with_ctrl_c(make):
    process = make("run", "PORT=0")
    said = []
    for line in process.stderr:
        said.append(line)
        if "/health/ready" in line:
            break

    os.killpg(process.pid, signal.SIGINT)
    output, rest = process.communicate(timeout=TIMEOUT_S)

    assert "listens on http://127.0.0.1:" in "".join(said)
    assert "Echo (no model): Say hello" in output
    assert process.returncode in (0, -signal.SIGINT)
    assert rest.strip() == ""


def test_a_message_is_answered_once(make):
    message = """What's $HOME, "quoted" (and more)?"""

    output, _ = make("run", f"MESSAGE={message}").communicate(timeout=TIMEOUT_S)

    assert output == f"Echo (no model): {message}\n"


def test_a_port_that_is_taken_is_said_with_the_remedy(make):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = make("run", f"PORT={port}")
        _, said = process.communicate(timeout=TIMEOUT_S)

    other = port + 1 if port < 65535 else port - 1
    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert f"make run PORT={other}" in said


def test_chat_is_the_conversation(make):
    process = make("chat", "--dry-run")
    output, _ = process.communicate(timeout=TIMEOUT_S)

    assert output.rstrip().endswith("faultmaven chat")
