"""What may be configured without effect is named, and nothing else is."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from faultmaven.config.fields import FIELDS
from faultmaven.config.not_in_force import SECTIONS, VARIABLES, in_settings
from faultmaven.config.schemas import CONFIG_FILE, load_schema
from faultmaven.config.settings import load_settings

PACKAGE = Path(__file__).resolve().parents[2] / "faultmaven"
# What reads the parts of `models`, `routes`, `fallback_chains` and `keys`.
READERS = (
    "gateway/allowance.py",
    "gateway/auth.py",
    "gateway/naming.py",
    "infrastructure/llm/router/names.py",
)
WHOLE = {place for place in SECTIONS if "." not in place}


@cache
def nodes(*paths):
    return [
        node
        for path in paths or PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute | ast.Call | ast.Subscript)
    ]


def words_read(*paths):
    """Give what is looked up by name: who is asked, and for which word."""
    for node in nodes(*paths):
        match node:
            case ast.Call(
                func=ast.Attribute(value=owner, attr="section" | "get" | "pop" as way),
                args=[ast.Constant(value=str(word)), *_],
            ):
                yield "section" if way == "section" else ast.unparse(owner), word
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(word))):
                yield ast.unparse(owner), word


def test_the_list_names_every_section_that_nothing_reads():
    read = {
        word
        for owner, word in words_read()
        if owner in ("section", "sections") or owner.endswith("file.data")
    }
    sections = set(load_schema(CONFIG_FILE)["properties"])

    assert sections - read == WHOLE


def test_the_list_names_parts_that_nothing_reads():
    read = {word for _, word in words_read(*READERS)}
    parts = {place.rpartition(".")[2] for place in SECTIONS} - WHOLE

    assert not parts & read


@pytest.mark.parametrize(
    ("section", "reader", "owner"),
    [
        ("routes", "gateway/naming.py", "routes"),
        ("observability", "cli/serve_logs.py", "section"),
    ],
    ids=["routes", "observability"],
)
def test_the_list_names_every_part_of_a_section_that_nothing_reads(section, reader, owner):
    read = {word for named, word in words_read(reader) if named == owner}
    parts = set(load_schema(CONFIG_FILE)["properties"][section]["properties"])
    whole = [place.split(".") for place in SECTIONS if place.count(".") == 1]
    listed = {part for named, part in whole if named == section}

    assert parts - read == listed


def test_the_list_names_every_setting_that_nothing_reads():
    named = {node.attr for node in nodes() if isinstance(node, ast.Attribute)}
    named |= {word.lower() for word in constants()}
    unread = {
        field.name
        for field in FIELDS
        # Roles' variables are put together from the role's name.
        if field.attribute not in named and not field.name.endswith("_PROVIDER")
    }

    assert unread == set(VARIABLES)


def constants():
    """Give the words that are looked up in settings: `lookup("NAME")`."""
    for node in nodes():
        match node:
            case ast.Call(
                func=ast.Attribute(attr="lookup" | "_find"), args=[ast.Constant(value=str(word))]
            ):
                yield word


@pytest.fixture
def told(tmp_path):
    def telling(text, **variables):
        path = tmp_path / "faultmaven.yaml"
        path.write_text(text)
        settings = load_settings(FAULTMAVEN_CONFIG=str(path), **variables)
        return [str(problem).removeprefix(str(tmp_path)) for problem in in_settings(settings)]

    return telling


def test_what_is_set_is_named_with_its_line(told):
    found = told(
        "budgets: {all: {limit_usd: 5, window: day}}\n"
        "models:\n"
        "  groups:\n"
        "    fast: {members: [openai/a], strategy: cheapest}\n"
        "    other: [{provider: openai, model: b, weight: 2}]\n",
        FAULTMAVEN_STATE_URL="redis://127.0.0.1:6379",
    )

    assert found == [
        "/faultmaven.yaml:1: budgets: is read but not in force in this version",
        "/faultmaven.yaml:5: models.groups.other.0.weight: is read but not in force in this version",
        "/faultmaven.yaml:4: models.groups.fast.strategy: is read but not in force in this version",
        "argument: FAULTMAVEN_STATE_URL: is read but not in force in this version",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{}\n",
        "gateway: {drain_s: 3}\n",
        "cache: {enabled: false}\n",
        "routes: {debug: false}\n",
        "models: {groups: {fast: {members: [openai/a], strategy: first}}}\n",
    ],
)
def test_what_holds_is_not_named(told, text):
    assert told(text) == []
