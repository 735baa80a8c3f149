"""What every test may use: where the repository is, and the recorded exchanges if there are any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Real engines, started by the first test that asks for one.
pytest_plugins = ["tests.engines.llama_server"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of recorded exchanges, named by FAULTMAVEN_RECORDINGS."""
    folder = os.environ.get("FAULTMAVEN_RECORDINGS")
    if not folder:
        pytest.skip("FAULTMAVEN_RECORDINGS names no folder of recorded exchanges")
    path = Path(folder)
    assert (path / "INDEX.json").is_file(), f"no INDEX.json in {path}"
    return path
