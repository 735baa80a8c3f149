"""Changed files are taken while the process runs, and broken ones are not."""

from __future__ import annotations

import logging

import pytest

from faultmaven.config.reload import Watcher
from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.catalog import get_catalog
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

pytestmark = pytest.mark.usefixtures("project")

GOOD = "providers:\n  acme: {default_base_url: 'https://a.example/v1', api_key_var: null}\n"


@pytest.fixture
def registry():
    return ProviderRegistry(load_settings(chat_provider="groq"))


def test_nothing_is_read_where_nothing_changed(registry):
    settings = registry.settings
    watcher = Watcher(registry)

    assert watcher.look() is False
    assert registry.settings is settings


def test_a_file_that_appears_is_taken(registry, project):
    watcher = Watcher(registry)
    (project / "faultmaven.yaml").write_text(GOOD)

    assert watcher.look() is True
    assert "acme" in registry.get_all_provider_names()
    assert watcher.problem == ""
    assert watcher.look() is False


def test_a_variable_in_dotenv_is_taken(registry, project):
    watcher = Watcher(registry)
    path = project / ".env"
    path.write_text("GROQ_API_KEY=canary-1234\n")
    path.chmod(0o600)
    assert watcher.look() is True
    first = registry.get_provider("groq")
    path.write_text("GROQ_API_KEY=canary-12345\n")
    assert watcher.look() is True

    assert first.config.api_key == "canary-1234"
    assert registry.get_provider("groq").config.api_key == "canary-12345"


def test_a_reload_that_is_asked_for_reads_what_looks_the_same(registry):
    settings = registry.settings
    watcher = Watcher(registry)

    assert watcher.reload() == ""
    assert registry.settings is not settings
    assert watcher.look() is False


def test_a_change_since_the_state_that_was_given_is_taken(registry, project):
    seen = Watcher(registry).seen
    (project / "faultmaven.yaml").write_text(GOOD)

    assert Watcher(registry).look() is False
    assert Watcher(registry, seen).look() is True


def test_a_file_is_read_when_it_has_been_written(registry, project):
    path = project / "faultmaven.yaml"
    path.write_text(GOOD)
    registry.reload()
    parts = iter([GOOD.partition("acme")[0], GOOD.replace("acme", "other")])
    waited = []

    def write_on(seconds: float) -> None:
        waited.append(seconds)
        if (part := next(parts, None)) is not None:
            path.write_text(part)

    watcher = Watcher(registry, wait=write_on)
    path.write_text("")  # as an editor begins

    assert watcher.look() is True
    assert watcher.problem == ""
    assert "other" in registry.get_all_provider_names()
    assert len(waited) == 3


def test_a_file_that_is_always_being_written_is_read_after_a_while(registry, project):
    path = project / "faultmaven.yaml"
    watcher = Watcher(registry, wait=lambda _: path.write_text(path.read_text() + "# more\n"))
    path.write_text(GOOD)

    assert watcher.look() is True
    assert "acme" in registry.get_all_provider_names()


def test_a_file_that_is_read_no_more_is_watched_no_more(project, registry):
    secret = project / "key"
    secret.write_text("canary-1234")
    dotenv = project / ".env"
    dotenv.write_text(f"GROQ_API_KEY_FILE={secret}\n")
    watcher = Watcher(registry)
    watcher.reload()
    registry.get_provider("groq")
    dotenv.write_text("GROQ_API_KEY=canary-12345\n")

    assert watcher.look() is True
    assert secret not in watcher.seen
    assert watcher.look() is False


def test_explicit_arguments_stay(registry, project):
    (project / ".env").write_text("CHAT_PROVIDER=openai\n")
    registry.reload()

    assert registry.settings.chat_provider == "groq"


def test_a_broken_file_leaves_the_last_good_state(registry, project, caplog):
    path = project / "faultmaven.yaml"
    path.write_text(GOOD)
    watcher = Watcher(registry)
    path.write_text(GOOD + "  bad: {timeout: -1}\n")
    with caplog.at_level(logging.WARNING, "faultmaven.providers"):
        assert watcher.look() is True

    assert registry.settings.file is None
    assert "timeout" in watcher.problem
    assert "the last good one stays" in caplog.text
    assert watcher.look() is False
    path.write_text(GOOD)
    assert watcher.look() is True
    assert watcher.problem == ""
    assert "acme" in registry.get_all_provider_names()


def test_a_new_file_of_providers_d_is_taken(registry, project):
    (project / "faultmaven.yaml").write_text(GOOD)
    registry.reload()
    watcher = Watcher(registry)
    folder = project / "providers.d"
    folder.mkdir()
    row = folder / "second.yaml"
    row.write_text("default_base_url: https://b.example/v1\n")
    watcher.look()
    assert "second" in registry.get_all_provider_names()
    row.write_text("default_base_url: https://longer.b.example/v1\n")
    watcher.look()

    assert registry.get_row("second")["default_base_url"] == "https://longer.b.example/v1"


def test_a_mounted_secret_that_changes_is_taken(project):
    secret = project / "key"
    secret.write_text("canary-1234")
    registry = ProviderRegistry(load_settings(GROQ_API_KEY_FILE=str(secret)))
    assert registry.get_provider("groq").config.api_key == "canary-1234"
    watcher = Watcher(registry)
    secret.write_text("canary-123456")
    watcher.look()

    assert registry.get_provider("groq").config.api_key == "canary-123456"


def test_prices_of_the_file_are_the_processes(registry, project):
    path = project / "faultmaven.yaml"
    path.write_text("pricing:\n  acme/*: {input: 1, output: 2}\n")
    registry.reload()
    assert get_catalog().find("acme", "any").price.rates.output == 2
    path.write_text("pricing:\n  acme/*: {input: 1, output: 3}\n")
    registry.reload()
    assert get_catalog().find("acme", "any").price.rates.output == 3
    path.write_text(GOOD)
    registry.reload()

    assert get_catalog().find("acme", "any") is None
