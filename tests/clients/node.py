"""Programs that npm has installed here: `npm ci` in this folder brings them and the Node they need."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.installed import refuse

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "node_modules" / ".bin"
TIMEOUT_S = 60


def find_program(name: str) -> str:
    """Give the path of a program that npm has installed here."""
    program = PROGRAMS / name
    if not program.exists():
        refuse(f"{name} is not installed: run `npm ci` in tests/clients")
    return str(program)


def run_script(name: str, **variables: str) -> dict[str, dict[str, Any]]:
    """Run a script of `javascript`; give what it reports, by case."""
    done = subprocess.run(
        [find_program("node"), str(FOLDER / "javascript" / name)],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {found.pop("case"): found for found in map(json.loads, done.stdout.splitlines())}
