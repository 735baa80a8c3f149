"""Who follows a guide stands in an empty project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def project(project: Path) -> Path:
    return project
