"""A provider's own files: what CONFIG_PATH names, and the key beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.own_provider import load_own_files
from faultmaven.config.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(project: Path) -> Path:
    (project / "config").mkdir()
    return project / "config"


def test_both_files_are_read_the_key_last(folder: Path) -> None:
    (folder / "x.yaml").write_text("name: x\napi_base: ${X_HOST:-https://x.test}/v1\n")
    (folder / "instance.yaml").write_text("api_key: sk-of-the-instance\n")

    for path in ("config/x.yaml", str(folder / "x.yaml")):
        settings = load_settings(CONFIG_PATH=path, X_HOST="https://y.test")
        named, instance = load_own_files(settings)

        assert named.values["api_base"] == "https://y.test/v1"
        assert instance.values == {"api_key": "sk-of-the-instance"}
        assert instance.path in settings.watched_paths()
    assert load_own_files(load_settings()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("api_base: https://x.test\ndefualt_model: m\n", r"x\.yaml:2: defualt_model: unknown"),
        ("models: 3\n", r"x\.yaml:1: models: "),
        ("- a\n", r"x\.yaml:1: must be a mapping"),
        ("", r"x\.yaml:1: must be a mapping"),
        ("a: [\n", r"x\.yaml:2: is not YAML"),
        ("api_base: ${NOT_SET_ANYWHERE}\n", r"x\.yaml:1: .*NOT_SET_ANYWHERE"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, text: str, said: str) -> None:
    (folder / "x.yaml").write_text(text)

    with pytest.raises(ConfigFileError, match=said):
        load_own_files(load_settings(CONFIG_PATH="config/x.yaml"))


def test_a_folder_is_no_file(folder: Path) -> None:
    settings = load_settings(CONFIG_PATH=".")

    assert settings.watched_paths()
    with pytest.raises(ConfigFileError, match="directory"):
        load_own_files(settings)
