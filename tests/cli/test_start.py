"""What a command begins with: which modules serving needs, and what is left to the garbage collector."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# What a gateway needs when something is asked for that few ask for, or never.
UNNEEDED = [
    "aiohttp.web",
    "faultmaven.infrastructure.llm.ledger",
    "faultmaven.infrastructure.llm.providers.bedrock_provider",
    "faultmaven.infrastructure.llm.providers.embedded_provider",
    "faultmaven.infrastructure.llm.providers.engine",
    "jsonschema",
    "pydantic",
    "rich",
    "sqlite3",
    "yaml",
]
# Prints what is so when the port is taken, which is the last thing before requests are answered.
PROBE = f"""
import gc, json, os, sys
def hook(event, args):
    if event == "socket.bind":
        print(json.dumps({{
            "loaded": [name for name in {UNNEEDED!r} if name in sys.modules],
            "collects": gc.isenabled(),
            "after": gc.get_threshold()[0],
            "left out": gc.get_freeze_count(),
        }}), flush=True)
        os._exit(0)
sys.addaudithook(hook)
from faultmaven.cli import main
sys.argv = ["faultmaven", "serve", "--port", "0", *sys.argv[1:]]
main()
"""
UNCOLLECTED = """
import gc
from faultmaven.cli.start import uncollected
with uncollected():
    within, inside = gc.isenabled(), [[]]
print(within, gc.isenabled(), gc.get_freeze_count() > 0, any(x is inside for x in gc.get_objects()))
"""


def run(program: str, environment: dict[str, str], folder: Path, *arguments: str) -> str:
    # What measures coverage loads modules of its own.
    unmeasured = {n: value for n, value in environment.items() if not n.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env=unmeasured,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def serving(environment: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """Give what is so in a process that is about to serve."""
    found: dict[str, Any] = json.loads(run(PROBE, environment, tmp_path))
    return found


def test_serving_loads_nothing_that_may_never_be_needed(serving: dict[str, Any]) -> None:
    assert serving["loaded"] == []


def test_a_configuration_file_needs_yaml_and_nothing_more(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "faultmaven.yaml").write_text("{}\n", encoding="utf-8")

    assert json.loads(run(PROBE, environment, tmp_path))["loaded"] == ["yaml"]


def test_serving_leaves_what_starting_made_out_of_collections(serving: dict[str, Any]) -> None:
    assert serving["collects"]
    assert serving["after"] == 10_000
    assert serving["left out"] > 20_000


def test_what_is_made_uncollected_is_not_looked_through_later(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert run(UNCOLLECTED, environment, tmp_path) == "False True True False\n"
