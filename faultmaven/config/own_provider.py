"""One provider's own files: the YAML that CONFIG_PATH names, and the `instance.yaml` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faultmaven.config.dotenv_file import read_text
from faultmaven.config.errors import ConfigFileError, Problem
from faultmaven.config.spellings import to_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.config.yaml_tree import Steps

INSTANCE_NAME: Final = "instance.yaml"  # holds the key, apart from what may be shown
BESIDE_ROW: Final = ("name", "api_key", "provider_type")  # what they have beside a row's fields


class OwnFile(NamedTuple):
    """What one of the files says."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[Steps, int]


def load_own_files(settings: Settings) -> list[OwnFile]:
    """Read both files; what the later one says counts.  None are there without CONFIG_PATH.

    Raises:
        ConfigFileError: one cannot be read, or has fields that no row has.
    """
    from faultmaven.config.yaml_tree import parse_yaml

    if not settings.config_path:
        return []
    named = Path(settings.config_path)
    instance = named.parent / INSTANCE_NAME
    found = []
    for path in [named, instance] if instance.is_file() and instance != named else [named]:
        data, lines = parse_yaml(read_text(path, str(path)), str(path), settings.lookup)
        if not isinstance(data, dict):
            raise ConfigFileError(str(path), 1, problem="must be a mapping of settings")
        if problems := field_problems(path, data, lines):
            raise ConfigFileError.of(problems)
        found.append(OwnFile(path, data, lines))
    return found


def field_problems(
    path: Path, values: Mapping[str, Any], lines: Mapping[Steps, int]
) -> list[Problem]:
    """Say what is wrong with a single provider's file; fields that are missing may be elsewhere."""
    from faultmaven.config.schemas import PROVIDER, faults

    row = to_row({name: value for name, value in values.items() if name not in BESIDE_ROW})
    problems: list[Problem] = []
    for fault in faults(PROVIDER, row):
        place = fault.path
        while place and place not in lines:
            place = place[:-1]
        dotted = ".".join(map(str, fault.path))
        problems.append(
            Problem(str(path), lines.get(place, 1), dotted, fault.problem, fault.remedy)
        )
    return problems
