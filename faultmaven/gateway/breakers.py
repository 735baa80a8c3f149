"""The circuits as administrators see them: in `/health/providers`, and as a number in `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from faultmaven.infrastructure.llm.health import Circuits


class Breakers:
    """The circuits of this process, and how many other processes have theirs open.

    Attributes:
        circuits: this process's; None where there are none.
    """

    def __init__(self) -> None:
        self.circuits: Circuits | None = None
        self._others: dict[tuple[str, str], int] = {}

    def of(self, provider: str) -> list[dict[str, Any]]:
        """Tell of the circuits of one provider's models."""
        if self.circuits is None:
            return []
        return [
            {
                "model": state.model,
                "state": state.state,
                "since_s": state.since_s,
                "until_s": state.until_s,
                "failures": state.failures,
                "last_error": state.last_error or None,
                "cooling": state.cooling,
            }
            for state in self.circuits.states(provider)
        ]

    def to_wire(self) -> list[list[Any]]:
        """Give the circuits that have ever opened, for the board: 1 is open, 0 is closed again."""
        counts = dict(self._others)
        for state in self.circuits.states() if self.circuits is not None else ():
            if state.opens:
                key = (state.provider, state.model)
                counts[key] = counts.get(key, 0) + (state.state != "closed")
        return [[*key, count] for key, count in sorted(counts.items())]

    def merge(self, rows: Iterable[list[Any]]) -> None:
        """Add what another process tells."""
        for provider, model, count in rows:
            self._others[provider, model] = self._others.get((provider, model), 0) + count

    def collect(self) -> Iterator[Metric]:
        """Give Prometheus' family."""
        from prometheus_client.core import GaugeMetricFamily

        gauge = GaugeMetricFamily(
            "faultmaven_circuit_open",
            "Processes that leave a provider's model alone because it keeps failing.",
            labels=["provider", "model"],
        )
        for provider, model, count in self.to_wire():
            gauge.add_metric([provider, model], count)
        yield gauge
