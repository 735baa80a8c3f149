"""One provider from its own configuration, outside the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers import row as rows
from faultmaven.infrastructure.llm.providers.provider_class import construct, load_provider_class
from faultmaven.infrastructure.llm.providers.registry import get_registry
from faultmaven.infrastructure.llm.secret import remember_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig


def create_provider(
    config: Mapping[str, Any] | str | None = None, name: str | None = None, **settings: Any
) -> BaseLLMProvider:
    """Build one provider from its own configuration, outside the registry.

    `create_provider("groq", key, timeout=20)` says the same as
    `create_provider({"api_key": key, "timeout": 20}, "groq")`.

    Args:
        config: `api_base`, `api_key`, `default_model`, `models`, `name`, and any field of a
            `ProviderConfig`; what it leaves out comes from the row and the environment.
        name: the row whose class it is; None takes `config["provider_type"]`, then PROVIDER_TYPE.
        **settings: single values on top of `config`.

    Raises:
        UnknownProviderError: no row has the name.
        ProviderNotConfiguredError: neither `config` nor a variable gives what it needs.
        ConfigurationError: a value cannot be used.
    """
    if isinstance(config, str):
        return create_provider({"api_key": name} if name else None, config, **settings)
    registry = get_registry()
    given = {**(config or {}), **settings}
    chosen = given.pop("provider_type", None)
    resolved = (
        registry.resolve_name(name or chosen)
        if name or chosen
        else registry.resolve_name(registry.settings.provider_type, "PROVIDER_TYPE")
    )
    row = registry.get_row(resolved)
    provider_class = load_provider_class(
        resolved, row["provider_class"], registry.settings.config_folder
    )
    provider_config = _config_of(resolved, row, given, registry.settings)
    return construct(resolved, lambda: provider_class(provider_config))


def _config_of(
    name: str, row: dict[str, Any], given: dict[str, Any], settings: Settings
) -> ProviderConfig:
    stated = dict(row)
    if base_url := given.pop("api_base", None) or given.pop("base_url", None):
        stated |= {"default_base_url": base_url, "base_url_var": None}
    if model := given.pop("default_model", None):
        stated |= {"default_model": model, "model_var": None}
    stated["models"] = given.pop("models", None) or stated.get("models", [])
    key = given.pop("api_key", None)
    if key:
        remember_secret(str(key))
        stated["api_key_optional"] = True
    fields = ("max_retries", "timeout", "confidence_score", "headers")
    stated |= {field: given.pop(field) for field in fields if field in given}
    given.pop("name", None)
    if given:
        msg = f"{name}: unknown field {next(iter(given))!r} in the provider's configuration."
        raise ConfigurationError(
            msg,
            provider=name,
            code="bad_row",
        )
    rows.check_row(name, stated, "configuration of ")
    config = rows.make_config(name, stated, settings)
    if key:
        config.api_key = str(key)
    return config
