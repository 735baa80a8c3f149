"""Shell completion of names that only the registry knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def provider_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a provider."""
    del ctx, param
    from faultmaven.infrastructure.llm.providers.registry import get_registry

    return [
        name for name in get_registry().get_all_provider_names() if name.startswith(incomplete)
    ]
