"""Shell completion of names that only the registry knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def provider_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a provider; without a usable configuration there is none."""
    del ctx, param
    from faultmaven.infrastructure.llm.errors import ConfigurationError
    from faultmaven.infrastructure.llm.providers.registry import get_registry

    try:
        names = get_registry().get_all_provider_names()
    except ConfigurationError:
        return []
    return [name for name in names if name.startswith(incomplete)]
