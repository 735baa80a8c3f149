"""The sum that a host states with its answer, where it does.

Shapes seen in recorded answers: OpenRouter's and Avian's `cost` in US dollars, Perplexity's
`cost.total_cost` with a `currency`, Venice's `cost.usd`, and xAI's `cost_in_usd_ticks`.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

# xAI: ten thousand million ticks are one US dollar.
_TICKS_PER_USD: Final = 1e10
_FIELDS: Final = frozenset({"cost", "cost_in_usd_ticks"})


def reported_cost_usd(usage: Any) -> float | None:
    """Give what a call costs by its usage object, in US dollars; None where that is not stated.

    With the caller's own key at the upstream (`is_byok`) the sum is the router's fee alone, which is
    not what the call costs.  A zero counts only in OpenRouter's full shape: hosts that do not bill by
    the call leave zeros in these fields.
    """
    if not isinstance(usage, dict) or _FIELDS.isdisjoint(usage) or usage.get("is_byok") is True:
        return None
    cost = usage.get("cost")
    if isinstance(cost, dict):
        if cost.get("currency", "USD") != "USD":
            return None
        cost = cost.get("usd", cost.get("total_cost"))
    usd = _amount(cost)
    if usd or (usd == 0 and usage.get("is_byok") is False):
        return usd
    ticks = _amount(usage.get("cost_in_usd_ticks"))
    return ticks / _TICKS_PER_USD if ticks else None


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value >= 0 and isfinite(value) else None
