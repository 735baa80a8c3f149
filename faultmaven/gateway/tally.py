"""Counts who was let in, who waits, and who was turned away and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

# Every reason there is: the label has no other values.
REASONS: Final = (
    "authentication",
    "authentication_attempts",
    "connections",
    "idempotency_in_flight",
    "idempotency_mismatch",
    "key_concurrency",
    "key_requests",
    "key_tokens",
    "provider_concurrency",
    "provider_requests",
    "provider_tokens",
    "queue_full",
    "queue_timeout",
)


class Tally:
    """The numbers of one process.

    Attributes:
        calls: calls to models that have a place now.
        queued: those that wait for one.
        replayed: answers given again for an idempotency key.
        rejected: how often each of `REASONS` turned somebody away, from a provider or altogether.
    """

    __slots__ = ("calls", "queued", "rejected", "replayed")

    def __init__(self) -> None:
        self.calls = 0
        self.queued = 0
        self.replayed = 0
        self.rejected = dict.fromkeys(REASONS, 0)

    def to_wire(self) -> dict[str, Any]:
        """Give all of it, for `merge`."""
        return {
            "calls": self.calls,
            "queued": self.queued,
            "replayed": self.replayed,
            "rejected": self.rejected,
        }

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add another process's numbers."""
        self.calls += other["calls"]
        self.queued += other["queued"]
        self.replayed += other["replayed"]
        for reason, count in other["rejected"].items():
            self.rejected[reason] += count

    def forget_present(self) -> None:
        """Keep what has been counted, as the successor of a process that has died."""
        self.calls = self.queued = 0

    def collect(self) -> Iterator[Metric]:
        """Give Prometheus' families."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield GaugeMetricFamily(
            "faultmaven_model_calls", "Calls to models that are being made.", value=self.calls
        )
        yield GaugeMetricFamily(
            "faultmaven_queued", "Calls to models that wait for a place.", value=self.queued
        )
        yield CounterMetricFamily(
            "faultmaven_replayed", "Answers given again for their key.", value=self.replayed
        )
        rejected = CounterMetricFamily(
            "faultmaven_rejected", "Requests turned away, by what.", labels=["reason"]
        )
        for reason, count in self.rejected.items():
            rejected.add_metric([reason], count)
        yield rejected
