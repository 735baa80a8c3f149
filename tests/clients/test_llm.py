"""The command line `llm`, unmodified."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from faultmaven.testing import Reply
from tests.clients.installed import need

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

need("llm")

TIMEOUT_S = 60


@pytest.fixture
def llm(gateway, model, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run it with the model of the gateway, in an empty house of its own."""
    row = {
        "model_id": "sonnet",
        "model_name": model,
        "api_base": gateway.base_url,
        "api_key_name": "faultmaven",
        "supports_tools": True,
        "supports_schema": True,
    }
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump([row]))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "llm", "-m", "sonnet", "--key", gateway.key, *arguments],
            cwd=tmp_path,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path),
                "LLM_USER_PATH": str(tmp_path),
                "LLM_LOAD_PLUGINS": "",  # the engine's weights come as a plugin that wants more
                "PYTHONPATH": ":".join(path for path in sys.path if path),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


@pytest.mark.parametrize("model", ["chat", "messages"], indirect=True)
def test_tools_and_a_stream(llm, upstream):
    upstream.script([Reply(tool_calls=[("llm_version", {})]), Reply("It is the newest.")])

    done = llm("--tool", "llm_version", "Which version?")

    assert done.stdout.strip() == "It is the newest.", done.stderr
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("model", ["messages"], indirect=True)
def test_a_schema_without_a_stream(llm, upstream):
    upstream.reply('{"answer": 42}', tool_calls=[])

    done = llm("--no-stream", "--schema", "answer int", "Six times seven?")

    assert done.stdout.strip() == '{"answer": 42}', done.stderr


@pytest.mark.parametrize("model", ["messages"], indirect=True)
def test_an_error_is_said(llm, upstream):
    upstream.mode("status:429")

    done = llm("Hello")

    assert done.returncode == 1
    assert "429" in done.stderr
