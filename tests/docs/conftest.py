"""An environment in which what the documentation says can be run: every provider is the fake one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from faultmaven.infrastructure.llm.calls import _LOOP
from faultmaven.infrastructure.llm.providers import get_registry, reset_registry
from faultmaven.testing import FakeUpstream
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The providers that the documentation calls, and what each speaks.
CALLED = {
    "ACME": "openai", "ANTHROPIC": "anthropic", "GROQ": "openai", "OPENAI": "openai",
    "LOCAL_LLM": "openai", "PLAIN": "openai",
}  # fmt: skip

_FAULTMAVEN = f"""#!/bin/sh
PYTHONPATH="{ROOT}" exec "{sys.executable}" -m faultmaven "$@"
"""
# Says what it would do, and fails where there is no such verb.
_MAKE = f"""#!/bin/sh
exec /usr/bin/make --no-print-directory -n -C "{ROOT}" "$@" >/dev/null
"""


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeUpstream]:
    with FakeUpstream.in_thread() as running:
        yield running


@pytest.fixture
def desk(fake: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder, its environment, and `faultmaven` on the path."""
    fake.reset()
    kept = ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")
    for name in set(os.environ).difference(kept):
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    for stem, dialect in CALLED.items():
        monkeypatch.setenv(f"{stem}_API_KEY", f"sk-docs-{stem.lower()}-0123456789")
        base = "BASE_URL" if stem == "LOCAL_LLM" else "API_BASE"
        monkeypatch.setenv(f"{stem}_{base}", fake.base_url_for(dialect))
    monkeypatch.setenv("CHAT_PROVIDER", "groq")
    monkeypatch.setenv("TERM", "dumb")
    (tmp_path / ".git").mkdir()
    programs = tmp_path / ".programs"
    programs.mkdir()
    for name, script in (("faultmaven", _FAULTMAVEN), ("make", _MAKE)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    reset_registry()
    yield tmp_path
    _LOOP.run(get_registry().close())
    reset_registry()
