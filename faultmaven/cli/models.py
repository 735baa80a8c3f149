"""`faultmaven models`: what a provider offers, asked from itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_OK
from faultmaven.cli.output import counted, write_json, write_table
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.catalog import Catalog
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_COLUMNS = ("model", "context", "answer", "$ in", "$ out", "as of")


@click.command()
@click.argument("provider", required=False, shell_complete=provider_names)
@click.option("--offline", is_flag=True, help="List what the catalog knows; ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(provider: str | None, offline: bool, as_json: bool) -> int:
    """List the models of PROVIDER (CHAT_PROVIDER if none is named).

    The provider's own list is asked for; limits and prices (US dollars per million tokens) are the
    catalog's, empty where it does not know the model.
    """
    from faultmaven.infrastructure.llm.catalog import get_catalog

    registry = start_registry()
    catalog = get_catalog()  # with the prices of faultmaven.yaml
    name = registry.resolve_name(provider or registry.settings.chat_provider)
    if offline:
        ids = [info.id for info in catalog.list(name)]
    else:
        ids = asyncio.run(_ask(registry, name))
    rows = [_described(catalog, name, model) for model in ids]
    if as_json:
        write_json(rows)
    else:
        title = f"{name}: {counted(len(rows), 'model')}"
        write_table(_COLUMNS, [list(row.values()) for row in rows], title)
    return EXIT_OK


async def _ask(registry: ProviderRegistry, name: str) -> list[str]:
    async with registry:
        return await registry.get_provider(name).get_available_models()


def _described(catalog: Catalog, provider: str, model: str) -> dict[str, object]:
    info = catalog.find(provider, model)
    price = info.price if info is not None else None
    return {
        "model": model,
        "context_window": info.context_window if info else None,
        "max_output_tokens": info.max_output_tokens if info else None,
        "input_usd_per_mtok": price.rates.input if price else None,
        "output_usd_per_mtok": price.rates.output if price else None,
        "as_of": info.as_of if info else None,
    }
