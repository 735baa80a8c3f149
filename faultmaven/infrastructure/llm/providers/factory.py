"""One provider from its own configuration, outside the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.own_provider import load_own_files
from faultmaven.config.spellings import to_row
from faultmaven.infrastructure.llm.errors import ConfigurationError, UnknownProviderError
from faultmaven.infrastructure.llm.providers import row as rows
from faultmaven.infrastructure.llm.providers.provider_class import (
    construct,
    find_own_class,
    load_provider_class,
    module_name,
)
from faultmaven.infrastructure.llm.providers.registry import get_registry
from faultmaven.infrastructure.llm.secret import remember_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.providers.roster import Roster


def create_provider(
    config: Mapping[str, Any] | str | None = None, name: str | None = None, **settings: Any
) -> BaseLLMProvider:
    """Build one provider from its own configuration, outside the registry.

    `create_provider("groq", key, timeout=20)` says the same as
    `create_provider({"api_key": key, "timeout": 20}, "groq")`.

    Where no row has the name, `<name>_provider.py` is looked for beside the file of CONFIG_PATH, in the
    working directory and beside faultmaven.yaml, and the class in it is taken.

    Args:
        config: `api_base`, `api_key`, `default_model`, `models`, `name`, and any field of a row; what
            it leaves out comes from the row and the environment.
        name: the row to start from; None takes `provider_type` or `base` of `config`, then
            PROVIDER_TYPE.
        **settings: single values on top of `config`.

    Raises:
        UnknownProviderError: no row and no file has the name.
        ProviderNotConfiguredError: neither `config` nor a variable gives what it needs.
        ConfigurationError: a value cannot be used.
    """
    if isinstance(config, str):
        return create_provider({"api_key": name} if name else None, config, **settings)
    return make_own_provider(get_registry().roster, {**(config or {}), **settings}, name)


def read_own_config(settings: Settings) -> dict[str, Any]:
    """Read what the file of CONFIG_PATH and the `instance.yaml` beside it say; {} without them.

    Raises:
        ConfigurationError: one cannot be used.
    """
    try:
        files = load_own_files(settings)
    except ConfigFileError as exc:
        raise ConfigurationError(str(exc), code="bad_configuration") from exc
    return {name: value for file in files for name, value in file.values.items()}


def build_own_provider(roster: Roster) -> BaseLLMProvider | None:
    """Build the provider of CONFIG_PATH, or PROVIDER_TYPE's where no row has its name; None for neither.

    Raises:
        UnknownProviderError: neither a row nor a file has the name.
        ConfigurationError: it cannot be built.
    """
    settings = roster.settings
    if settings.config_path:
        return make_own_provider(roster, read_own_config(settings))
    if settings.source_of("PROVIDER_TYPE"):
        try:
            roster.resolve(settings.provider_type)
        except UnknownProviderError:
            return make_own_provider(roster, {})
    return None


def make_own_provider(
    roster: Roster, config: Mapping[str, Any], name: str | None = None
) -> BaseLLMProvider:
    """Build one provider beside those of a registry, from its rows and settings; see `create_provider`."""
    given = dict(config)
    based = given.pop("base", None)
    stated = given.pop("provider_type", None) or based
    kind, row = _find_row(roster, name or stated)
    provider_config = _config_of(kind, row, given, roster.settings)
    provider_class = load_provider_class(
        kind, provider_config.row["provider_class"], roster.settings.config_folder
    )
    return construct(kind, lambda: provider_class(provider_config))


def _find_row(roster: Roster, name: str | None) -> tuple[str, dict[str, Any]]:
    """Give the row to start from, of the table or made for a class that lies there as a file."""
    settings = roster.settings
    kind = name or settings.provider_type
    try:
        resolved = roster.resolve(kind, None if name else "PROVIDER_TYPE")
    except UnknownProviderError as error:
        own = find_own_class(kind, _folders(settings))
        if own is None:
            message = f"{error.message} Nor is there a {module_name(kind)}.py."
            raise error.with_message(message) from None
        # Whether a key is needed is what its `_get_headers` knows.
        return kind, rows.complete_row(kind, {"provider_class": own, "api_key_optional": True})
    return resolved, roster.row(resolved)


def _folders(settings: Settings) -> list[Path]:
    """Give where a class of somebody's own is looked for, nearest first."""
    named = [Path(settings.config_path).absolute().parent] if settings.config_path else []
    beside = [settings.config_folder] if settings.config_folder else []
    return [*named, Path.cwd(), *beside]


def _config_of(
    name: str, row: dict[str, Any], given: dict[str, Any], settings: Settings
) -> ProviderConfig:
    key = given.pop("api_key", None)
    given.pop("name", None)
    changed = to_row({field: value for field, value in given.items() if value not in _EMPTY})
    stated = row | changed
    if changed.get("default_base_url"):
        stated["base_url_var"] = None
    if changed.get("default_model"):
        stated["model_var"] = None
    if key:
        remember_secret(str(key))
        stated["api_key_optional"] = True
    rows.check_row(name, stated, "configuration of ")
    config = rows.make_config(name, stated, settings)
    if key:
        config.api_key = str(key)
    return config


_EMPTY: Final[tuple[object, ...]] = ("", [])  # what a file says of a field that is left to the row
