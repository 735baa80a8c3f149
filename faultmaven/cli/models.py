"""`faultmaven models`: what a provider offers, asked from itself."""

from __future__ import annotations

import asyncio

import click

from faultmaven.cli import EXIT_OK
from faultmaven.cli.complete import provider_names
from faultmaven.cli.output import write_json, write_table
from faultmaven.infrastructure.llm.catalog import Catalog
from faultmaven.infrastructure.llm.providers.registry import get_registry


@click.command()
@click.argument("provider", required=False, shell_complete=provider_names)
@click.option("--offline", is_flag=True, help="List what the catalog knows; ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(provider: str | None, offline: bool, as_json: bool) -> int:  # click
    """List the models of PROVIDER (CHAT_PROVIDER if none is named).

    The provider's own list is asked for; limits and prices (US dollars per million tokens) are the
    catalog's, empty where it does not know the model.
    """
    registry = get_registry()
    if offline:
        name = registry.resolve_name(provider)
        ids = [info.id for info in Catalog().list(name)]
    else:
        chosen = registry.get_provider(provider)
        name = chosen.provider_name
        ids = asyncio.run(_ask(provider))
    rows = [_described(name, model) for model in ids]
    if as_json:
        write_json(rows)
    else:
        columns = ("model", "context", "answer", "$ in", "$ out", "as of")
        write_table(
            columns, [list(row.values()) for row in rows], title=f"{name}: {len(rows)} models"
        )
    return EXIT_OK


async def _ask(provider: str | None) -> list[str]:
    async with get_registry() as registry:
        return await registry.get_provider(provider).get_available_models()


def _described(provider: str, model: str) -> dict[str, object]:
    info = _CATALOG.find(provider, model)
    price = info.price if info is not None else None
    return {
        "model": model,
        "context_window": info.context_window if info else None,
        "max_output_tokens": info.max_output_tokens if info else None,
        "input_usd_per_mtok": price.rates.input if price else None,
        "output_usd_per_mtok": price.rates.output if price else None,
        "as_of": info.as_of if info else None,
    }


_CATALOG = Catalog()
