from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.catalog import Catalog
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.overrides import load_overrides, parse_entry, parse_key


def test_load_overrides_reads_a_file_that_a_catalog_takes(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"$schema": "x", "acme/big": {"input": 1, "output": 2}}', "utf-8")

    info = Catalog(load_overrides(path), source=str(path)).find("acme", "big")

    assert info is not None
    assert info.price is not None
    assert (info.price.rates.input, info.price.source) == (1, str(path))


@pytest.mark.parametrize("text", [None, "{", "[]"], ids=["absent", "no JSON", "no object"])
def test_load_overrides_names_the_file(tmp_path, text):
    path = tmp_path / "prices.json"
    if text is not None:
        path.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError, match=r"prices\.json"):
        load_overrides(path)


def test_parse_key_splits_at_the_first_slash():
    assert parse_key("groq/openai/gpt-oss-120b", "x") == ("groq", "openai/gpt-oss-120b")


@pytest.mark.parametrize("key", ["gpt-4o", "/gpt-4o", "openai/", ""])
def test_parse_key_refuses_half_a_name(key):
    with pytest.raises(ConfigurationError, match="provider/model"):
        parse_key(key, "faultmaven.yaml")


def test_parse_entry_keeps_all_of_a_price():
    price = {
        "input": 1,
        "output": 2.5,
        "cache_read": None,
        "from": "2026-01-01",
        "tiers": [{"above_tokens": 1000, "input": 2}],
        "peak": {"factor": 2, "hours_utc": [[1, 4]]},
    }

    entry = parse_entry({"can": ["tools"], "prices": [price]}, "x", "mine")

    assert entry == {"can": ["tools"], "prices": [{"source": "mine", **price}]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(3, "not an object", id="number"),
        pytest.param({"inptu": 1}, "did you mean 'input'", id="typo"),
        pytest.param({"zzz": 1}, "known fields", id="unknown"),
        pytest.param({"input": -1}, "a.input: -1", id="negative"),
        pytest.param({"input": "1"}, "a.input: '1'", id="text"),
        pytest.param({"input": True}, "a.input: True", id="boolean"),
        pytest.param({"input": float("nan")}, "a.input: nan", id="not a number"),
        pytest.param({"input": 1e30}, "a.input", id="absurd"),
        pytest.param({"context_window": 0}, "tokens above 0", id="no window"),
        pytest.param({"can": "tools"}, "a list of texts", id="no list"),
        pytest.param({"knowledge": 2026}, "a text", id="no text"),
        pytest.param({"prices": [3]}, "not an object", id="no price"),
        pytest.param({"prices": [{"inptu": 1}]}, "did you mean 'input'", id="typo in price"),
        pytest.param({"input": 1, "from": 2026}, "a date", id="no date"),
        pytest.param({"input": 1, "tiers": {}}, "a list of tiers", id="no tiers"),
        pytest.param({"input": 1, "tiers": [{"input": 1}]}, "above_tokens", id="no size"),
        pytest.param({"input": 1, "peak": {"factor": 0}}, "a factor above 0", id="no factor"),
        pytest.param({"input": 1, "peak": {"factor": 2}}, "pairs of hours", id="no hours"),
        pytest.param(
            {"input": 1, "peak": {"factor": 2, "hours_utc": [[4, 1]]}}, "pairs", id="backwards"
        ),
    ],
)
def test_parse_entry_says_where_and_what(entry, message):
    with pytest.raises(ConfigurationError) as caught:
        parse_entry(entry, "a", "mine")

    assert message in str(caught.value)
