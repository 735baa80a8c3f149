"""What a call costs: tokens times dated rates.

Pure arithmetic on the catalog's facts.  A price that is not known gives None, never 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from faultmaven.infrastructure.llm.catalog import ModelInfo, Rates

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.catalog import Price
    from faultmaven.infrastructure.llm.types import CostStatus, Usage

_TOKENS_PER_RATE = 1_000_000


class Cost(NamedTuple):
    """The price of one call.

    Attributes:
        usd: US dollars; None where it is not known.
        status: actual where the provider itself stated the sum, estimated where it was computed
            from the catalog or a caller's rates, unknown.
    """

    usd: float | None
    status: CostStatus


UNKNOWN = Cost(None, "unknown")


def price_call(priced: ModelInfo | Rates | None, usage: Usage, at: datetime | None = None) -> Cost:
    """Compute what one call costs.

    Prompt tokens are split in three: cache reads and cache writes are billed at their own rates, the
    rest at the input rate.  A cache rate that is not known is the input rate, which for reads is an
    upper bound.  Reasoning tokens are part of the output tokens and billed as such.  A prompt above a
    tier's size moves the whole call to the tier's rates.

    Args:
        priced: the model, or plain rates; None where neither is known.
        usage: tokens; `input_tokens` holds the whole prompt, cache reads and writes included.
        at: when the call was made, for dated prices and peak hours; a time without a zone is UTC.
            None takes the newest price outside peak hours.
    """
    rates = rates_of(priced, usage.input_tokens or 0, at)
    if rates is None:
        return UNKNOWN
    output_tokens = usage.output_tokens
    if output_tokens is None and isinstance(priced, ModelInfo) and priced.mode == "embedding":
        output_tokens = 0
    usd = _multiply(rates, usage, output_tokens)
    return UNKNOWN if usd is None else Cost(usd, "estimated")


def rates_of(
    priced: ModelInfo | Rates | None, input_tokens: int = 0, at: datetime | None = None
) -> Rates | None:
    """Give the rates for a prompt of this size at this time; None where no price covers it."""
    if priced is None or isinstance(priced, Rates):
        return priced
    if at is not None:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    price = _price_at(priced.prices, at)
    if price is None:
        return None
    rates = price.rates
    for tier in price.tiers:
        if input_tokens > tier.above_tokens:
            rates = _completed(tier.rates, price.rates)
    if at is not None and price.peak is not None and price.peak.covers(at):
        return _scaled(rates, price.peak.factor)
    return rates


def _price_at(prices: tuple[Price, ...], at: datetime | None) -> Price | None:
    if at is None:
        return prices[-1] if prices else None
    day = at.date().isoformat()
    for price in reversed(prices):
        if (price.starts is None or price.starts <= day) and (
            price.ends is None or day < price.ends
        ):
            return price
    return None


def _completed(tier: Rates, base: Rates) -> Rates:
    """Fill a tier's missing cache rates: they rise as its input rate does."""
    if tier.input is None or not base.input:
        return tier
    factor = tier.input / base.input
    scaled = _scaled(base, factor)
    return Rates(
        tier.input,
        tier.output,
        scaled.cache_read if tier.cache_read is None else tier.cache_read,
        scaled.cache_write if tier.cache_write is None else tier.cache_write,
    )


def _scaled(rates: Rates, factor: float) -> Rates:
    def scale(rate: float | None) -> float | None:
        return None if rate is None else rate * factor

    return Rates(
        scale(rates.input), scale(rates.output), scale(rates.cache_read), scale(rates.cache_write)
    )


def _multiply(rates: Rates, usage: Usage, output_tokens: int | None) -> float | None:
    if rates.input == 0 and rates.output == 0 and not rates.cache_read and not rates.cache_write:
        return 0.0
    if usage.input_tokens is None or output_tokens is None:
        return None
    prompt = max(usage.input_tokens, 0)
    parts = [(prompt, rates.input), (max(output_tokens, 0), rates.output)]
    if usage.cache_read_tokens or usage.cache_write_tokens:
        parts[:1] = _split(prompt, usage, rates)
    total = 0.0
    for tokens, rate in parts:
        if tokens:
            if rate is None:
                return None
            total += tokens * rate
    return total / _TOKENS_PER_RATE


def _split(prompt: int, usage: Usage, rates: Rates) -> list[tuple[int, float | None]]:
    """Give the parts of a prompt that were cached, and the rest, each with its rate."""
    # A provider may report more cached tokens than prompt tokens: never a negative remainder.
    read = min(max(usage.cache_read_tokens or 0, 0), prompt)
    written = min(max(usage.cache_write_tokens or 0, 0), prompt - read)
    return [
        (prompt - read - written, rates.input),
        (read, rates.input if rates.cache_read is None else rates.cache_read),
        (written, rates.input if rates.cache_write is None else rates.cache_write),
    ]
