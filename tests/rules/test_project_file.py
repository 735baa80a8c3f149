"""pyproject.toml and the lock files: floors, layers, reasons, hashes."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

if TYPE_CHECKING:
    from pathlib import Path

# Below this, requests can be smuggled past the gateway.
AIOHTTP_FLOOR = Version("3.14.4")
# Where a package's module is not called as the package.
MODULES = {
    "botocore": "botocore.session",
    "cryptography": "cryptography.exceptions",
    "google-auth": "google.auth",
    "requests": "google.auth",  # imports it on Google's machines
    "toktok-rs": "toktok",
}
LOCKS = ["requirements.lock", "requirements-engine.lock"]


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def pinned(root: Path, lock: str) -> list[str]:
    """Return the requirements of a lock file, each with its hashes on one line."""
    text = (root / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_aiohttp_floor_excludes_older_versions(project: dict[str, Any]) -> None:
    (aiohttp,) = [
        requirement
        for requirement in map(Requirement, project["project"]["dependencies"])
        if requirement.name == "aiohttp"
    ]

    floors = [Version(each.version) for each in aiohttp.specifier if each.operator == ">="]

    assert len(floors) == 1
    assert floors[0] >= AIOHTTP_FLOOR


def test_aiohttp_lock_is_above_the_floor(root: Path) -> None:
    versions = re.findall(r"^aiohttp==(\S+)", (root / LOCKS[0]).read_text(), flags=re.MULTILINE)

    assert versions
    assert all(Version(version) >= AIOHTTP_FLOOR for version in versions)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_with_hashes_and_names_no_address(root: Path, lock: str) -> None:
    lines = pinned(root, lock)

    assert lines
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []
    assert "://" not in (root / lock).read_text(encoding="utf-8")


def test_lock_holds_every_dependency(root: Path, project: dict[str, Any]) -> None:
    locked = {line.partition("==")[0] for line in pinned(root, "requirements.lock")}
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *(
            each
            for name, extra in extras.items()
            if name not in {"all", "embedded"}
            for each in extra
        ),
        *project["dependency-groups"]["dev"],
    ]

    assert [each for each in wanted if Requirement(each).name not in locked] == []


def test_every_extra_is_imported_somewhere(root: Path, project: dict[str, Any]) -> None:
    sources = (root / "faultmaven").rglob("*.py")
    imported = {
        found
        for source in sources
        for found in re.findall(
            r"""(?:^\s*(?:import|from) |\b(?:import_module|_part)\(")([\w.]+)""",
            source.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
    }
    extras = project["project"]["optional-dependencies"]
    wanted = {Requirement(each).name for name in extras.keys() - {"all"} for each in extras[name]}

    unused = {
        name for name in wanted if not imported & {MODULES.get(name, name), name.replace("-", "_")}
    }
    assert unused == set()


def test_every_developer_dependency_has_its_reason(root: Path) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    group = text.partition("\ndev = [\n")[2].partition("\n]")[0].splitlines()

    assert group
    assert [line for line in group if not re.search(r'",\s+# \S', line)] == []


def test_pure_modules_are_kept_from_io(root: Path, project: dict[str, Any]) -> None:
    contracts = project["tool"]["importlinter"]["contracts"]
    (pure,) = [contract for contract in contracts if contract["id"] == "pure"]
    llm = root / "faultmaven" / "infrastructure" / "llm"
    rooms = {
        "types": "types.py",
        "wire": "wire",
        "pricing": "pricing.py",
        "router.plan": "router/plan.py",
    }
    wanted = {
        f"faultmaven.infrastructure.llm.{name}"
        for name, path in rooms.items()
        if (llm / path).exists()
    }

    assert wanted <= set(pure["source_modules"])


def test_layers_cover_every_package_that_is_a_stack(root: Path, project: dict[str, Any]) -> None:
    contracts = project["tool"]["importlinter"]["contracts"]
    covered = {container for each in contracts for container in each.get("containers", [])}
    stacks = [
        "gateway",
        "infrastructure/llm",
        "infrastructure/llm/providers",
        "infrastructure/llm/router",
    ]
    wanted = {
        "faultmaven." + stack.replace("/", ".")
        for stack in stacks
        if (root / "faultmaven" / stack / "__init__.py").exists()
    }

    assert wanted <= covered
    assert all(each.get("exhaustive") for each in contracts if each["type"] == "layers")
