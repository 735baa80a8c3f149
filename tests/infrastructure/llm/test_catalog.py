from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from faultmaven.infrastructure.llm.catalog import (
    Catalog,
    catalog_folder,
    get_catalog,
    schemas_folder,
    set_catalog,
)
from faultmaven.infrastructure.llm.errors import ConfigurationError

BUILD = Path(__file__).parents[3] / "scripts" / "build_catalog.py"


@pytest.fixture
def folder(tmp_path):
    """A folder with one provider's file, whose names make the hard cases."""
    cheap, dear = {"prices": [{"input": 1, "output": 2}]}, {"prices": [{"input": 5, "output": 6}]}
    models = {
        "alpha": {**cheap, "released": "2026-03-05", "aliases": ["alpha-best"]},
        "beta": {**cheap, "released": "2024-05-13"},
        "beta-2024-08-06": cheap,
        "gamma-20260101": cheap,
        "delta-2026-01-01": cheap,
        "delta-2026-05-01": dear,
        "undated": cheap,
        "Large": cheap,
        "large": dear,
        "mistral-2407": cheap,
    }
    data = {"provider": "acme", "as_of": "2026-11-21", "prefixes": ["models/"], "models": models}
    (tmp_path / "acme.json").write_text(json.dumps(data), "utf-8")
    return tmp_path


def faults_in(folder):
    """Give one sentence for each fault of the files in a folder."""
    schema = json.loads((schemas_folder() / "catalog.schema.json").read_bytes())
    validator = Draft202012Validator(schema)
    faults = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_bytes())
        faults += [f"{path.name}: {e.json_path}: {e.message}" for e in validator.iter_errors(data)]
        if data.get("provider") != path.stem:
            faults.append(f"{path.name}: $.provider: must be {path.stem!r}, the file's name")
    return faults


def test_shipped_files_follow_their_schema():
    assert faults_in(catalog_folder()) == []


def test_shipped_files_list_three_thousand_models():
    catalog = Catalog()

    assert sum(len(catalog.list(provider)) for provider in catalog.providers()) >= 3000


def test_find_gives_limits_capabilities_and_price():
    info = Catalog().find("groq", "llama-3.3-70b-versatile")

    assert info is not None
    assert (info.provider, info.id, info.mode) == ("groq", "llama-3.3-70b-versatile", "chat")
    assert (info.context_window, info.max_output_tokens) == (131072, 32768)
    assert (info.can("tools"), info.can("vision"), info.can("audio")) == (True, False, None)
    assert (info.knowledge, info.release_date) == ("2023-12", "2024-12-06")
    assert info.price is not None
    assert (info.price.rates.input, info.price.rates.output) == (0.59, 0.79)
    assert info.price.source
    assert info.source
    assert info.as_of == "2026-11-21"


def test_find_gives_the_same_object_again():
    catalog = Catalog()

    assert catalog.find("groq", "llama-3.3-70b-versatile") is catalog.find(
        "groq", "llama-3.3-70b-versatile"
    )


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        pytest.param("alpha", "alpha", id="exact"),
        pytest.param("ALPHA", "alpha", id="case"),
        pytest.param("alpha-best", "alpha", id="alias"),
        pytest.param("models/alpha", "alpha", id="prefix"),
        pytest.param("alpha-2026-03-05", "alpha", id="date of the release"),
        pytest.param("alpha-20260301", "alpha", id="date near the release"),
        pytest.param("alpha@20260305", "alpha", id="date after an at sign"),
        pytest.param("gamma", "gamma-20260101", id="the only dated one"),
        pytest.param("Large", "Large", id="exact before case"),
        pytest.param("beta-2024-08-06", "beta-2024-08-06", id="exact before date"),
    ],
)
def test_find_resolves(folder, name, listed):
    info = Catalog(folder=folder).find("acme", name)

    assert info is not None
    assert info.id == listed


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("alpha-2", id="another version"),
        pytest.param("alpha-mini", id="another size"),
        pytest.param("alpha-latest", id="a moving alias"),
        pytest.param("alpha:free", id="a variant"),
        pytest.param("alph", id="a shorter name"),
        pytest.param("alpha-2027-01-01", id="a snapshot newer than the release"),
        pytest.param("alpha-2026-13-05", id="no date"),
        pytest.param("alpha-2026-0305", id="half a date"),
        pytest.param("beta-2024-05-13", id="a date that is not listed beside one that is"),
        pytest.param("delta", id="two dated ones"),
        pytest.param("undated-2026-01-01", id="a release that is not known"),
        pytest.param("LARGE", id="two names in this case"),
        pytest.param("mistral-2411", id="four digits are a version"),
        pytest.param("mistral", id="four digits are not left out"),
        pytest.param("", id="empty"),
        pytest.param("models/", id="only a prefix"),
    ],
)
def test_find_never_gives_another_model(folder, name):
    assert Catalog(folder=folder).find("acme", name) is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-7"),
        ("openai", "gpt-4o-2024-05-13"),
        ("openai", "gpt-6-sol-mini"),
        ("anthropic", "claude-opus-6"),
        ("anthropic", "claude-opus-5-20270101"),
        ("bedrock", "mars.anthropic.claude-opus-5"),
        ("mistral", "mistral-large-2701"),
        ("nobody", "gpt-4o"),
        ("../catalog", "gpt-4o"),
    ],
)
def test_find_does_not_know_what_is_not_listed(provider, model):
    assert Catalog().find(provider, model) is None


def test_misses_are_not_kept(folder):
    catalog = Catalog({"acme/*": {"input": 1, "output": 1}}, folder=folder)

    for number in range(100):
        catalog.find("acme", f"made-up-{number}")

    assert not catalog._shelf("acme").found


