"""`faultmaven validate` checks what a quick start does not: addresses and files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import FaultMaven


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONFIG_PATH", "nowhere.yaml", "must be the path of a file"),
        ("FAULTMAVEN_STATE_URL", "localhost:6379", "must be an address"),
        ("LLM_MAX_RETRIES", "99", "must be a whole number from 0 to 10"),
    ],
)
def test_validate_names_a_setting_that_cannot_be_right(
    tmp_path: Path, root: Path, name: str, value: str, said: str
) -> None:
    (tmp_path / ".git").mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), name: value}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", "validate"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode == 2, run.stderr
    assert f"environment: {name}" in run.stdout
    assert said in run.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limits: {default: {requests_per_minute: 5}}", ""),
        ("limits: {keys: {team: {concurrency: 0}}}", "must be at least 1 and at most 100000"),
        ("limits: {providers: {groq: {rpm: 5}}}", "unknown field"),
    ],
)
def test_validate_holds_a_file_of_limits_against_their_schema(
    tmp_path: Path, root: Path, text: str, said: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "other.yaml").write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", "validate", "other.yaml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode == (2 if said else 0), run.stdout
    assert said in run.stdout


@pytest.mark.parametrize("command", [["validate"], ["serve", "--check"]])
def test_limits_of_nobody_are_named(tmp_path: Path, root: Path, command: list[str]) -> None:
    (tmp_path / ".git").mkdir()
    text = "limits: {providers: {grok_typo: {concurrency: 5}}, keys: {nobody: {concurrency: 5}}}"
    (tmp_path / "faultmaven.yaml").write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "faultmaven", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode != 0
    assert "limits.providers.grok_typo: there is no such provider" in run.stdout + run.stderr
    assert "limits.keys.nobody: there is no such key" in run.stdout + run.stderr


OWN_CLASS = """
from faultmaven.infrastructure.llm.providers import HTTPProvider

class HouseProvider(HTTPProvider):
    def _transform_request(self, request):
        return {}
    def _transform_response(self, data):
        raise NotImplementedError
"""


@pytest.fixture
def own_files(tmp_path: Path) -> Path:
    """A provider as one class and one file, with its key beside it."""
    (tmp_path / "house_provider.py").write_text(OWN_CLASS)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "house.yaml").write_text(
        "name: house\napi_base: https://house.test/v1\ndefault_model: m\nmodels: [m, n]\n"
    )
    (tmp_path / "config" / "instance.yaml").write_text("api_key: sk-of-the-instance\n")
    return tmp_path


OWN = {"PROVIDER_TYPE": "house", "CONFIG_PATH": "config/house.yaml"}
OWN_PATHS = ("house_provider.py", "config/house.yaml", "config/instance.yaml")


def test_validate_knows_a_provider_of_one_class_and_one_file(
    faultmaven: FaultMaven, own_files: Path
) -> None:
    named = faultmaven("validate", *OWN_PATHS)
    in_force = faultmaven("validate", env=OWN)
    ready = faultmaven("serve", "--check", env=OWN)

    for run in (named, in_force, ready):
        assert run.returncode == 0, run.stdout + run.stderr
    assert "config/instance.yaml" in in_force.stderr


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("config/house.yaml", "api_base: https://a.test\nmodles: [m]\n", "house.yaml:2: modles: "),
        ("config/instance.yaml", "api_kee: x\n", "instance.yaml:1: api_kee: unknown field"),
        ("house_provider.py", "\ndef x(:\n", ":2"),
        ("house_provider.py", "\n", "must define one subclass"),
    ],
)
def test_what_is_wrong_with_them_is_told_by_all_who_check(
    faultmaven: FaultMaven, own_files: Path, path: str, text: str, said: str
) -> None:
    (own_files / path).write_text(text)

    named = faultmaven("validate", *OWN_PATHS)
    in_force = faultmaven("validate", env=OWN)
    ready = faultmaven("serve", "--check", env=OWN)

    assert (named.returncode, in_force.returncode, ready.returncode) == (2, 2, 1)
    for run in (named, in_force, ready):
        assert said in run.stdout + run.stderr
        assert "Traceback" not in run.stderr


def test_config_show_masks_the_key_beside_the_file(
    faultmaven: FaultMaven, own_files: Path
) -> None:
    run = faultmaven("config", "show", env=OWN)

    assert "api_key\t***\tconfig/instance.yaml:1" in run.stdout
    assert "default_model\tm\tconfig/house.yaml:3" in run.stdout
    assert "sk-of-the-instance" not in run.stdout + run.stderr


def test_a_service_that_cannot_start_is_no_good_configuration(faultmaven: FaultMaven) -> None:
    checked = faultmaven("serve", "--check", env={"PROVIDER_TYPE": "nonsense"})
    validated = faultmaven("validate", env={"PROVIDER_TYPE": "nonsense"})

    keyless = faultmaven("serve", "--check", env={"PROVIDER_TYPE": "mistral"})

    assert (checked.returncode, validated.returncode, keyless.returncode) == (1, 2, 1)
    assert "mistral is not configured: MISTRAL_API_KEY." in keyless.stderr
    assert "nonsense_provider.py" in validated.stdout
