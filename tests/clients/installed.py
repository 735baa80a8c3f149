"""What has to be installed for these tests: missing, they are skipped, and fail where CI is set."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def need(module: str) -> ModuleType:
    """Import a client of Python's."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        refuse(f"{error.name} is not installed: it is in the dependency group `clients`")


def need_program(name: str) -> str:
    """Give the path of a program of the system."""
    found = shutil.which(name)
    return found or refuse(f"there is no {name} on the PATH")


def refuse(what: str) -> NoReturn:
    """Skip; in CI fail, so that no client goes untried unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)
