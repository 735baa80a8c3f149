"""The configuration files that are in force, and what is wrong in one that is not."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.dotenv_file import find_upward, load_dotenv_file, read_text
from faultmaven.config.errors import ConfigFileError, Problem
from faultmaven.config.file import PROVIDERS_FOLDER, load_config_file
from faultmaven.config.own_provider import (
    BESIDE_ROW,
    INSTANCE_NAME,
    field_problems,
    load_own_files,
)
from faultmaven.config.schemas import CONFIG_FILE, PROVIDER, load_schema
from faultmaven.config.settings import DOTENV_NAME, load_settings
from faultmaven.config.yaml_tree import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.config.settings import Settings


_YAML: Final = (".yaml", ".yml")
_ADDRESSES: Final = ("api_base", "base", "base_url", "base_url_var", "default_base_url")
# What a row's `limits` do not have.
_LIMITS_OF_MANY: Final = frozenset({"default", "enabled", "keys", "providers"})


def find_dotenv(settings: Settings | None = None) -> Path | None:
    """Give the file of variables that is read, None where there is none."""
    named = settings.lookup("FAULTMAVEN_ENV_FILE") if settings is not None else None
    return Path(named) if named else find_upward(DOTENV_NAME, Path.cwd())


def files_of(settings: Settings) -> list[str]:
    """Name the files that these settings were read from."""
    found = [find_dotenv(settings)]
    if settings.file is not None:
        found.append(settings.file.path)
        found += sorted(path for path, _ in settings.file.row_files.values())
    found += [file.path for file in load_own_files(settings)]
    return list(dict.fromkeys(str(path) for path in found if path is not None))


def unread_folder(settings: Settings) -> Path | None:
    """Give the `providers.d` here that no configuration file stands beside, None for none."""
    folder = Path.cwd() / PROVIDERS_FOLDER
    if settings.file is not None and settings.file.path.resolve().parent == folder.parent:
        return None
    return folder if any(path.suffix in _YAML for path in folder.glob("*")) else None


def problems_of(path: Path) -> list[Problem]:
    """Check one file by its kind: YAML of the whole or of one provider, a provider's class, else variables.

    Raises:
        ConfigFileError: the settings that it may refer to cannot be read.
    """
    if path.suffix == ".py":
        return _class_problems(path)
    is_yaml = path.suffix in _YAML
    lookup = load_settings().lookup if is_yaml else None
    try:
        if lookup is None:
            load_dotenv_file(path)
            return []
        data, lines = parse_yaml(read_text(path, str(path)), str(path), lookup)
        if not isinstance(data, dict) or not data or _is_whole(data):
            load_config_file(path, lookup)
            return []
    except ConfigFileError as exc:
        return list(exc.problems)
    problems = field_problems(path, data, lines)
    if path.name != INSTANCE_NAME and not data.keys() & _ADDRESSES:
        problem, remedy = (
            "has no api_base",
            "Write the address that its requests go to, api_base: https://…",
        )
        problems.append(Problem(str(path), 1, "", problem, remedy))
    return problems


def warnings_of(paths: Iterable[Path]) -> list[Problem]:
    """Name what sound files say and is not acted on in this version, and ports out of their scheme."""
    from faultmaven.config.not_in_force import in_file
    from faultmaven.config.ports import port_warnings

    files = []
    for path in paths:
        if path.suffix in _YAML:
            with suppress(ConfigFileError):
                files.append(load_config_file(path, load_settings().lookup))
    return [*chain.from_iterable(map(in_file, files)), *port_warnings(files)]


def _is_whole(data: dict[str, Any]) -> bool:
    """Tell faultmaven.yaml from a single provider's file, which has a row's fields at the top."""
    limits = data.get("limits")
    if isinstance(limits, dict) and limits.keys() & _LIMITS_OF_MANY:
        return True
    rows_fields = {*load_schema(PROVIDER)["properties"], *BESIDE_ROW, *_ADDRESSES}
    return not any(key in rows_fields for key in data.keys() - _sections())


def _sections() -> set[str]:
    return set(load_schema(CONFIG_FILE)["properties"]) - {"models", "limits"}


def _class_problems(path: Path) -> list[Problem]:
    """Check that a provider's class can be had from a file, as a start would."""
    from faultmaven.infrastructure.llm.errors import ConfigurationError
    from faultmaven.infrastructure.llm.providers.provider_class import load_own_class

    try:
        load_own_class(path.stem, path.stem, path.absolute().parent)
    except ConfigurationError as error:
        cause = error.__cause__
        line = cause.lineno if isinstance(cause, SyntaxError) else None
        said = error.message.removeprefix(f"{path.stem}: ")
        return [Problem(str(path), line, "", said)]
    return []
