"""Which tests share a process, where pytest runs them in several (`-n`, `--dist loadfile`).

A plugin: name it in the top conftest's `pytest_plugins`.  A file's tests stay together, because they share
servers; and all the files that use the real engine stay together, because it takes seconds to start.
"""

from __future__ import annotations

import gc
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import Producer

ROOT = Path(__file__).resolve().parent.parent
ENGINE = re.compile(r"\bllama_(tool_)?server\b")
# Few tests of seconds each.  They are begun early: files come by the number of their tests, and one of
# these at the end would leave the other processes without work.
LONG = (
    "engine",
    "tests/benchmarks/test_benchmarks.py",
    "tests/cli/test_providers_new.py",
    "tests/cli/test_smoke.py",
    "tests/cli/test_validate_settings.py",
    "tests/clients/test_agents.py",
    "tests/clients/test_javascript.py",
    "tests/clients/test_llm.py",
    "tests/clients/test_pages.py",
    "tests/clients/test_schemathesis.py",
    "tests/docs/test_examples.py",
    "tests/gateway/test_crowd.py",
    "tests/gateway/test_life.py",
    "tests/gateway/test_patience.py",
    "tests/gateway/test_times.py",
)


@cache
def group_of(file: str) -> str:
    """Name what a file's tests share: the engine, or nothing but the file.

    Args:
        file: as in the names of its tests, below the top of the repository.
    """
    path = ROOT / file
    return "engine" if path.is_file() and ENGINE.search(path.read_text()) else file


def pytest_collection_finish() -> None:
    """Leave the tests themselves to no collection of garbage: they stay, and are many."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give three processes for two cores: a quarter of a test's time is waiting for what must not come."""
    return max(2, (os.cpu_count() or 2) * 3 // 2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> LoadScopeScheduling | None:
    """Give xdist the groups; other ways to distribute stay as they are."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0])

        def schedule(self) -> None:
            super().schedule()
            for group in LONG:
                if group in self.workqueue:
                    self.workqueue.move_to_end(group, last=False)

    return GroupScheduling(config, log)
