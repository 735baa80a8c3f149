from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.catalog import Catalog
from faultmaven.infrastructure.llm.errors import ModelNotFoundError
from faultmaven.infrastructure.llm.router.names import NameTable, Target
from faultmaven.infrastructure.llm.router.selector import is_selector, size_of


def table(**more):
    return NameTable(
        rows={"openai": "openai", "oai": "openai", "groq": "groq", "local": "local"},
        models={"openai": ["gpt-4o", "gpt-4o-mini"], "groq": ["llama-3-8b"], "local": []},
        default="openai",
        **more,
    )


@pytest.mark.parametrize(
    ("name", "target", "rule"),
    [
        ("openai/any-thing", Target("openai", "any-thing"), "explicit"),
        ("oai/x/y", Target("openai", "x/y"), "explicit"),
        ("groq", Target("groq", None), "provider"),
        ("llama-3-8b", Target("groq", "llama-3-8b"), "model"),
        ("quick", Target("groq", "llama-3-8b"), "alias"),
        ("exactly", Target("groq", "m"), "route"),
        ("claude-x", Target("groq", "claude-x"), "pattern"),
        ("pair", Target("openai", "a"), "group"),
    ],
)
def test_a_name_means_one_thing(name, target, rule):
    found = table(
        aliases={"quick": "groq/llama-3-8b"},
        exact={"exactly": {"provider": "groq", "model": "m"}},
        patterns=[{"pattern": "^claude", "provider": "groq"}],
        groups={"pair": ["openai/a", "groq/b"]},
    ).resolve(name)

    assert (found.targets[0], found.rule) == (target, rule)


def test_a_vendors_prefix_is_part_of_the_name():
    plan = table(open_ended=frozenset({"openai"})).resolve("meta-llama/Llama-3")

    assert plan.targets == (Target("openai", "meta-llama/Llama-3"),)
    assert plan.rule == "default"


def test_who_takes_over_has_the_model_or_uses_its_own():
    plan = table(fallbacks=["groq", "openai"]).resolve("openai/gpt-4o")

    assert plan.targets == (Target("openai", "gpt-4o"), Target("groq", None))


def test_a_chain_wins_over_the_fallbacks():
    chains = {"openai": {"chain": ["local/m", {"provider": "groq", "model": "n"}]}}
    plan = table(fallbacks=["groq"], chains=chains).resolve("openai/x")

    assert plan.targets == (Target("openai", "x"), Target("local", "m"), Target("groq", "n"))


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(ModelNotFoundError, match="openai/gpt-4o-mini"):
        table().resolve("gpt-4o-mni")


@pytest.mark.parametrize("name", ["a\nb", "\x00", "x" * 300])
def test_a_name_is_printable_and_short(name):
    with pytest.raises(ModelNotFoundError) as caught:
        table().resolve(name)

    assert caught.value.status == 400


def test_what_a_caller_may_not_use_does_not_exist_for_it():
    names = table(fallbacks=["groq"])
    plan = names.resolve("openai/gpt-4o")

    only_groq = names.permitted(plan, "openai/gpt-4o", lambda _n, provider, _m: provider == "groq")
    assert [target.provider for target in only_groq.targets] == ["groq"]
    with pytest.raises(ModelNotFoundError) as caught:
        names.permitted(plan, "openai/gpt-4o", lambda *_: False)
    assert "gpt-4o-mini" not in caught.value.message


def test_a_selector_chooses_the_cheapest_that_fits():
    plan = table(catalog=Catalog()).resolve("cap:vision,tools ctx>=100k price<=1")

    assert plan.rule == "selector"
    assert plan.targets[0].provider in ("openai", "groq")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("size:<8B", True),
        ("cap:vision ctx>=128k", True),
        ("gpt-4o", False),
        ("", False),
        ("size:8", False),
    ],
)
def test_selectors_are_told_from_names(text, found):
    assert is_selector(text) is found


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("llama-3-8b-instruct", 8e9),
        ("smollm2-135M", 135e6),
        ("gpt-4o", None),
        ("mixtral-8x7b", None),
        ("qwen2.5-0.5b", 5e8),
    ],
)
def test_sizes_are_read_from_names(model, size):
    assert size_of(model) == size
