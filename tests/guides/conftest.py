"""A project folder without settings of its own, and an upstream that answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from faultmaven.infrastructure.llm.providers import reset_registry
from faultmaven.testing import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_OURS = ("_KEY", "_MODEL", "_BASE", "_URL", "_PROVIDER", "_PROVIDERS", "_TOKEN", "_TYPE", "_PATH")


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    for name in list(os.environ):
        if name != "PATH" and (
            name.endswith(_OURS) or name.startswith(("FAULTMAVEN_", "LLM_", "GENAI_"))
        ):
            monkeypatch.delenv(name)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    reset_registry()
    yield tmp_path
    reset_registry()


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as server:
        yield server
