"""Rows of installed packages, names that mean several rows, rows in doubt, and a file's own prices."""

from __future__ import annotations

import logging
import sys

import pytest

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.catalog import Catalog, get_catalog, set_catalog
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers import ProviderRegistry
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS

pytestmark = pytest.mark.usefixtures("project")

MODULE = """
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider

ROW = {"default_base_url": "https://packed.example/v1", "default_model": "m", "api_key_var": None}
NO_ROW = {"default_bse_url": "https://packed.example/v1"}


class PackedProvider(OpenAIProvider):
    pass
"""
ENTRY_POINTS = """[faultmaven.providers]
packed = packed_rows:ROW
packed_class = packed_rows:PackedProvider
packed_wrong = packed_rows:NO_ROW
packed_gone = packed_rows:MISSING
packed_absent = packed_nowhere:ROW
groq = packed_rows:ROW
"""


@pytest.fixture
def packed(project, monkeypatch):
    """Install a distribution with entry points: a folder on the path and what describes it."""
    site = project / "site"
    described = site / "packed_rows-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: packed-rows\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "packed_rows.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    yield ProviderRegistry()
    sys.modules.pop("packed_rows", None)


def test_a_packages_row_is_a_provider(packed):
    provider = packed.get_provider("packed")

    assert provider.config.base_url == "https://packed.example/v1"
    assert packed.get_provider_status()["packed"]["source"] == "entry point packed_rows:ROW"
    assert "packed" in packed.get_available_providers()


def test_a_packages_class_alone_is_a_row(packed):
    row = packed.get_row("packed_class")

    assert row["provider_class"].__name__ == "PackedProvider"
    assert row["api_key_var"] == "PACKED_CLASS_API_KEY"


def test_a_packages_row_comes_before_the_built_in_one(packed):
    assert packed.get_row("groq")["default_base_url"] == "https://packed.example/v1"


def test_the_file_comes_before_a_package(packed, project):
    (project / "faultmaven.yaml").write_text(
        "providers:\n  packed: {base: packed, default_model: other}\n"
    )
    packed.reload()

    assert packed.get_row("packed")["default_model"] == "other"
    assert packed.get_row("packed")["default_base_url"] == "https://packed.example/v1"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("packed_wrong", "default_bse_url"),
        ("packed_gone", "MISSING"),
        ("packed_absent", "packed_nowhere"),
    ],
)
def test_a_package_that_is_broken_stops_nobody_else(packed, name, said):
    with pytest.raises(ConfigurationError, match=said):
        packed.get_provider(name)

    assert said in packed.get_provider_status()[name]["problem"]
    assert packed.get_provider("packed").provider_name == "packed"


def test_an_alias_in_the_file_that_another_row_has_is_refused(project):
    (project / "faultmaven.yaml").write_text(
        "providers:\n  acme: {default_base_url: 'https://a.example', aliases: [vertex]}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        ProviderRegistry()

    assert caught.value.code == "duplicate_alias"
    assert "acme" in str(caught.value)
    assert "vertex_ai" in str(caught.value)


@pytest.mark.parametrize("alias", ["groq", "vertex"], ids=["a-name", "an-alias"])
def test_a_registered_alias_that_is_taken_changes_nothing(alias):
    registry = ProviderRegistry()
    with pytest.raises(ConfigurationError, match=alias):
        registry.register("acme", {"default_base_url": "https://a.example", "aliases": [alias]})

    assert "acme" not in registry.get_all_provider_names()


def test_an_alias_of_two_rows_names_both_where_it_is_used():
    registry = ProviderRegistry()
    row = {"default_base_url": "https://a.example", "aliases": ["both"], "api_key_var": None}
    registry.register("one", row)
    registry._schema["two"] = row
    with pytest.raises(ConfigurationError, match="one and two"):
        registry.get_provider("both")

    assert registry.get_provider("one").provider_name == "one"


def test_a_row_may_be_registered_again_with_its_alias():
    registry = ProviderRegistry()
    row = {"default_base_url": "https://a.example", "aliases": ["ac"], "api_key_var": None}
    registry.register("acme", row)
    registry.register("acme", row | {"default_model": "n"})

    assert registry.get_provider("ac").get_supported_models() == ["n"]


def test_a_row_in_doubt_warns_once(caplog):
    name = next(n for n, row in BUILTIN_ROWS.items() if row.get("status") == "unclear")
    row = dict(BUILTIN_ROWS[name], default_base_url="https://a.example/v1", api_key_var=None)
    row.pop("variables", None)
    registry = ProviderRegistry()
    registry.register(name, row)
    with caplog.at_level(logging.WARNING, "faultmaven.providers"):
        registry.get_provider(name)
        registry.register(name, row | {"timeout": 5})
        registry.get_provider(name)

    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{name} may not work: {row['status_reason']}"]


def test_the_files_prices_are_those_of_calls(project):
    (project / "faultmaven.yaml").write_text(
        "providers:\n"
        "  mine: {base: groq, api_key_var: null}\n"
        "pricing:\n"
        "  groq/llama-3.3-70b-versatile: {input: 10, output: 20}\n"
        "  mine/*: {input: 1, output: 2}\n"
    )
    registry = ProviderRegistry(load_settings(GROQ_API_KEY="canary-1234"))
    model = "llama-3.3-70b-versatile"

    assert registry.get_provider("groq").calculate_cost(model, 1_000_000, 1_000_000) == 30
    assert registry.get_provider("mine").calculate_cost(model, 1_000_000, 1_000_000) == 3


def test_prices_set_later_are_those_of_the_next_call():
    provider = ProviderRegistry(load_settings(GROQ_API_KEY="canary-1234")).get_provider("groq")
    provider.calculate_cost("m", 1, 1)
    set_catalog(Catalog({"groq/m": {"input": 1, "output": 1}}))

    assert provider.calculate_cost("m", 1_000_000, 0) == 1


def test_a_catalog_set_by_code_stays_where_the_file_has_no_prices():
    mine = Catalog({"groq/m": {"input": 1, "output": 1}})
    set_catalog(mine)
    registry = ProviderRegistry()
    registry.reload()

    assert get_catalog() is mine


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("groq/m: {inptu: 1}", "Did you mean input"),
        ("groq/m: {input: -1}", "pricing.groq/m"),
        ("groq/m: {input: 1, peak: {factor: 0, hours_utc: [[1, 2]]}}", "a factor above 0"),
        ("groq: {input: 1}", "provider/model"),
    ],
)
def test_a_price_that_cannot_be_is_refused_with_its_line(project, entry, said):
    (project / "faultmaven.yaml").write_text(f"pricing:\n  {entry}\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        ProviderRegistry()

    assert "faultmaven.yaml:2" in str(caught.value)
