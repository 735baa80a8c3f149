"""The registry, as the router's table of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.catalog import get_catalog
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.router.names import NameTable, known_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry


def make_name_table(
    registry: ProviderRegistry, others: Mapping[str, BaseLLMProvider]
) -> NameTable:
    """Gather what names mean: the rows, the file's aliases and routes, the catalog.

    Args:
        registry: the rows.
        others: providers that are in no row.
    """
    settings = registry.settings
    catalog = get_catalog()
    # A server of one's own that nobody has set up can be asked by its name, and is not offered.
    available = registry.get_available_providers()
    status = registry.get_provider_status(available)
    models = {name: _models_of(registry, name, status[name]["model"]) for name in available}
    open_ended = {
        name for name in available if _row(registry, name).get("local") or not catalog.list(name)
    }
    aliases = {alias: named[0] for alias, named in registry.get_aliases().items()}
    models |= {name: provider.get_supported_models() for name, provider in others.items()}
    sections = settings.file.data if settings.file else {}
    names: Mapping[str, Any] = sections.get("models") or {}
    routes: Mapping[str, Any] = sections.get("routes") or {}
    return NameTable(
        rows=known_rows([*registry.get_all_provider_names(), *others], aliases),
        models=models,
        default=registry.resolve_name(settings.chat_provider),
        fallbacks=() if settings.strict_provider_mode else settings.fallback_providers,
        chains={} if settings.strict_provider_mode else sections.get("fallback_chains") or {},
        aliases=names.get("aliases") or {},
        groups=names.get("groups") or {},
        exact=routes.get("exact") or {},
        patterns=routes.get("patterns") or (),
        open_ended=frozenset(open_ended),
        catalog=catalog,
    )


def _models_of(registry: ProviderRegistry, name: str, model: str | None) -> list[str]:
    row = _row(registry, name)
    if row.get("api_key_var") is None or row.get("local"):
        # It is there without having been set up, and may never be used: it is not built for its name.
        listed = [m["name"] if isinstance(m, dict) else m for m in row.get("models", ())]
        return list(dict.fromkeys(filter(None, [model, *listed])))
    try:
        return registry.get_provider(name).get_supported_models()
    except ConfigurationError:
        return []


def _row(registry: ProviderRegistry, name: str) -> Mapping[str, Any]:
    try:
        return registry.get_row(name)
    except ConfigurationError:
        return {}
