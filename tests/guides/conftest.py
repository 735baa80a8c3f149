"""A project folder without settings of its own, and an upstream that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faultmaven.testing import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def project(project: Path) -> Path:
    return project


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as server:
        yield server
