"""A row: what it may say, what convention adds, and what the environment makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.config.settings import Settings, load_settings
from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.address import is_private_host, normalise_base_url
from faultmaven.infrastructure.llm.providers.row import (
    check_row,
    complete_row,
    make_config,
    missing_variables,
)
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("project")

ROW = {"default_base_url": "https://a.example/v1", "default_model": "m"}


def settings(**variables: str) -> Settings:
    return load_settings(**variables)


def test_convention_fills_in_what_a_row_leaves_out() -> None:
    row = complete_row("groq", ROW)

    assert row["api_key_var"] == "GROQ_API_KEY"
    assert row["model_var"] == "GROQ_MODEL"
    assert row["base_url_var"] == "GROQ_API_BASE"
    assert row["provider_class"] == "OpenAIProvider"
    assert (row["max_retries"], row["timeout"], row["confidence_score"]) == (2, 60, 0.8)
    assert row["status"] == "active"


def test_the_environment_overrides_the_defaults() -> None:
    config = make_config(
        "acme-eu", ROW,
        settings(ACME_EU_API_KEY="canary-1234", ACME_EU_MODEL="n", ACME_EU_API_BASE=" https://b.example/ "),
    )  # fmt: skip

    assert config.api_key == "canary-1234"
    assert config.models == ["n"]
    assert config.base_url == "https://b.example"
    assert "canary-1234" not in repr(config)
    assert "canary-1234" not in redact("key canary-1234")


def test_the_other_name_of_the_model_counts() -> None:
    config = make_config("groq", ROW, settings(GROQ_API_KEY="canary-1234", GROQ_DEFAULT_MODEL="d"))

    assert config.models == ["d"]


def test_known_models_follow_the_configured_one() -> None:
    row = ROW | {"api_key_var": None, "models": ["n", {"name": "m", "size": "7B"}]}

    assert make_config("acme", row, settings()).models == ["m", "n"]


def test_settings_for_all_calls_win_over_the_row() -> None:
    row = ROW | {"api_key_var": None, "max_retries": 5}
    config = make_config("acme", row, settings(LLM_MAX_RETRIES="0", LLM_REQUEST_TIMEOUT="7.5"))

    assert config.max_retries == 0
    assert config.call_timeout_s == 7.5


def test_the_first_set_variable_of_several_counts() -> None:
    row = ROW | {"api_key_var": ["A_TOKEN_KEY", "B_TOKEN_KEY"]}

    assert make_config("acme", row, settings(B_TOKEN_KEY="canary-b")).api_key == "canary-b"
    assert missing_variables("acme", row, settings()) == ["A_TOKEN_KEY or B_TOKEN_KEY"]


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        (ROW, ["ACME_API_KEY"]),
        (ROW | {"api_key_var": None}, []),
        (ROW | {"api_key_optional": True}, []),
        (ROW | {"auth": {"style": "none"}}, []),
        ({"default_model": "m", "api_key_var": None}, ["ACME_API_BASE"]),
        (ROW | {"api_key_var": None, "default_base_url": "https://${NOT_SET_A}.example"}, ["NOT_SET_A"]),
        (ROW | {"api_key_var": None, "headers": {"X-A": "${NOT_SET_B}"}}, ["NOT_SET_B"]),
        (ROW | {"api_key_var": None, "headers": {"X-A": "${NOT_SET_B:-}"}}, []),
        (ROW | {"api_key_var": None, "variables": {"r": {"vars": ["NOT_SET_C", "NOT_SET_D"]}}},
         ["NOT_SET_C or NOT_SET_D"]),
        (ROW | {"api_key_var": None, "variables": {"r": {"vars": "NOT_SET_C", "default": "d"}}}, []),
    ],
)  # fmt: skip
def test_what_is_missing(row: dict[str, Any], missing: list[str]) -> None:
    assert missing_variables("acme", row, settings()) == missing
    if missing:
        with pytest.raises(ProviderNotConfiguredError, match=missing[0]):
            make_config("acme", row, settings())


def test_headers_and_address_take_variables() -> None:
    row = {
        "api_key_var": None,
        "default_base_url": "https://${region}.a.example/${ACCOUNT:-none}",
        "variables": {"region": {"vars": "ACME_REGION", "default": "eu"}},
        "headers": {"X-Region": "${region}", "X-Org": "${ORG:-}", "X-Key": "Key ${ACME_TOKEN}"},
    }
    config = make_config("acme", row, settings(ACME_TOKEN="canary-token"))

    assert config.base_url == "https://eu.a.example/none"
    assert config.headers == {"X-Region": "eu", "X-Key": "Key canary-token"}
    assert config.variables == {"region": "eu"}


@pytest.mark.parametrize("key", ["clé-canary", "a\nb-canary", "a\0canary"])
def test_a_key_that_cannot_be_one_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigurationError, match="ACME_API_KEY") as caught:
        make_config("acme", ROW, settings(ACME_API_KEY=key))

    assert "canary" not in str(caught.value)


def test_a_header_with_a_line_break_is_refused() -> None:
    row = ROW | {"api_key_var": None, "headers": {"X-A": "${A_VALUE}"}}
    with pytest.raises(ConfigurationError, match="line break"):
        make_config("acme", row, settings(A_VALUE="a\r\nHost: evil"))


def test_an_account_of_a_base_has_its_own_variables() -> None:
    base = complete_row("hf", ROW | {"api_key_var": ["HF_TOKEN"], "timeout": 9, "aliases": ["h"]})
    row = complete_row("hf2", {"base": "hf"}, base)

    assert row["api_key_var"] == "HF2_API_KEY"
    assert row["timeout"] == 9
    assert "aliases" not in row


def test_a_change_of_the_same_row_keeps_its_variables() -> None:
    base = complete_row("hf", ROW | {"api_key_var": ["HF_TOKEN"]})

    assert complete_row("hf", {"base": "hf", "timeout": 9}, base)["api_key_var"] == ["HF_TOKEN"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"timeuot": 1}, r"\['x'\]\['timeuot'\]: unknown field. Did you mean timeout\?"),
        ({"timeout": 0}, r"\['timeout'\]: 0 must be above 0 and at most 3600"),
        ({"timeout": -1}, "above 0"),
        ({"timeout": 3601}, "at most 3600"),
        ({"timeout": "30"}, "'30' must be of type number"),
        ({"timeout": float("nan")}, "above 0"),
        ({"max_retries": 11}, "at least 0 and at most 10"),
        ({"max_retries": True}, "of type integer"),
        ({"confidence_score": 1.1}, "at least 0 and at most 1"),
        ({"confidence_score": -0.1}, "at least 0"),
        ({"status": "activ"}, "Did you mean active"),
        ({"api_key": "canary"}, "keys do not belong into rows"),
        ({"default_base_url": "api.example/v1"}, "write https://api.example/v1"),
        ({"default_base_url": "https://u:canary@h"}, "user name or password"),
        ({"default_base_url": "http://h.example"}, "allow_http"),
        ({"headers": {"A": "b\n"}}, "not in the expected form"),
        ({"model_rules": [{"match": "/(/"}]}, "not a regular expression"),
        ({"models": [{"size": "7B"}]}, "'name' is a required property"),
        ([], "a row is a dict, not list"),
        ({1: 2}, "must be text"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_with_path_and_remedy(row: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        check_row("x", row)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "ä", "a" * 65, 3])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name is 1 to 64"):
        check_row(name, ROW)


@pytest.mark.parametrize("name", BUILTIN_ROWS)
def test_every_built_in_row_is_valid(name: str) -> None:
    check_row(name, BUILTIN_ROWS[name])


def test_the_table_is_in_alphabetical_order() -> None:
    assert list(BUILTIN_ROWS) == sorted(BUILTIN_ROWS)


@pytest.mark.parametrize(
    ("text", "options", "url"),
    [
        (" https://a.example/v1/ ", {}, "https://a.example/v1"),
        ("HTTPS://A.example:8443/V1", {}, "https://a.example:8443/V1"),
        ("https://[2001:db8::1]:8080/v1", {}, "https://[2001:db8::1]:8080/v1"),
        ("https://bücher.example/v1", {}, "https://xn--bcher-kva.example/v1"),
        ("http://localhost:1", {}, "http://localhost:1"),
        ("http://ollama:11434", {}, "http://ollama:11434"),
        ("http://192.168.1.100:8080", {}, "http://192.168.1.100:8080"),
        ("http://[::1]:1/v1", {}, "http://[::1]:1/v1"),
        ("http://a.example", {"allow_http": True}, "http://a.example"),
        (
            "0.0.0.0",
            {"local": True, "default": "http://localhost:11434"},
            "http://127.0.0.1:11434",
        ),
        ("box:9", {"local": True, "default": "http://localhost:1/v1"}, "http://box:9/v1"),
        ("::1", {"local": True, "default": "http://localhost:1"}, "http://[::1]:1"),
    ],
)
def test_addresses_are_mended(text: str, options: dict[str, Any], url: str) -> None:
    assert normalise_base_url(text, **options) == url


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://u:canary@a.example", "user name or password"),
        ("canary@a.example", "user name or password"),
        ("a.example/v1", "https://a.example/v1"),
        ("ftp://a.example", "must begin with https"),
        ("https://", "not an address"),
        ("https://a.example:99999", "not an address"),
        ("https://a.example/v1?key=canary", r"\? or #"),
        ("https://a b.example", "spaces"),
        ("http://8.8.8.8", "unencrypted"),
        ("https://a..b.\u00fc.example", "not a valid name"),
    ],
)
def test_addresses_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        normalise_base_url(text)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "private"),
    [("localhost", True), ("10.1.2.3", True), ("fe80::1%eth0", True), ("db.internal", True),
     ("api.openai.com", False), ("1.1.1.1", False), ("2606:4700::1111", False)],
)  # fmt: skip
def test_private_hosts(host: str, private: bool) -> None:
    assert is_private_host(host) is private


@pytest.mark.parametrize(
    ("variable", "address", "called"),
    [
        ("ANTHROPIC_BASE_URL", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("ANTHROPIC_BASE_URL", "https://proxy.example/anthropic/", "https://proxy.example/anthropic/v1"),
        ("ANTHROPIC_BASE_URL", "https://proxy.example/v1", "https://proxy.example/v1"),
        ("ANTHROPIC_BASE_URL", "https://proxy.example/v1beta2", "https://proxy.example/v1beta2"),
        ("ANTHROPIC_API_BASE", "https://proxy.example", "https://proxy.example"),
        ("ANTHROPIC_API_BASE", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("ANTHROPIC_API_BASE", "https://api.anthropic.com/v2", "https://api.anthropic.com/v2"),
        ("OPENAI_BASE_URL", "https://api.openai.com", "https://api.openai.com/v1"),
        ("OPENAI_BASE_URL", "https://proxy.example/v1", "https://proxy.example/v1"),
        ("OPENAI_BASE_URL", "https://proxy.example", "https://proxy.example"),
        ("GROQ_BASE_URL", "https://api.groq.com", "https://api.groq.com/openai/v1"),
        ("GROQ_BASE_URL", "https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
    ],
)  # fmt: skip
def test_addresses_of_official_clients_are_completed(
    variable: str, address: str, called: str
) -> None:
    name = variable.partition("_")[0].lower()
    values = {variable: address, f"{name.upper()}_API_KEY": "canary-1234"}

    assert make_config(name, BUILTIN_ROWS[name], settings(**values)).base_url == called


WHOLE_ADDRESSES: dict[str, Any] = {
    "api_key_var": None,
    "default_base_url": "https://a.example/v2",
    "default_model": "m",
    "endpoints": {"chat": "/chat", "stream": "https://streams.example/chat"},
    "models_endpoint": {"path": "https://a.example/v1/models?of=${tenant}", "id_path": "[].id"},
    "health_endpoint": "https://a.example/up",
    "variables": {"tenant": {"vars": "ACME_TENANT"}},
}


def test_whole_addresses_of_a_row_are_expanded() -> None:
    row = make_config("acme", WHOLE_ADDRESSES, settings(ACME_TENANT="t1")).row

    assert row["models_endpoint"] == {
        "path": "https://a.example/v1/models?of=t1",
        "id_path": "[].id",
    }
    assert row["endpoints"] == WHOLE_ADDRESSES["endpoints"]
    assert row["health_endpoint"] == "https://a.example/up"


def test_whole_addresses_follow_the_address_that_a_variable_gives() -> None:
    values = {"ACME_TENANT": "t1", "ACME_API_BASE": "http://127.0.0.1:9/v2"}
    row = make_config("acme", WHOLE_ADDRESSES, settings(**values)).row

    assert row["models_endpoint"]["path"] == "http://127.0.0.1:9/v1/models?of=t1"
    assert row["health_endpoint"] == "http://127.0.0.1:9/up"
    assert row["endpoints"]["stream"] == "https://streams.example/chat"
    assert WHOLE_ADDRESSES["health_endpoint"] == "https://a.example/up"


def test_a_variable_of_a_whole_address_is_missed() -> None:
    row = {**ROW, "api_key_var": None, "models_endpoint": {"path": "https://b.example/${ACME_T}"}}

    assert missing_variables("acme", row, settings()) == ["ACME_T"]


def test_a_rows_base_lends_no_ending_to_its_own_variables() -> None:
    row = complete_row(
        "mine", {"base": "anthropic"}, complete_row("anthropic", BUILTIN_ROWS["anthropic"])
    )

    assert "base_url_append" not in row
