"""What every test may use: the repository, an empty project, and a provider's server."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from faultmaven.testing import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

# Real engines, started by the first test that asks for one; and how processes share the tests.
pytest_plugins = ["tests.engines.llama_server", "tests.workers"]

ROOT = Path(__file__).resolve().parent.parent
# How the variables begin and end that settings and rows name.
BEGINNINGS = ("FAULTMAVEN_", "LLM_", "GENAI_")
ENDINGS = (
    "_KEY", "_MODEL", "_BASE", "_URL", "_PROVIDER", "_PROVIDERS", "_TOKEN", "_TYPE", "_PATH",
)  # fmt: skip

# An example takes as long as the machine's other work lets it; `timeout` ends what hangs.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without collecting garbage, and leave the tests themselves out of it afterwards.

    There are more than half a million objects by then, all of which stay: looking through them costs 4 of
    the 14 seconds that collecting takes, and half a second each time that a test wants to be sure.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def tidy() -> Iterator[None]:
    """Have what a file's tests left open complain in that file, not in one that comes later."""
    yield
    gc.collect()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty project, with no variable of ours, and without what other tests have loaded."""
    from faultmaven.infrastructure.llm.catalog import set_catalog
    from faultmaven.infrastructure.llm.providers import reset_registry

    for name in os.environ.keys() - {"PATH", "PYTHONPATH"}:
        if name.startswith(BEGINNINGS) or name.endswith(ENDINGS):
            monkeypatch.delenv(name)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    reset_registry()
    yield tmp_path
    reset_registry()
    set_catalog(None)


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    """Give a provider's server that does as the test says."""
    async with FakeUpstream() as server:
        yield server


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the repository."""
    return ROOT
