"""The generated documents are what the settings and rows say now."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.config.dotenv_file import load_dotenv_file
from faultmaven.config.fields import FIELDS
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def script(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("sync_docs", root / "scripts" / "sync_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_stale(script: Any, root: Path) -> None:
    assert script.stale(root) == []


def test_a_missing_file_is_stale(script: Any, tmp_path: Path) -> None:
    assert script.stale(tmp_path) == list(script.TARGETS)


def test_the_example_can_be_used_once_uncommented(script: Any, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    lines = script.render_env_example().splitlines()
    path.write_text("\n".join(line[1:] for line in lines if line[:1] == "#" and line[1:2] != " "))
    path.chmod(0o600)
    values = load_dotenv_file(path).values

    assert {field.name for field in FIELDS} <= set(values)
    assert values["CHAT_PROVIDER"] == "groq"


def test_every_row_is_documented(script: Any) -> None:
    text = script.render_providers()

    assert all(f"| `{name}` |" in text for name in BUILTIN_ROWS)
