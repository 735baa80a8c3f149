"""Counts what happens: plain numbers on the way, put into Prometheus' form when somebody asks.

Each worker process counts for itself and shows its numbers to the others on a board, so that whichever
of them is asked answers for all.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.breakers import Breakers
from faultmaven.gateway.tally import Tally
from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from faultmaven.gateway.record import Record

DURATION_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
# A client can invent names of models; only so many get numbers of their own.
MAX_MODELS: Final = 200
OTHER: Final = "other"

_Key = tuple[str, str, str, str]


class Series:
    """The numbers of one front, provider, model and outcome.

    Attributes:
        numbers: by name, see `NAMES`.
        durations: how many requests ended within each of `DURATION_BUCKETS_S`, and above.
        firsts: the same for the first piece of streams.
    """

    NAMES: Final = (
        "requests",
        "attempts",
        "duration_s",
        "first_s",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost_usd",
    )
    __slots__ = ("durations", "firsts", "numbers")

    def __init__(self, data: Iterable[Any] | None = None) -> None:
        zeros: list[float] = [0] * (len(DURATION_BUCKETS_S) + 1)
        self.numbers: list[float] = [0] * len(self.NAMES)
        self.durations = zeros
        self.firsts = list(zeros)
        if data is not None:
            self.numbers, self.durations, self.firsts = data

    def add(self, record: Record) -> None:
        """Count one request."""
        numbers = self.numbers
        numbers[0] += 1
        numbers[1] += record.attempts
        numbers[2] += record.duration_s
        self.durations[bisect_left(DURATION_BUCKETS_S, record.duration_s)] += 1
        if record.first_s is not None:
            numbers[3] += record.first_s
            self.firsts[bisect_left(DURATION_BUCKETS_S, record.first_s)] += 1
        usage = record.usage
        if usage is not None:
            numbers[4] += usage.input_tokens or 0
            numbers[5] += usage.output_tokens or 0
            numbers[6] += usage.cache_read_tokens or 0
            numbers[7] += usage.cache_write_tokens or 0
            numbers[8] += usage.reasoning_tokens or 0
        if record.cost_usd:
            numbers[9] += record.cost_usd

    def merge(self, other: Series) -> None:
        """Add another process's numbers."""
        for mine, theirs in (
            (self.numbers, other.numbers),
            (self.durations, other.durations),
            (self.firsts, other.firsts),
        ):
            for place, value in enumerate(theirs):
                mine[place] += value


