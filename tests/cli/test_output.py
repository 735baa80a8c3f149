"""What is printed can neither steer a terminal nor hold a secret; --help loads next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies

from faultmaven.cli.output import printable, write_json, write_table
from faultmaven.infrastructure.llm.secret import remember_secret

HEAVY = ("aiohttp", "asyncio", "dotenv", "jsonschema", "pydantic", "rich", "yaml")


@given(strategies.text(strategies.characters(exclude_categories=[])))
def test_printable_holds_nothing_that_acts(text: str) -> None:
    shown = printable(text)

    assert all(
        character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        for character in shown
    )
    shown.encode()


def test_printable_keeps_ordinary_text() -> None:
    text = "Grüße, 日本語, 👩‍👩‍👧\n\tand tabs"

    assert printable(text) == text


def test_table_in_a_pipe_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("name", "value"), [("a\tb", "c\nd"), (None, True)])

    assert capsys.readouterr().out == "a b\tc d\n\tyes\n"


def test_json_steers_no_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31m \x9b31m \u202eabc\u2028 ü 🦊\n"
    write_json({"said": text})
    out = capsys.readouterr().out

    assert json.loads(out) == {"said": text}
    assert not set("\x1b\x9b\u202e\u2028") & set(out)
    assert "ü 🦊" in out


def test_json_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secret("canary-of-the-output")

    write_json({"headers": {"x-key": "canary-of-the-output"}, "list": ["canary-of-the-output"]})

    out = capsys.readouterr().out
    assert "canary" not in out
    assert set(json.loads(out)) == {"headers", "list"}


def test_help_loads_next_to_nothing(root: Path, environment: dict[str, str]) -> None:
    program = (
        "import contextlib, io, sys\n"
        "from faultmaven.cli import main\n"
        "sys.argv = ['faultmaven', '--help']\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=root,
        env=environment,
    )

    assert run.stdout == "[]\n", run.stderr
