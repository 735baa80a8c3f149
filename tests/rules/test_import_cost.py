"""Importing costs nothing: no file but modules, no network, no heavy dependency."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = [
    "aiohttp",
    "click",
    "dotenv",
    "jsonschema",
    "pydantic",
    "pydantic_settings",
    "rich",
    "yaml",
]

PROBE = """
import sys
events = []
def hook(event, args):
    if event == "open" and isinstance(args[0], str):
        if not args[0].endswith((".py", ".pyc", ".so", ".pyd")):
            events.append(f"open {args[0]}")
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.posix_spawn", "sqlite3.")):
        events.append(event)
sys.addaudithook(hook)
import importlib
importlib.import_module(sys.argv[1])
loaded = sorted(set(sys.modules) & set(sys.argv[2:]))
import json
print(json.dumps({"events": events, "loaded": loaded}))
"""


def probe(module: str) -> dict[str, list[str]]:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, module, *HEAVY],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    result: dict[str, list[str]] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize(
    "module",
    [
        "faultmaven",
        "faultmaven.infrastructure.llm.providers",
        "faultmaven.infrastructure.llm.types",
        "faultmaven.infrastructure.llm.wire",
    ],
)
def test_import_touches_nothing(module: str) -> None:
    assert probe(module) == {"events": [], "loaded": []}


def test_probe_sees_a_heavy_import() -> None:
    assert probe("aiohttp")["loaded"] == ["aiohttp"]


def test_probe_sees_a_socket_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busybody.py").write_text(
        "import socket\nsocket.socket().close()\nopen(__file__ + '.txt', 'w').close()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    events = probe("busybody")["events"]

    assert "socket.__new__" in events
    assert any(event.endswith("busybody.py.txt") for event in events)
