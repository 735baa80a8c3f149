"""The wheel: what it carries, and that it works away from the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(each) for each in arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release does, with the back end that is installed here."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check"),
        *("--outdir", folder, root),
        cwd=folder,
    )
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a fresh environment; return its interpreter."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", "--no-compile", wheel),
        cwd=folder,
    )
    return python


def run_installed(python: Path, code: str, tmp_path: Path) -> str:
    """Run code in the fresh environment, which borrows this one's dependencies.

    PYTHONPATH reads no .pth file, so an editable install of the tree stays out of sight.
    """
    environment = {"PATH": os.defpath, "PYTHONPATH": sysconfig.get_path("purelib")}
    return run(python, "-c", code, cwd=tmp_path, env=environment)


def test_wheel_carries_the_package_and_nothing_else(root: Path, names: set[str]) -> None:
    package = {
        path.relative_to(root).as_posix()
        for path in (root / "faultmaven").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    schemas = {
        f"faultmaven/{path.relative_to(root).as_posix()}"
        for path in (root / "schemas").rglob("*")
        if path.is_file()
    }
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}

    assert names - metadata == package | schemas
    assert {name.rpartition("/")[2] for name in metadata} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "LICENSE")
    }
    assert schemas
    assert "faultmaven/py.typed" in names


def test_wheel_runs_nothing_at_start_up(names: set[str]) -> None:
    assert [name for name in names if name.endswith((".pth", ".so", ".sh"))] == []
    assert [name for name in names if "customize" in name or ".data/" in name] == []


def test_installed_package_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    where = run_installed(installed, "import faultmaven; print(faultmaven.__file__)", tmp_path)

    assert where.startswith(str(installed.parent.parent))


def test_installed_schemas_are_found(installed: Path, tmp_path: Path) -> None:
    code = """
from importlib.resources import files
print(sorted(each.name for each in files("faultmaven").joinpath("schemas").iterdir()))
"""

    assert ".schema.json" in run_installed(installed, code, tmp_path)
