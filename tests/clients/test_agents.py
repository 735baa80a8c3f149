"""Claude Code and Codex, unmodified: each takes a turn in which it runs a command that it is told to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from faultmaven.testing import Reply
from tests.clients.node import find_program
from tests.clients.questions import SCHEMA

TIMEOUT_S = 60
DONE = "The file is written."
# Neither calls home, nor looks for a newer version of itself.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
CODEX_SETTINGS = """\
model = "{model}"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.gateway]
name = "FaultMaven"
base_url = "{base_url}"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an agent works; its home is the folder above."""
    made = tmp_path / "work"
    made.mkdir()
    return made


def run(
    program: str, *arguments: str, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run an agent in an empty house of its own, without a way to the network."""
    return subprocess.run(
        [find_program(program), *arguments],
        cwd=folder,
        env={
            "PATH": f"{Path(find_program('node')).parent}:/usr/bin:/bin",
            "HOME": str(folder.parent),
            "TMPDIR": str(folder.parent),
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            **QUIET,
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def claude(gateway, model, folder):
    def ask(*arguments, key_variable="ANTHROPIC_AUTH_TOKEN"):
        given = {
            "ANTHROPIC_BASE_URL": gateway.url,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            key_variable: gateway.key,
        }
        options = ("--model", model, "--allowedTools", "Bash", *arguments)
        return run("claude", "-p", "Write the file.", *options, folder=folder, **given)

    return ask


@pytest.fixture
def codex(gateway, model, folder):
    home = folder.parent / ".codex"
    home.mkdir()
    settings = CODEX_SETTINGS.format(model=model, base_url=gateway.base_url)
    (home / "config.toml").write_text(settings)

    def ask(*arguments):
        options = ("exec", "--skip-git-repo-check", *arguments, "Write the file.")
        given = {"CODEX_HOME": str(home), "GATEWAY_KEY": gateway.key}
        return run("codex", *options, folder=folder, **given)

    return ask


@pytest.mark.parametrize("key_variable", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_claude_code_runs_a_command(claude, upstream, folder, key_variable):
    command = {"command": "echo written > proof.txt", "description": "Write a file"}
    upstream.script([Reply(tool_calls=[("Bash", command)]), Reply(DONE, tool_calls=[])])

    done = claude(key_variable=key_variable)

    assert DONE in done.stdout, done.stdout + done.stderr
    assert (folder / "proof.txt").read_text() == "written\n"


@pytest.mark.parametrize("model", ["messages", "chat"], indirect=True)
def test_claude_code_says_what_is_wrong_and_ends(claude, upstream, model):
    upstream.mode("status:400")

    done = claude()

    assert done.returncode == 1
    assert "400" in done.stdout
    assert len(upstream.requests) < 10  # it leaves out one thing after the other


def test_codex_runs_a_command(codex, upstream, folder):
    command = ("exec_command", {"cmd": "echo written > proof.txt"})
    upstream.script([Reply(tool_calls=[command]), Reply(DONE, tool_calls=[])])

    done = codex()

    assert DONE in done.stdout, done.stdout + done.stderr
    assert (folder / "proof.txt").read_text() == "written\n"


def test_codex_gets_its_structure(codex, upstream, folder):
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    upstream.reply('{"answer": 42}', tool_calls=[])

    done = codex("--output-schema", "schema.json")

    assert json.loads(done.stdout.splitlines()[-1]) == {"answer": 42}, done.stdout + done.stderr


@pytest.mark.parametrize("model", ["responses", "messages"], indirect=True)
def test_codex_says_what_is_wrong_and_ends(codex, upstream, model):
    upstream.mode("status:400")

    done = codex()

    assert done.returncode == 1
    assert len(upstream.requests) == 1
