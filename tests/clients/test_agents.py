"""Claude Code and Codex, unmodified: each takes a turn in which it runs a command that it is told to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from faultmaven.testing import Reply
from tests.clients.node import find_program

TIMEOUT_S = 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(program: str, *arguments: str, home: Path, **variables: str) -> str:
    """Run an agent in an empty house of its own, without a way to the network; give what it says."""
    done = subprocess.run(
        [find_program(program), *arguments],
        cwd=home,
        env={
            "PATH": f"{Path(find_program('node')).parent}:/usr/bin:/bin",
            "HOME": str(home.parent),
            "TMPDIR": str(home.parent),
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("model", ["messages", "chat"], indirect=True)
def test_claude_code_runs_a_command(gateway, upstream, model, home):
    command = {"command": "echo written > proof.txt", "description": "Write a file"}

    upstream.script([Reply(tool_calls=[("Bash", command)]), Reply("The file is written.")])

    said = run(
        "claude",
        "-p",
        "Write the file.",
        "--model",
        model,
        "--allowedTools",
        "Bash",
        "--output-format",
        "text",
        home=home,
        ANTHROPIC_BASE_URL=gateway.url,
        ANTHROPIC_AUTH_TOKEN=gateway.key,
        ANTHROPIC_SMALL_FAST_MODEL=model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        DISABLE_TELEMETRY="1",
        DISABLE_ERROR_REPORTING="1",
    )

    assert "The file is written." in said
    assert (home / "proof.txt").read_text() == "written\n"


@pytest.mark.parametrize("model", ["responses", "chat", "messages"], indirect=True)
def test_codex_runs_a_command(gateway, upstream, model, home):
    settings = home.parent / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(
        f"""\
model = "{model}"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.gateway]
name = "FaultMaven"
base_url = "{gateway.base_url}"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    )
    call = ("exec_command", {"cmd": "echo written > proof.txt"})
    upstream.script([Reply(tool_calls=[call]), Reply("The file is written.")])

    said = run(
        "codex",
        "exec",
        "--skip-git-repo-check",
        "Write the file.",
        home=home,
        CODEX_HOME=str(settings),
        GATEWAY_KEY=gateway.key,
    )

    assert "The file is written." in said
    assert (home / "proof.txt").read_text() == "written\n"
