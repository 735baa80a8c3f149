"""`faultmaven validate` checks what a quick start does not: addresses and files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONFIG_PATH", "nowhere.yaml", "must be the path of a file"),
        ("FAULTMAVEN_STATE_URL", "localhost:6379", "must be an address"),
        ("LLM_MAX_RETRIES", "99", "must be a whole number from 0 to 10"),
    ],
)
def test_validate_names_a_setting_that_cannot_be_right(
    tmp_path: Path, root: Path, name: str, value: str, said: str
) -> None:
    (tmp_path / ".git").mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), name: value}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", "validate"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode == 2, run.stderr
    assert f"environment: {name}" in run.stdout
    assert said in run.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limits: {default: {requests_per_minute: 5}}", ""),
        ("limits: {keys: {team: {concurrency: 0}}}", "must be at least 1 and at most 100000"),
        ("limits: {providers: {groq: {rpm: 5}}}", "unknown field"),
    ],
)
def test_validate_holds_a_file_of_limits_against_their_schema(
    tmp_path: Path, root: Path, text: str, said: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "other.yaml").write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", "validate", "other.yaml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode == (2 if said else 0), run.stdout
    assert said in run.stdout


@pytest.mark.parametrize("command", [["validate"], ["serve", "--check"]])
def test_limits_of_nobody_are_named(tmp_path: Path, root: Path, command: list[str]) -> None:
    (tmp_path / ".git").mkdir()
    text = "limits: {providers: {grok_typo: {concurrency: 5}}, keys: {nobody: {concurrency: 5}}}"
    (tmp_path / "faultmaven.yaml").write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode != 0
    assert "limits.providers.grok_typo: there is no such provider" in run.stdout + run.stderr
    assert "limits.keys.nobody: there is no such key" in run.stdout + run.stderr
