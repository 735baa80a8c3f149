"""What an answer has cost: its tokens and its money, noted in the record of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faultmaven.gateway.opened import Opened, Whole
    from faultmaven.gateway.record import Record
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider


def account(provider: BaseLLMProvider, found: Whole | Opened, record: Record) -> None:
    """Note tokens and money."""
    usage = record.usage = found.usage
    record.estimated = found.estimated
    if usage is None:
        return
    record.cost_usd = provider.calculate_cost(
        found.model,
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        cache_read_tokens=usage.cache_read_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
    )
