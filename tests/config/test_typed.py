"""The checked reading of the settings says the same as the quick one, and finds more faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from pydantic import SecretStr

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.fields import FIELDS, Field
from faultmaven.config.settings import load_settings
from faultmaven.config.typed import check_settings, load_typed_settings

PASSWORD = "hunter2-canary"


def revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return tuple(map(revealed, value)) if isinstance(value, tuple) else value


def values_of(settings: Any) -> dict[str, Any]:
    return {field.attribute: revealed(getattr(settings, field.attribute)) for field in FIELDS}


def outcome(load: Any, given: dict[str, Any]) -> Any:
    """Give the values, or what is wrong with them."""
    try:
        return values_of(load(**given))
    except ConfigFileError as exc:
        return str(exc)


def test_both_readings_agree_where_nothing_is_set(project: Path) -> None:
    assert values_of(load_typed_settings()) == values_of(load_settings())


def test_both_readings_agree_about_every_place(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = project / ".env"
    env_file.write_text("CHAT_PROVIDER=groq\nFALLBACK_PROVIDERS=' a, b ,'\n")
    env_file.chmod(0o600)
    (project / "key").write_text("one,two\n")
    (project / "faultmaven.yaml").write_text(
        "settings:\n  llm_max_retries: 4\n  chat_provider: x\n"
    )
    monkeypatch.setenv("LLM_REQUEST_TIMEOUT", "1e2")
    monkeypatch.setenv("STRICT_PROVIDER_MODE", "YES")
    monkeypatch.setenv("FAULTMAVEN_GATEWAY_KEYS_FILE", str(project / "key"))
    monkeypatch.setenv("FAULTMAVEN_STATE_URL", f"redis://:{PASSWORD}@localhost:6379/0")
    typed = load_typed_settings(faultmaven_log="Debug")

    assert values_of(typed) == values_of(load_settings(faultmaven_log="Debug"))
    assert PASSWORD not in repr(typed)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(
    field=st.sampled_from([field for field in FIELDS if field.kind != "path"]),
    text=st.one_of(
        st.sampled_from(["0", "10", "11", "1_0", "1.5", "+1", " 7 ", "nan", "inf", "-1", "3600"]),
        st.sampled_from(["true", "t", "OFF ", "y", "INFO", "1e400", "redis://h:1", "٣", "a,,b "]),
        st.text(max_size=8),
    ),
)
def test_both_readings_agree_about_any_text(project: Path, field: Field, text: str) -> None:
    if field.name in ("FAULTMAVEN_ENV_PREFIX", "FAULTMAVEN_CONFIG", "FAULTMAVEN_ENV_FILE"):
        return
    light = outcome(load_settings, {field.attribute: text})
    typed = outcome(load_typed_settings, {field.attribute: text})

    stricter = field.attribute.endswith("_url") and "must be an address" in str(typed)
    assert stricter or typed == light


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("LLM_MAX_RETRIES", "11", "'11' and must be a whole number from 0 to 10"),
        ("LLM_REQUEST_TIMEOUT", "soon", "must be a number of seconds"),
        ("STRICT_PROVIDER_MODE", "perhaps", "must be true or false"),
        ("FAULTMAVEN_LOG", "loud", "must be one of debug, info"),
        ("CONFIG_PATH", "nowhere.yaml", "must be the path of a file"),
        ("FAULTMAVEN_STATE_URL", f"{PASSWORD}:6379", "must be an address"),
        ("FAULTMAVEN_DATABASE_URL", f"postgres://u:{PASSWORD}@h:port/db", "must be an address"),
    ],
)
def test_a_fault_names_variable_place_and_remedy(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    monkeypatch.setenv(name, text)
    [problem] = check_settings()

    assert problem.file == "environment"
    assert problem.path == name
    assert said in problem.problem
    assert PASSWORD not in str(problem)


def test_all_faults_are_told_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MAX_RETRIES", "many")
    monkeypatch.setenv("FAULTMAVEN_LOG", "loud")

    assert {problem.path for problem in check_settings()} == {"LLM_MAX_RETRIES", "FAULTMAVEN_LOG"}


def test_a_file_that_cannot_be_read_is_a_problem_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTMAVEN_GATEWAY_KEYS_FILE", "/nowhere/keys")

    assert "cannot be read" in check_settings()[0].problem


def test_sound_settings_have_no_problems(project: Path) -> None:
    assert check_settings() == []
