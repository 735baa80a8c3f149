"""New providers: what is written works as it is, and is what the twelve points want."""

import json
import subprocess
import sys

import pytest

from faultmaven.infrastructure.llm.providers.provider_class import module_name
from faultmaven.testing import FakeUpstream


def run_tests(folder, environment):
    """Run the tests of a folder as its owner would, without whatever plugins are about here."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", str(folder)),
        ],
        cwd=folder,
        env={**environment, "PYTHONWARNINGS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_row_is_a_provider_at_once(faultmaven, tmp_path):
    written = faultmaven(
        "providers",
        "new",
        "acme-eu",
        "--base-url",
        "https://acme.example/v1",
        "--dialect",
        "openai",
    )
    shown = faultmaven("providers", "show", "acme-eu", "--json")
    checked = faultmaven("validate")

    row = json.loads(shown.stdout)["row"]
    assert written.returncode == shown.returncode == checked.returncode == 0, checked.stderr
    assert row["default_base_url"] == "https://acme.example/v1"
    assert row["display_name"] == "Acme Eu"
    assert (tmp_path / "providers.d" / "acme-eu.yaml").is_file()
    assert "ACME_EU_API_KEY" in written.stderr + written.stdout


@pytest.mark.parametrize("dialect", ["anthropic", "ollama", "openai"])
def test_a_row_passes_its_test_unchanged(faultmaven, tmp_path, environment, dialect):
    written = faultmaven("providers", "new", "acme-2", "--dialect", dialect)
    tested = run_tests(tmp_path, environment)

    assert written.returncode == 0
    assert tested.returncode == 0, tested.stdout
    assert (tmp_path / "test_acme_2.py").is_file()


@pytest.mark.parametrize("name", ["myprovider", "acme-2", "7.up"])
def test_a_class_passes_its_test_unchanged(faultmaven, tmp_path, environment, name):
    written = faultmaven("provider", "new", name)
    tested = run_tests(tmp_path, environment)
    # As the installed command runs: the working directory is not on Python's path.
    valid = faultmaven("validate", env={"PYTHONSAFEPATH": "1"})
    named = [
        str(p)
        for p in tmp_path.rglob("*")
        if p.name in {f"{name}.yaml", f"{module_name(name)}.py"}
    ]
    valid_by_name = faultmaven("validate", *named, env={"PYTHONSAFEPATH": "1"})
    checked = faultmaven("providers", "check", name, "--fake", env={"PYTHONSAFEPATH": "1"})

    assert written.returncode == 0
    assert tested.returncode == 0, tested.stdout
    assert valid.returncode == 0, valid.stdout + valid.stderr
    assert (len(named), valid_by_name.returncode) == (2, 0), valid_by_name.stdout
    lines = [line.split("\t") for line in checked.stdout.splitlines()]
    assert [line[0] for line in lines if line[1] == "FAIL"] == ["5", "12"]


@pytest.mark.parametrize("name", ["Acme", "a/b", "../x", ""])
def test_a_name_that_cannot_be_one_is_refused(faultmaven, tmp_path, name):
    run = faultmaven("providers", "new", name)

    assert run.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(faultmaven, tmp_path):
    faultmaven("providers", "new", "acme")
    before = (tmp_path / "providers.d" / "acme.yaml").read_text()

    run = faultmaven("providers", "new", "acme", "--model", "other")

    assert run.returncode == 2
    assert "is there already" in run.stderr
    assert (tmp_path / "providers.d" / "acme.yaml").read_text() == before


@pytest.mark.parametrize(
    ("name", "failing"),
    [("openai", set()), ("anthropic", set()), ("mistral", set()), ("ollama", set())],
)
def test_built_in_providers_pass_all_points(faultmaven, name, failing):
    run = faultmaven("providers", "check", name, "--fake", "--json")

    points = json.loads(run.stdout)
    assert [point["number"] for point in points] == list(range(1, 13))
    assert {p["number"]: p["detail"] for p in points if not p["ok"]}.keys() == failing, points
    assert run.returncode == 0


def test_a_new_provider_lacks_only_its_prices_and_tests(faultmaven):
    faultmaven("providers", "new", "acme")

    run = faultmaven("providers", "check", "acme", "--fake")

    lines = [line.split("\t") for line in run.stdout.splitlines()]
    assert [line[0] for line in lines if line[1] == "FAIL"] == ["5", "12"]
    assert len(lines) == 12
    assert run.returncode == 1


async def test_a_provider_is_checked_where_it_is(faultmaven):
    with FakeUpstream.in_thread() as upstream:
        env = {"GROQ_API_KEY": "key-for-a-test", "GROQ_API_BASE": upstream.base_url}
        run = faultmaven("providers", "check", "groq", "--json", env=env)

    points = json.loads(run.stdout)
    assert [p["number"] for p in points if not p["ok"]] == [], points
    assert "key-for-a-test" not in run.stdout


def test_without_its_key_a_provider_cannot_be_checked(faultmaven):
    run = faultmaven("providers", "check", "groq")

    assert run.returncode == 2
    assert "GROQ_API_KEY" in run.stderr
