"""Where a variable's value comes from, and what is refused."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.fields import FIELDS
from faultmaven.config.settings import Settings, load_settings


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def test_defaults_hold_where_nothing_is_set(project: Path) -> None:
    settings = load_settings()

    assert settings.chat_provider == "embedded"
    assert settings.fallback_providers == ()
    assert settings.strict_provider_mode is False
    assert settings.llm_request_timeout is None


def test_precedence_is_argument_environment_dotenv_file_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "faultmaven.yaml", "settings:\n  chat_provider: from-yaml\n")
    assert load_settings().chat_provider == "from-yaml"
    assert load_settings().source_of("CHAT_PROVIDER") == f"{project}/faultmaven.yaml:2"
    write(project / ".env", "\nCHAT_PROVIDER=from-dotenv\n")
    assert load_settings().chat_provider == "from-dotenv"
    assert load_settings().source_of("CHAT_PROVIDER") == f"{project}/.env:2"
    monkeypatch.setenv("CHAT_PROVIDER", "from-environment")
    assert load_settings().chat_provider == "from-environment"
    assert load_settings().source_of("CHAT_PROVIDER") == "environment"

    assert load_settings(chat_provider="explicit").chat_provider == "explicit"


def test_reading_changes_no_environment(project: Path) -> None:
    write(project / ".env", "ACME_API_KEY=abc\n")
    before = dict(os.environ)

    assert load_settings().lookup("ACME_API_KEY") == "abc"
    assert dict(os.environ) == before


def test_an_empty_string_counts_as_not_set(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / ".env", "CHAT_PROVIDER=groq\n")
    monkeypatch.setenv("CHAT_PROVIDER", "")

    assert load_settings().chat_provider == "groq"


def test_a_prefixed_name_comes_first(project: Path) -> None:
    write(
        project / ".env",
        "FAULTMAVEN_ENV_PREFIX=GENAI_\nGENAI_GROQ_API_KEY=prefixed\nGROQ_API_KEY=plain\nB_MODEL=b\n",
    )
    settings = load_settings()

    assert settings.lookup("GROQ_API_KEY") == "prefixed"
    assert settings.lookup("B_MODEL") == "b"


def test_dotenv_is_looked_for_within_the_project_only(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    write(project / ".env", "CHAT_PROVIDER=outer\n")
    monkeypatch.chdir(inner)
    assert load_settings().chat_provider == "outer"

    (project / "a" / "pyproject.toml").touch()
    assert load_settings().chat_provider == "embedded"


def test_a_named_dotenv_is_read_instead(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "other", "CHAT_PROVIDER=named\n")
    monkeypatch.setenv("FAULTMAVEN_ENV_FILE", "other")

    assert load_settings().chat_provider == "named"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A_KEY=v\n", "v"),
        ("export A_KEY=v\n", "v"),
        ("A_KEY='v w'\n", "v w"),
        ('A_KEY="v # w"\n', "v # w"),
        ("A_KEY=v # comment\n", "v"),
        ("A_KEY = v\r\nB=c\r\n", "v"),
        ("\ufeffA_KEY=v\n", "v"),
        ("A_KEY=one\nA_KEY=v\n", "v"),
        ("B=v\nA_KEY=${B}\n", "v"),
        ("A_KEY=${NOT_SET_ANYWHERE:-v}\n", "v"),
        ("# only\n\nA_KEY=a=b==\n", "a=b=="),
    ],
    ids=[
        "plain", "export", "single", "double", "comment", "crlf", "bom", "twice", "expanded", "default",
        "equals",
    ],
)  # fmt: skip
def test_dotenv_forms(project: Path, text: str, value: str) -> None:
    write(project / ".env", text)

    assert load_settings().lookup("A_KEY") == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nsecret-text\n", 2),
        ("A=1\n\nB='secret-text\n", 3),
        (b"A=1\nB=secret-text\0\n", 2),
        (b"A=1\nB=\xff\xfesecret-text\n", 2),
        ("A=1\nA b=secret-text\n", 2),
    ],
    ids=["no-equals", "open-quote", "nul", "not-utf8", "space-in-name"],
)
def test_a_bad_dotenv_names_the_line_and_not_the_value(
    project: Path, text: str | bytes, line: int
) -> None:
    path = write(project / ".env", text)

    with pytest.raises(ConfigFileError) as caught:
        load_settings()

    assert f"{path}:{line}: " in str(caught.value)
    assert "secret-text" not in str(caught.value)


def test_a_large_dotenv_is_refused(project: Path) -> None:
    write(project / ".env", "A=1\n" * 300_000)

    with pytest.raises(ConfigFileError, match="larger than"):
        load_settings()


def test_a_readable_dotenv_with_keys_is_warned_of(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(project / ".env", "A_KEY=v\n").chmod(0o644)
    with caplog.at_level(logging.WARNING, "faultmaven.config"):
        load_settings()

    assert f"chmod 600 {project}/.env" in caplog.text


def test_a_secret_may_be_in_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(project / "key", "mounted\n")
    monkeypatch.setenv("ACME_API_KEY_FILE", str(path))
    settings = load_settings()

    assert settings.lookup("ACME_API_KEY") == "mounted"
    assert settings.source_of("ACME_API_KEY") == f"file {path}"


@pytest.mark.parametrize("content", [b"", b"x" * 70_000, b"\xff\xff", None])
def test_a_bad_secret_file_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        write(project / "key", content)
    monkeypatch.setenv("ACME_API_KEY_FILE", str(project / "key"))

    with pytest.raises(ConfigFileError, match="ACME_API_KEY_FILE"):
        load_settings().lookup("ACME_API_KEY")


def test_a_value_and_its_file_together_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_KEY_FILE", str(write(project / "key", "a")))
    monkeypatch.setenv("ACME_API_KEY", "b")

    with pytest.raises(ConfigFileError, match="both set"):
        load_settings().lookup("ACME_API_KEY")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LLM_REQUEST_TIMEOUT", "0"),
        ("LLM_REQUEST_TIMEOUT", "-1"),
        ("LLM_REQUEST_TIMEOUT", "3601"),
        ("LLM_REQUEST_TIMEOUT", "soon"),
        ("LLM_REQUEST_TIMEOUT", "nan"),
        ("LLM_MAX_RETRIES", "11"),
        ("LLM_MAX_RETRIES", "-1"),
        ("LLM_MAX_RETRIES", "1.5"),
        ("LLM_MAX_RETRIES", "9" * 5000),
        ("STRICT_PROVIDER_MODE", "perhaps"),
        ("FAULTMAVEN_LOG", "loud"),
    ],
)
def test_a_value_out_of_range_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigFileError, match=f"{name}.*must be"):
        load_settings()


def test_all_bad_values_are_told_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_REQUEST_TIMEOUT", "0")
    monkeypatch.setenv("FAULTMAVEN_LOG", "loud")

    with pytest.raises(ConfigFileError) as caught:
        load_settings()

    assert len(caught.value.problems) == 2


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="Did you mean chat_provider"):
        load_settings(chat_provder="groq")


def test_a_variable_that_refers_to_itself_is_refused(project: Path) -> None:
    write(project / ".env", "A_A=${B_B}\nB_B=${A_A}\n")

    with pytest.raises(ConfigFileError, match="refers to itself"):
        load_settings().lookup("A_A")


def test_every_field_is_an_attribute_with_a_description() -> None:
    assert {field.attribute for field in FIELDS} == set(Settings.__annotations__)
    assert all(field.description.endswith(".") for field in FIELDS)