def test_an_override_replaces_fields_and_keeps_the_rest():
    own = {"groq/llama-3.3-70b-versatile": {"input": 0.5, "output": 0.5, "max_output_tokens": 10}}

    info = Catalog(own, source="faultmaven.yaml: pricing").find("groq", "llama-3.3-70b-versatile")

    assert info is not None
    assert info.price is not None
    assert (info.price.rates.input, info.price.rates.output) == (0.5, 0.5)
    assert info.price.source == "faultmaven.yaml: pricing"
    assert (info.max_output_tokens, info.context_window) == (10, 131072)


def test_an_override_may_name_a_new_model_or_a_whole_provider(folder):
    own = {"acme/new/one": {"context_window": 4096}, "acme/*": {"input": 0, "output": 0}}
    catalog = Catalog(own, folder=folder)

    new, listed, other = (catalog.find("acme", name) for name in ("new/one", "alpha", "anything"))

    assert new is not None
    assert listed is not None
    assert other is not None
    assert new.context_window == 4096
    assert [info.price.rates.input for info in (new, listed, other) if info.price] == [0, 0, 0]


def test_list_and_providers(folder):
    catalog = Catalog({"own/one": {"input": 1, "output": 1}}, folder=folder)

    assert catalog.providers() == ("acme", "own")
    assert [info.id for info in catalog.list("own")] == ["one"]
    assert len(catalog.list("acme")) == 10
    assert catalog.list("nobody") == ()


def test_a_broken_file_is_named(folder):
    (folder / "acme.json").write_text("{", "utf-8")

    with pytest.raises(ConfigurationError, match=r"acme\.json"):
        Catalog(folder=folder).find("acme", "alpha")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"provider": "other", "as_of": "2026-11-21", "models": {}}, "the file's name"),
        ({"provider": "acme", "as_of": "yesterday", "models": {}}, "$.as_of"),
        ({"provider": "acme", "as_of": "2026-11-21", "models": {"a": {"pries": []}}}, "pries"),
    ],
    ids=["name", "date", "unknown field"],
)
def test_schema_refuses_other_files(folder, data, fault):
    (folder / "acme.json").write_text(json.dumps(data), "utf-8")

    (sentence,) = faults_in(folder)

    assert sentence.startswith("acme.json: ")
    assert fault in sentence


def test_ten_thousand_models_are_looked_up_as_fast_as_one(tmp_path):
    models = {f"model-{number}": {"context_window": 4096} for number in range(10_000)}
    data = {"provider": "big", "as_of": "2026-11-21", "models": models}
    (tmp_path / "big.json").write_text(json.dumps(data), "utf-8")
    catalog = Catalog(folder=tmp_path)
    catalog.find("big", "model-0")

    catalog.find("big", "model-9999")

    assert set(catalog._shelf("big").found) == {"model-0", "model-9999"}


def test_importing_reads_no_file_and_nothing_heavy():
    code = (
        "import sys; opened = []; before = set(sys.modules)\n"
        "sys.addaudithook(lambda e, a: e == 'open' and opened.append(str(a[0])))\n"
        "import faultmaven.infrastructure.llm.pricing\n"
        "heavy = {'aiohttp', 'pydantic', 'jsonschema', 'yaml', 'sqlite3'} & sys.modules.keys()\n"
        "print([p for p in opened if p.endswith('.json')], heavy - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[] set()"


def test_every_shipped_file_is_one_model_a_line():
    for path in catalog_folder().glob("*.json"):
        models = json.loads(path.read_bytes())["models"]

        lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith('"')]
        assert len(lines) >= len(models)


def test_build_writes_files_that_the_catalog_reads(tmp_path):
    record = {
        "id": "gpt-7",
        "provider": "openai",
        "mode": "chat",
        "context_window": 1000,
        "max_output_tokens": None,
        "price_per_mtok_usd": {"input": 1.0, "output": 2.0, "cache_read": None},
        "price_tiers": [{"above": 500, "input": 2.0, "output": 4.0}],
        "price_source": "page@2026-11",
        "price_confidence": "high",
        "price_valid_from": "2026-11-01T00:00:00Z",
        "sources": ["page@2026-11"],
        "tools": True,
        "images": None,
        "release_date": "2026-25-11",
        "knowledge": "2026-05",
    }
    unpriced = {**record, "id": "b", "price_per_mtok_usd": {}, "mode": "embedding"}
    table = tmp_path / "models.json"
    table.write_text(json.dumps({"models": [record, unpriced]}), "utf-8")
    folder = tmp_path / "catalog"
    folder.mkdir()

    command = [sys.executable, str(BUILD), str(table), str(folder), "--as-of", "2026-11-21"]
    subprocess.run(command, check=True, timeout=60)

    info = Catalog(folder=folder).find("openai", "gpt-7")
    assert faults_in(folder) == []
    assert info is not None
    assert (info.can("tools"), info.can("vision"), info.can("temperature")) == (True, None, False)
    assert (info.release_date, info.knowledge) == (None, "2026-05")
    assert info.price is not None
    assert (info.price.starts, info.price.tiers[0].above_tokens) == ("2026-11-01", 500)
    assert Catalog(folder=folder).list("openai")[0].prices == ()


def test_the_processs_catalog_can_be_replaced_and_restored():
    shipped = get_catalog()
    own = Catalog({"acme/*": {"input": 1, "output": 1}})

    set_catalog(own)
    try:
        assert get_catalog() is own
    finally:
        set_catalog(None)

    assert get_catalog().find("acme", "big") is None
    assert shipped.find("acme", "big") is None
