"""The package keeps the rules of its source, and each rule catches what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rules import checks
from tests.rules.source import Source, package_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rule = Callable[[Source], Iterator[str]]

RULES: list[Rule] = [
    checks.environment_reads,
    checks.dangerous_calls,
    checks.bare_sessions,
    checks.composed_sql,
    checks.timed_comparisons,
]


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return package_sources()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_rule(rule: Rule, sources: list[Source]) -> None:
    breaches = [breach for source in sources for breach in rule(source)]

    assert sources
    assert breaches == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (checks.environment_reads, "import os\nos.environ['A']"),
        (checks.environment_reads, "import os as system\nsystem.getenv('A')"),
        (checks.environment_reads, "from os import environ as e"),
        (checks.environment_reads, "def f():\n    from dotenv import load_dotenv"),
        (checks.dangerous_calls, "eval('1')"),
        (checks.dangerous_calls, "import builtins\nbuiltins.exec('1')"),
        (checks.dangerous_calls, "import pickle"),
        (checks.dangerous_calls, "from marshal import loads"),
        (checks.dangerous_calls, "import yaml\nyaml.load('a: 1', Loader=yaml.SafeLoader)"),
        (checks.dangerous_calls, "import subprocess\nsubprocess.run('ls', shell=True)"),
        (checks.dangerous_calls, "run('ls', shell=flag)"),
        (checks.dangerous_calls, "import asyncio\nasyncio.create_subprocess_shell('ls')"),
        (checks.bare_sessions, "import aiohttp\naiohttp.ClientSession()"),
        (checks.bare_sessions, "def f():\n    from aiohttp import ClientSession as S\n    S()"),
        (checks.composed_sql, "db.execute(f'SELECT {column} FROM calls')"),
        (checks.composed_sql, "db.execute('SELECT ' + column)"),
        (checks.composed_sql, "db.execute('SELECT %s' % column)"),
        (checks.composed_sql, "db.executemany('SELECT {}'.format(column), rows)"),
    ],
)
def test_rule_catches(rule: Rule, text: str) -> None:
    source = Source("somewhere/module.py", text)

    assert list(rule(source))


@pytest.mark.parametrize(
    "path", ["gateway/auth.py", "gateway/middleware/auth.py", "infrastructure/llm/keys.py"]
)
@pytest.mark.parametrize(
    "text", ["given == self.key", "stored_digest != digest", "token == expected"]
)
def test_timed_comparisons_catches_in_auth_code(path: str, text: str) -> None:
    assert list(checks.timed_comparisons(Source(path, text)))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (checks.environment_reads, checks.SETTINGS, "import os\nos.environ['A']"),
        (checks.environment_reads, "a.py", "import os\nos.path.join('a', 'b')"),
        (checks.dangerous_calls, "a.py", "import re, yaml\nre.compile('a')\nyaml.safe_load('a')"),
        (checks.dangerous_calls, "a.py", "import asyncio\nasyncio.create_subprocess_exec('ls')"),
        (checks.bare_sessions, checks.TRANSPORT, "import aiohttp\naiohttp.ClientSession()"),
        (checks.composed_sql, "a.py", "db.execute('SELECT ?', (value,))"),
        (checks.timed_comparisons, "gateway/auth.py", "key == ''\ninput_tokens == total"),
        (checks.timed_comparisons, "gateway/metrics.py", "key == other"),
    ],
)
def test_rule_allows(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []
