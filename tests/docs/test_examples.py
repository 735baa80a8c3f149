"""The example programs run, against the fake upstream."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = sorted(p for p in (ROOT / "examples").iterdir() if p.suffix in (".py", ".sh"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_example_runs(program: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = ["/bin/sh"] if program.suffix == ".sh" else [sys.executable, "-W", "error"]
    run = subprocess.run(
        [*command, str(program)], cwd=desk, capture_output=True, text=True, check=False, timeout=60
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.strip()


def test_every_example_is_listed() -> None:
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"\]\((\w+\.\w+)\)", text)) == sorted(p.name for p in PROGRAMS)
