"""In CI no client may be missing unnoticed."""

from __future__ import annotations

import pytest

from tests.clients import node
from tests.clients.installed import need, need_program
from tests.clients.node import find_program

MISSING = [
    pytest.param(need, "no_such_client", id="package"),
    pytest.param(need_program, "no-such-program", id="program"),
    pytest.param(find_program, "no-such-agent", id="npm"),
]


@pytest.mark.parametrize(("find", "name"), MISSING)
def test_what_is_missing_fails_in_ci(monkeypatch, find, name):
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match=name):
        find(name)


@pytest.mark.parametrize(("find", "name"), MISSING)
def test_what_is_missing_is_skipped_elsewhere(monkeypatch, find, name):
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=name):
        find(name)


@pytest.mark.parametrize("program", ["claude", "codex", "node"])
def test_every_program_of_the_package_is_there_or_none_is(program):
    """A half installed folder would leave tests out."""
    if not node.PROGRAMS.exists():
        find_program(program)

    assert (node.PROGRAMS / program).exists()
