"""`faultmaven pricing`: what models cost, since when, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.group import SuggestingGroup
from faultmaven.cli.output import say_error, write_json, write_table
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.infrastructure.llm.catalog import Catalog, ModelInfo

_COLUMNS = (
    "provider",
    "model",
    "$ in",
    "$ out",
    "$ cache read",
    "$ cache write",
    "as of",
    "source",
)


@click.group(cls=SuggestingGroup)
def pricing() -> None:
    """Show what models cost."""


@pricing.command("show")
@click.argument("model", required=False)
@click.option(
    "-p", "--provider", shell_complete=provider_names, help="Only this provider's prices."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_pricing(model: str | None, provider: str | None, as_json: bool) -> int:
    """Show the prices of MODEL (`model`, or `provider/model`), or of all models that have one.

    Prices are US dollars per million tokens, as the catalog has them; empty is unknown, 0 is free.
    A model without a price is never counted as free.
    """
    from faultmaven.infrastructure.llm.catalog import get_catalog

    registry = start_registry()  # whose faultmaven.yaml may state prices
    catalog = get_catalog()
    if provider and provider not in catalog.providers():
        registry.get_row(provider)  # says who was meant, where nobody has this name
    found = _find(catalog, model, provider) if model else _all(catalog, provider)
    rows = [_described(info) for info in found]
    if as_json:
        write_json(rows)
    elif rows:
        write_table(_COLUMNS, [[row[key] for key in _SHOWN] for row in rows])
    if model and not rows:
        say_error(
            f"No price is known for {model}: its cost is unknown, not 0. {_near(catalog, model)}".rstrip()
        )
        return EXIT_FAILED
    if not rows:
        say_error(f"No price of {provider} is known: what its models cost is unknown, not 0.")
        return EXIT_FAILED
    return EXIT_OK


def _find(catalog: Catalog, model: str, provider: str | None) -> list[ModelInfo]:
    """Give the priced models of a name, at every provider that has it."""
    places = [(provider, model)] if provider else [(name, model) for name in catalog.providers()]
    named, _, rest = model.partition("/")
    if provider is None and named in catalog.providers():
        places.insert(0, (named, rest))
    found = [catalog.find(*place) for place in places]
    return [info for info in found if info is not None and info.prices]


def _all(catalog: Catalog, provider: str | None) -> Iterable[ModelInfo]:
    names = [provider] if provider else catalog.providers()
    return (info for name in names for info in catalog.list(name) if info.prices)


def _near(catalog: Catalog, model: str) -> str:
    from faultmaven.config.suggest import did_you_mean

    return did_you_mean(model, (info.id for info in _all(catalog, None)))


def _described(info: ModelInfo) -> dict[str, Any]:
    from datetime import UTC, datetime

    from faultmaven.infrastructure.llm.pricing import rates_of

    rates = rates_of(info, at=datetime.now(UTC)) or info.prices[-1].rates
    price = info.prices[-1]
    return {
        "provider": info.provider,
        "model": info.id,
        "input_usd_per_mtok": rates.input,
        "output_usd_per_mtok": rates.output,
        "cache_read_usd_per_mtok": rates.cache_read,
        "cache_write_usd_per_mtok": rates.cache_write,
        "as_of": info.as_of,
        "source": price.source or info.source,
        "confidence": price.confidence,
        "tiers": [
            {"above_tokens": t.above_tokens, "input": t.rates.input, "output": t.rates.output}
            for t in price.tiers
        ],
    }


_SHOWN = (
    "provider", "model", "input_usd_per_mtok", "output_usd_per_mtok",
    "cache_read_usd_per_mtok", "cache_write_usd_per_mtok", "as_of", "source",
)  # fmt: skip
