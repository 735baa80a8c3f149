"""The pages hang together: links lead somewhere, names exist, lists are complete."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest

from faultmaven.config.schemas import PROVIDER, load_schema
from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers.sources import ENTRY_POINT_GROUP
from tests.docs.blocks import PAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\]\((?!https?://|#)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")
_OURS = re.compile(r"`(?P<name>faultmaven(?:\.(?!yaml\b)\w+)+)`")
_MODULES = (
    "faultmaven",
    "faultmaven.infrastructure.llm.errors",
    "faultmaven.infrastructure.llm.providers",
    "faultmaven.infrastructure.llm.types",
    "faultmaven.testing",
    "faultmaven.infrastructure.llm.catalog",
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        assert (page.parent / match["path"]).exists(), f"{page.name}: {match['path']}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_dotted_names_exist(page: Path) -> None:
    for match in _OURS.finditer(page.read_text(encoding="utf-8")):
        if match["name"] == ENTRY_POINT_GROUP:
            continue
        module, _, name = match["name"].rpartition(".")
        try:
            importlib.import_module(match["name"])
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), name), match["name"]


def test_names_for_those_who_come_from_elsewhere_exist() -> None:
    """The second column of each table is ours: a class, a member of one, or a function."""
    text = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    ours = [row.split("|")[2] for row in text.splitlines() if row.startswith("| `")]
    names = [
        name for cell in ours for name in re.findall(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`", cell)
    ]
    missing = [name for name in names if not _is_ours(name)]

    assert len(names) > 60
    assert not missing


def _is_ours(name: str) -> bool:
    first, *rest = name.split(".")
    if first == "faultmaven":
        found = importlib.import_module(".".join(name.split(".")[:-1]))
        return hasattr(found, rest[-1])
    for module in map(importlib.import_module, _MODULES):
        found = getattr(module, first, None)
        if found is not None:
            for part in rest:
                if part in getattr(found, "__dataclass_fields__", {}):
                    break
                if not hasattr(found, part):
                    return False
                found = getattr(found, part)
            return True
    return _is_a_field(first)


def _is_a_field(name: str) -> bool:
    from faultmaven.config.fields import FIELDS
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig

    schema = load_schema(PROVIDER)["properties"]
    variables = {field.name for field in FIELDS}
    return name in variables or name in schema or name in ProviderConfig.__dataclass_fields__


def test_every_field_of_a_row_is_told_of() -> None:
    text = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
    table = text.partition("## Every field")[2].partition("\n## ")[0]
    told = re.findall(
        r"`(\w+)`", "\n".join(r.split("|")[1] for r in table.splitlines() if "|" in r)
    )

    assert set(load_schema(PROVIDER)["properties"]) - set(told) == set(), "add them to the table"
    assert set(told) - set(load_schema(PROVIDER)["properties"]) == set(), "no row has these"
    assert len(told) == len(set(told))


def test_every_error_is_told_of() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, LLMError)]

    assert [kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in text] == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))

    assert sorted(listed) == sorted(p.name for p in folder.glob("*.md") if p.name != "README.md")
