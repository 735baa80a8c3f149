from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.catalog import Catalog, schemas_folder
from faultmaven.infrastructure.llm.providers.row import (
    check_row,
    make_config,
    missing_variables,
    variable_stem,
)
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.wire.openai_chat import EFFORT_STYLES

CLASSES = {
    "AnthropicProvider",
    "AzureOpenAIProvider",
    "BedrockAnthropicProvider",
    "BedrockProvider",
    "CohereProvider",
    "DatabricksProvider",
    "EchoProvider",
    "EmbeddedProvider",
    "GeminiProvider",
    "HuggingFaceProvider",
    "LocalProvider",
    "MistralProvider",
    "OllamaProvider",
    "OpenAIProvider",
    "OpenAIResponsesProvider",
    "SnowflakeProvider",
    "VertexAnthropicProvider",
    "VertexProvider",
    "WatsonxProvider",
}
DEFAULTS = (("provider_class", "OpenAIProvider"), ("status", "active"), ("timeout", 60))
ENVIRONMENT_NAME = re.compile(r"[A-Z0-9][A-Z0-9_]*")


def rows():
    return [pytest.param(name, row, id=name) for name, row in BUILTIN_ROWS.items()]


def listed(value):
    return [value] if isinstance(value, str) else list(value or ())


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(
        codec.loads((schemas_folder() / "provider.schema.json").read_bytes())
    )


@pytest.mark.parametrize(("name", "row"), rows())
def test_a_row_follows_the_schema(name, row, validator):
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(row)] == []
    check_row(name, row)


def test_rows_state_only_what_differs():
    convention = {"api_key_var": "API_KEY", "base_url_var": "API_BASE", "model_var": "MODEL"}
    idle = [
        (name, field)
        for name, row in BUILTIN_ROWS.items()
        for field, ending in convention.items()
        if row.get(field) == f"{variable_stem(name)}_{ending}"
    ]
    idle += [
        (name, f) for name, row in BUILTIN_ROWS.items() for f, v in DEFAULTS if row.get(f) == v
    ]

    assert idle == []


def test_addresses_are_sound():
    bad = [
        (name, address)
        for name, row in BUILTIN_ROWS.items()
        if (address := row.get("default_base_url"))
        and (
            address.endswith("/")
            or not address.startswith(("https://", "http://", "${"))
            or (address.startswith("http://") and not row.get("local"))
        )
    ]

    assert bad == []


def test_classes_are_known():
    assert {
        row.get("provider_class", "OpenAIProvider") for row in BUILTIN_ROWS.values()
    } <= CLASSES


def test_variables_have_names_of_variables():
    names = set()
    for row in BUILTIN_ROWS.values():
        for field in ("api_key_var", "model_var", "base_url_var"):
            names.update(listed(row.get(field)))
        for described in row.get("variables", {}).values():
            names.update(listed(described["vars"]))

    assert [name for name in names if not ENVIRONMENT_NAME.fullmatch(name)] == []


def test_templates_name_variables_of_their_row():
    for name, row in BUILTIN_ROWS.items():
        texts = [row.get("default_base_url") or "", *row.get("headers", {}).values()]
        used = {found for text in texts for found in re.findall(r"\$\{(\w+)", text)}

        assert used <= row.get("variables", {}).keys(), name


@pytest.mark.parametrize(("name", "row"), rows())
def test_a_row_works_once_what_it_lacks_is_set(name, row, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    missing = missing_variables(name, row, load_settings())
    values = {text.split(" or ")[0]: "https://host.example/v1" for text in missing}
    if not any("BASE" in variable for variable in values):
        values = dict.fromkeys(values, "value")

    config = make_config(name, row, load_settings(**values))

    assert "$" not in (config.base_url or "")
    assert config.base_url or row.get("base_url_var", "") is None


def test_rows_are_in_alphabetical_order():
    assert list(BUILTIN_ROWS) == sorted(BUILTIN_ROWS)


def test_there_are_three_hundred_rows():
    assert len(BUILTIN_ROWS) >= 290


def test_an_alias_means_one_row():
    aliases = [alias for row in BUILTIN_ROWS.values() for alias in row.get("aliases", ())]

    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & BUILTIN_ROWS.keys()
    assert all(alias == alias.lower() for alias in aliases)


def test_a_row_that_is_not_active_says_why():
    silent = [
        name
        for name, row in BUILTIN_ROWS.items()
        if row.get("status", "active") in ("retired", "unclear") and not row.get("status_reason")
    ]

    assert silent == []


def test_an_address_variable_belongs_to_one_row():
    owners = {}
    for name, row in BUILTIN_ROWS.items():
        for variable in listed(row.get("base_url_var")):
            owners.setdefault(variable, []).append(name)

    assert {variable: names for variable, names in owners.items() if len(names) > 1} == {}


def test_chat_rows_ask_for_reasoning_in_a_known_style():
    styles = {
        row["reasoning"].get("request", "reasoning_effort")
        for row in BUILTIN_ROWS.values()
        if "reasoning" in row and "provider_class" not in row
    }

    assert styles <= set(EFFORT_STYLES)


def test_rules_for_models_match_the_models_they_are_for():
    cases = [
        ("openai", "gpt-6-luna", True),
        ("openai", "o3-pro", True),
        ("openai", "gpt-4o", False),
        ("openai", "gpt-5-chat-latest", False),
        ("anthropic", "claude-opus-4-7", True),
        ("anthropic", "claude-sonnet-5", True),
        ("anthropic", "claude-haiku-4-5", False),
        ("moonshot", "kimi-k3", True),
        ("moonshot", "kimi-k2.7-code", True),
        ("moonshot", "kimi-k2", False),
    ]

    for name, model, expected in cases:
        pattern = BUILTIN_ROWS[name]["model_rules"][0]["match"].strip("/")
        assert bool(re.search(pattern, model)) is expected, (name, model)


def test_rows_name_catalog_files_that_exist():
    known = set(Catalog().providers())

    assert {row["catalog"] for row in BUILTIN_ROWS.values() if "catalog" in row} <= known
    # These have prices but speak a protocol of their own, or have no known address.
    used = {row.get("catalog", name) for name, row in BUILTIN_ROWS.items()}
    assert known - used == {"gigachat", "oci", "salad_cloud"}


def test_local_rows_take_no_key_of_a_hosted_service():
    foreign = {"HF_TOKEN", "OPENAI_API_KEY", "LLAMA_API_KEY", "ANTHROPIC_API_KEY"}
    local = [row for row in BUILTIN_ROWS.values() if row.get("local")]

    assert not foreign & {name for row in local for name in listed(row.get("api_key_var"))}
