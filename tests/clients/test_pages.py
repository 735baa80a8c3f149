"""What docs/clients shows is run: commands, Python and JavaScript, with the clients as published."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.installed import need
from tests.clients.node import FOLDER, PROGRAMS, find_program
from tests.docs.blocks import ROOT, Block, blocks_of

SHOWN = "http://127.0.0.1:8080"
TRIED = "needs a gateway"
TIMEOUT_S = 60
BLOCKS = [
    block
    for page in sorted((ROOT / "docs" / "clients").glob("*.md"))
    for block in blocks_of(page)
    if block.why_not == TRIED
]
# What an example imports, and the package that has to be there for it.
PACKAGES = {
    "from anthropic import": "anthropic",
    "from google import genai": "google.genai",
    "from langchain_openai import": "langchain_openai",
    "from openai import": "openai",
    "from pydantic_ai import": "pydantic_ai",
    "import openai;": "openai",
    "llm -m": "llm",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A home with `faultmaven` and the clients' programs on its path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (
        ("faultmaven", " -m faultmaven"),
        ("llm", " -m llm"),
        ("python", ""),
    ):
        script = f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_what_is_shown_works(gateway, upstream, house, block: Block):
    upstream.reply("Hello.", tool_calls=[])
    code = block.code.replace(SHOWN, gateway.url)
    if block.language == "text" or "claude" in code or "codex" in code:
        find_program("node")
    for line, package in PACKAGES.items():
        if line in code and block.language != "text":
            need(package)

    done = subprocess.run(
        _command(block.language, code),
        cwd=FOLDER if block.language == "text" else house,
        env={
            "PATH": f"{house / 'bin'}:{PROGRAMS}:{os.defpath}",
            "HOME": str(house),
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "FAULTMAVEN_KEY": gateway.key,
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "LLM_LOAD_PLUGINS": "",  # the engine's weights come as a plugin that wants more
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, f"{block.place}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()


def _command(language: str, code: str) -> list[str]:
    if language == "python":
        return [sys.executable, "-c", code]
    if language == "text":
        return [find_program("node"), "--input-type=module", "--eval", code]
    return ["/bin/bash", "-eu", "-c", code]


def test_there_is_something_to_try():
    assert len(BLOCKS) >= 14