class Meter:
    """The numbers of this process.

    Attributes:
        in_flight: requests that are being answered.
        breakers: who is left alone.
        tally: who was let in and who was not.
        oddities: answers that were taken although their form was not the usual one, by provider and kind.
        reloads: how often the configuration was taken anew, and how often it could not be.
        ledger_dropped: rows that are not in the ledger because too many waited.
        ledger_waiting: rows that wait to be written.
        ledger_failing: how many processes cannot write to the ledger now.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.tally = Tally()
        self.oddities: dict[tuple[str, str], int] = {}
        self.reloads = {"taken": 0, "refused": 0}
        self.ledger_dropped = 0
        self.ledger_waiting = 0
        self.ledger_failing = 0
        self.breakers = Breakers()
        self._series: dict[_Key, Series] = {}
        self._models: set[tuple[str, str]] = set()

    def finish(self, record: Record) -> None:
        """Count a request that has ended."""
        key = (record.front, record.provider, record.model, record.outcome)
        series = self._series.get(key)
        if series is None:
            series = self._new_series(key)
        series.add(record)

    def note_oddity(self, provider: str, kind: str) -> None:
        """Count an answer that was taken although its form was not the usual one; see `Route`."""
        self.oddities[provider, kind] = self.oddities.get((provider, kind), 0) + 1

    def series(self) -> Iterable[tuple[tuple[str, str, str, str], Series]]:
        """Give the numbers by front, provider, model and outcome."""
        return self._series.items()

    def to_bytes(self) -> bytes:
        """Give all numbers, for the board."""
        rows = [
            [list(key), series.numbers, series.durations, series.firsts]
            for key, series in self._series.items()
        ]
        ledger = [self.ledger_dropped, self.ledger_waiting, self.ledger_failing]
        counts = {
            "in_flight": self.in_flight,
            "tally": self.tally.to_wire(),
            "oddities": [[*key, times] for key, times in self.oddities.items()],
            "reloads": self.reloads,
            "ledger": ledger,
        }
        return codec.dumps({**counts, "series": rows, "breakers": self.breakers.to_wire()})

    def merge(self, data: bytes) -> None:
        """Add the numbers of another process."""
        other = codec.loads(data)
        self.in_flight += other["in_flight"]
        self.breakers.merge(other["breakers"])
        self.tally.merge(other["tally"])
        for provider, kind, times in other["oddities"]:
            self.oddities[provider, kind] = self.oddities.get((provider, kind), 0) + times
        for outcome, times in other["reloads"].items():
            self.reloads[outcome] += times
        dropped, waiting, failing = other["ledger"]
        self.ledger_dropped += dropped
        self.ledger_waiting += waiting
        self.ledger_failing += failing
        for key, *numbers in other["series"]:
            names = (key[0], key[1], key[2], key[3])
            self._series.setdefault(names, Series()).merge(Series(numbers))

    def expose(self) -> bytes:
        """Write everything in Prometheus' text form."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Give Prometheus' families; called by its registry."""
        from prometheus_client.core import GaugeMetricFamily

        yield from self._request_families()
        yield from self._token_families()
        yield from self._event_families()
        yield from self._ledger_families()
        yield from self.tally.collect()
        yield from self.breakers.collect()
        yield GaugeMetricFamily(
            "faultmaven_in_flight", "Requests that are being answered.", value=self.in_flight
        )

    def _request_families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        labels = ["front", "provider", "model", "outcome"]
        requests = CounterMetricFamily(
            "faultmaven_requests", "Requests answered, well or not.", labels=labels
        )
        attempts = CounterMetricFamily("faultmaven_attempts", "Tries at providers.", labels=labels)
        duration = HistogramMetricFamily(
            "faultmaven_request_duration_seconds", "Until the end of the answer.", labels=labels
        )
        first = HistogramMetricFamily(
            "faultmaven_first_piece_seconds", "Until a stream's first piece.", labels=labels
        )
        for key, series in sorted(self._series.items()):
            names = list(key)
            requests.add_metric(names, series.numbers[0])
            attempts.add_metric(names, series.numbers[1])
            duration.add_metric(names, _cumulated(series.durations), series.numbers[2])
            if any(series.firsts):
                first.add_metric(names, _cumulated(series.firsts), series.numbers[3])
        yield from (requests, attempts, duration, first)

    def _token_families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        pair = ["provider", "model"]
        tokens = CounterMetricFamily(
            "faultmaven_tokens", "Tokens, as reported or estimated.", labels=[*pair, "kind"]
        )
        cost = CounterMetricFamily("faultmaven_cost_usd", "US dollars.", labels=pair)
        for (provider, model), numbers in sorted(self._by_model().items()):
            for place, kind in enumerate(_TOKEN_KINDS, 4):
                tokens.add_metric([provider, model, kind], numbers[place])
            cost.add_metric([provider, model], numbers[9])
        yield from (tokens, cost)

    def _event_families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        odd = CounterMetricFamily(
            "faultmaven_upstream_oddities",
            "Answers taken although their form was not the usual one.",
            labels=["provider", "kind"],
        )
        for names, times in sorted(self.oddities.items()):
            odd.add_metric(names, times)
        reloads = CounterMetricFamily(
            "faultmaven_config_reloads", "Readings of a changed configuration.", labels=["outcome"]
        )
        for outcome, times in self.reloads.items():
            reloads.add_metric([outcome], times)
        yield from (odd, reloads)

    def _ledger_families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield CounterMetricFamily(
            "faultmaven_ledger_dropped", "Rows missing in the ledger.", value=self.ledger_dropped
        )
        yield GaugeMetricFamily(
            "faultmaven_ledger_waiting", "Rows to be written.", value=self.ledger_waiting
        )
        yield GaugeMetricFamily(
            "faultmaven_ledger_failing",
            "Processes that cannot write to the ledger.",
            value=self.ledger_failing,
        )

    def _by_model(self) -> dict[tuple[str, str], list[float]]:
        found: dict[tuple[str, str], list[float]] = {}
        for (_, provider, model, _), series in self._series.items():
            if provider:
                sums = found.setdefault((provider, model), [0] * len(Series.NAMES))
                for place, value in enumerate(series.numbers):
                    sums[place] += value
        return found

    def _new_series(self, key: _Key) -> Series:
        front, provider, model, outcome = key
        if (provider, model) not in self._models:
            if len(self._models) >= MAX_MODELS:
                key = (front, provider, OTHER, outcome)
            else:
                self._models.add((provider, model))
        return self._series.setdefault(key, Series())


def merged(meter: Meter, others: Iterable[bytes]) -> Meter:
    """Give the numbers of all workers together."""
    total = Meter()
    for data in (meter.to_bytes(), *others):
        total.merge(data)
    return total


_TOKEN_KINDS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")


def _cumulated(counts: list[float]) -> list[tuple[str, float]]:
    total = 0.0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, DURATION_BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, total))
    return found
