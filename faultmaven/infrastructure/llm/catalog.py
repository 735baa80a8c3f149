"""Which models exist: their limits, capabilities and dated prices.

The facts are files, one a provider, in `schemas/catalog/`; a file is read when its provider is first
asked about, and every look-up after that is one in a dictionary.  A user's own entries come first.

A name that is not listed is resolved only where it cannot mean another model: by upper and lower
case, by a prefix that the file declares, and by a date suffix (see `Catalog.find`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from faultmaven.infrastructure.llm.codec import loads
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.overrides import parse_entry, parse_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

Mode = Literal["chat", "embedding"]

# A date suffix as OpenAI (-2026-03-05), Anthropic (-20260305) and Vertex (@20260305) write it.
# Four digits are no date: mistral-large-2407 and mistral-large-2411 are two models.
_DATED = re.compile(
    r"(?P<base>.+)[-@](?P<year>20\d\d)(?P<dash>-?)(?P<month>[01]\d)(?P=dash)(?P<day>[0-3]\d)"
)
_MAX_DAYS_FROM_RELEASE = 31

# The process's catalog, once there is one.
_shared: list[Catalog] = []


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens; None is unknown, 0 is free.

    `input` is for prompt tokens that are neither read from nor written to the provider's cache.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of a whole call whose prompt is longer than `above_tokens`."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Peak:
    """Hours in which every rate is multiplied by `factor`.

    Attributes:
        factor: 2.0 is twice the price.
        hours_utc: pairs of hours, 0 to 24, the second one excluded.
        weekdays: ISO numbers, Monday is 1.
        except_dates: ISO dates (UTC) without peak hours.
    """

    factor: float
    hours_utc: tuple[tuple[int, int], ...]
    weekdays: frozenset[int]
    except_dates: frozenset[str]

    def covers(self, at: datetime) -> bool:
        """Say whether `at`, in UTC, is in a peak hour."""
        if at.isoweekday() not in self.weekdays or at.date().isoformat() in self.except_dates:
            return False
        return any(start <= at.hour < end for start, end in self.hours_utc)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs between two dates.

    Attributes:
        rates: outside tiers and peak hours.
        tiers: by rising prompt size.
        peak: dearer hours, None where the price does not depend on the hour.
        starts: ISO date, the first day (UTC); None is unbounded.
        ends: ISO date, the first day no longer covered; None is unbounded.
        source: the table or page, and its date.
        confidence: how far sources agree: high, medium, low, single.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    peak: Peak | None = None
    starts: str | None = None
    ends: str | None = None
    source: str | None = None
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of one model at one provider; None is unknown.

    Attributes:
        provider: the catalog file's name.
        id: the model's name as the provider wants it.
        mode: chat or embedding.
        context_window: tokens of prompt and answer together.
        max_input_tokens: only where it is stated apart.
        max_output_tokens: reasoning included.
        capabilities: what it is known to do: tools, parallel_tools, vision, pdf, audio, reasoning,
            structured_output, temperature.
        lacks: what it is known not to do; a capability in neither set is unknown.
        prices: oldest first; empty is unknown.
        knowledge: cut-off of the training data, YYYY-MM or YYYY-MM-DD.
        release_date: ISO date.
        retirement_date: ISO date after which the provider stops serving it.
        api: the route it needs where that is not chat: responses or completions.
        reasoning_field: the wire field that carries reasoning text, where known.
        source: the table or page, and its date.
        as_of: ISO date of the catalog file.
    """

    provider: str
    id: str
    mode: Mode = "chat"
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    prices: tuple[Price, ...] = ()
    knowledge: str | None = None
    release_date: str | None = None
    retirement_date: str | None = None
    api: str | None = None
    reasoning_field: str | None = None
    source: str | None = None
    as_of: str | None = None

    def can(self, capability: str) -> bool | None:
        """Say whether the model has a capability; None where nobody said."""
        if capability in self.capabilities:
            return True
        return False if capability in self.lacks else None

    @property
    def price(self) -> Price | None:
        """The newest price."""
        return self.prices[-1] if self.prices else None


class Catalog:
    """The models of all providers: the shipped files, and a user's entries above them.

    Attributes:
        folder: where the files are; None is the folder that FaultMaven ships.
    """

    def __init__(
        self,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        folder: Path | None = None,
        source: str = "configuration",
    ) -> None:
        """Make a catalog; nothing is read before it is needed.

        Args:
            overrides: `provider/model`, or `provider/*` for all models of a provider, to an entry as
                in a catalog file.  Fields given replace the shipped ones; a price may stand in the
                entry itself (`{"input": 0.5, "output": 0.5}`) instead of in `prices`.
            folder: where catalog files are, for tests and for private catalogs.
            source: where the overrides come from, named in errors and as the prices' source.

        Raises:
            ConfigurationError: an override is not a valid entry.
        """
        self.folder = folder
        self._shelves: dict[str, _Shelf] = {}
        self._overrides: dict[str, dict[str, dict[str, Any]]] = {}
        for key, entry in (overrides or {}).items():
            provider, model = parse_key(key, source)
            checked = parse_entry(entry, f"{source}: {key}", source)
            self._overrides.setdefault(provider, {})[model] = checked

    def find(self, provider: str, model: str) -> ModelInfo | None:
        """Give what is known of a model, or None.

        The exact name comes first.  Then, and only where one model is meant beyond doubt:
        the name in another case, or behind a prefix that the file declares (`models/`), where just
        one listed name is equal; a name without a date, where just one dated name is listed; a name
        with a date, where no dated name is listed and the date is within a month of the release.
        `-latest`, size and version never lead to another name.
        """
        shelf = self._shelf(provider)
        info = shelf.found.get(model)
        if info is None:
            info = shelf.find(model)
        return info

    def list(self, provider: str) -> tuple[ModelInfo, ...]:
        """Give all listed models of a provider, by name; () for a provider without a file."""
        shelf = self._shelf(provider)
        return tuple(shelf.info(model) for model in sorted(shelf.entries))

    def providers(self) -> tuple[str, ...]:
        """Name the providers that have a file or an override."""
        names = {path.stem for path in (self.folder or catalog_folder()).glob("*.json")}
        return tuple(sorted(names | self._overrides.keys()))

    def _shelf(self, provider: str) -> _Shelf:
        shelf = self._shelves.get(provider)
        if shelf is None:
            shelf = _Shelf(provider, self._read(provider), self._overrides.get(provider, {}))
            self._shelves[provider] = shelf
        return shelf

    def _read(self, provider: str) -> dict[str, Any]:
        # A provider's name comes from a row, but may be anything here: it must stay one file name.
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", provider):
            return {}
        path = (self.folder or catalog_folder()) / f"{provider}.json"
        try:
            data: dict[str, Any] = loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as exc:
            msg = f"{path}: not JSON ({exc}). Restore the file or remove it."
            raise ConfigurationError(msg) from exc
        return data


class _Shelf:
    """One provider's entries, and the models made of them so far."""

    __slots__ = ("_as_of", "_folded", "_prefixes", "_provider", "_rest", "entries", "found")

    def __init__(
        self, provider: str, data: Mapping[str, Any], overrides: Mapping[str, dict[str, Any]]
    ) -> None:
        self._provider = provider
        self._as_of: str | None = data.get("as_of")
        self._prefixes: tuple[str, ...] = tuple(data.get("prefixes", ()))
        self._rest = overrides.get("*")
        self.entries: dict[str, Mapping[str, Any]] = dict(data.get("models", {}))
        if self._rest is not None:
            self.entries = {
                model: {**entry, **self._rest} for model, entry in self.entries.items()
            }
        for model, entry in overrides.items():
            if model != "*":
                self.entries[model] = {**self.entries.get(model, self._rest or {}), **entry}
        self._folded: dict[str, list[str]] | None = None
        self.found: dict[str, ModelInfo] = {}

    def find(self, model: str) -> ModelInfo | None:
        """Resolve a name; None where it is not known for sure."""
        listed = self._resolve(model)
        if listed is not None:
            return self.info(listed)
        if self._rest is not None:
            return _make_info(self._provider, model, self._rest, self._as_of)
        return None

    def info(self, listed: str) -> ModelInfo:
        """Give the model of a listed name."""
        info = self.found.get(listed)
        if info is None:
            info = _make_info(self._provider, listed, self.entries[listed], self._as_of)
            # Only listed names are kept: a client's inventions must not fill the memory.
            self.found[listed] = info
        return info

    def _resolve(self, model: str) -> str | None:
        if model in self.entries:
            return model
        if self._folded is None:
            self._folded = self._fold()
        name = model.lower()
        for prefix in self._prefixes:
            name = name.removeprefix(prefix)
        listed = self._folded.get(name)
        if listed is not None:
            return listed[0] if len(listed) == 1 else None
        return self._resolve_date(name)

    def _fold(self) -> dict[str, list[str]]:
        folded: dict[str, list[str]] = {}
        for listed, entry in self.entries.items():
            for name in (listed, *entry.get("aliases", ())):
                folded.setdefault(name.lower(), []).append(listed)
        return folded

    def _resolve_date(self, name: str) -> str | None:
        dated = _DATED.fullmatch(name)
        base = dated["base"] if dated else name
        listed_dates = list(self._dates_of(base))
        if not dated:
            return listed_dates[0] if len(listed_dates) == 1 else None
        candidates = (self._folded or {}).get(base, [])
        if listed_dates or len(candidates) != 1:
            # gpt-4o-2024-05-13 costs twice as much as gpt-4o: where dates are listed, an unlisted
            # one is another model.
            return None
        released = self.entries[candidates[0]].get("released")
        stated = f"{dated['year']}-{dated['month']}-{dated['day']}"
        return candidates[0] if released and _are_near(released, stated) else None

    def _dates_of(self, base: str) -> Iterator[str]:
        for name, listed in (self._folded or {}).items():
            if (
                name.startswith(base)
                and (match := _DATED.fullmatch(name))
                and match["base"] == base
            ):
                yield from listed


def get_catalog() -> Catalog:
    """Give the process's catalog; the shipped one until `set_catalog` is called."""
    if not _shared:
        _shared.append(Catalog())
    return _shared[0]


def set_catalog(catalog: Catalog | None) -> None:
    """Make a catalog the process's own, with a user's entries; None goes back to the shipped one."""
    _shared[:] = [] if catalog is None else [catalog]


def catalog_folder() -> Path:
    """Give the folder of the shipped catalog files."""
    return schemas_folder() / "catalog"


def schemas_folder() -> Path:
    """Give the folder of the shipped schemas: inside an installed package, or beside it in a checkout."""
    from pathlib import Path

    package = Path(__file__).parents[2]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


def _are_near(released: str, stated: str) -> bool:
    from datetime import date

    try:
        days = (date.fromisoformat(stated) - date.fromisoformat(released)).days
    except ValueError:
        return False
    return abs(days) <= _MAX_DAYS_FROM_RELEASE


def _make_info(
    provider: str, model: str, entry: Mapping[str, Any], as_of: str | None
) -> ModelInfo:
    return ModelInfo(
        provider=provider,
        id=model,
        mode=entry.get("mode", "chat"),
        context_window=entry.get("context_window"),
        max_input_tokens=entry.get("max_input_tokens"),
        max_output_tokens=entry.get("max_output_tokens"),
        capabilities=frozenset(entry.get("can", ())),
        lacks=frozenset(entry.get("cannot", ())),
        prices=tuple(_make_price(price) for price in entry.get("prices", ())),
        knowledge=entry.get("knowledge"),
        release_date=entry.get("released"),
        retirement_date=entry.get("retires"),
        api=entry.get("api"),
        reasoning_field=entry.get("reasoning_field"),
        source=entry.get("source"),
        as_of=as_of,
    )


def _make_price(data: Mapping[str, Any]) -> Price:
    tiers = [Tier(tier["above_tokens"], _make_rates(tier)) for tier in data.get("tiers", ())]
    tiers.sort(key=lambda tier: tier.above_tokens)
    peak = data.get("peak")
    return Price(
        rates=_make_rates(data),
        tiers=tuple(tiers),
        peak=None if peak is None else _make_peak(peak),
        starts=data.get("from"),
        ends=data.get("until"),
        source=data.get("source"),
        confidence=data.get("confidence"),
    )


def _make_rates(data: Mapping[str, Any]) -> Rates:
    return Rates(
        data.get("input"), data.get("output"), data.get("cache_read"), data.get("cache_write")
    )


def _make_peak(data: Mapping[str, Any]) -> Peak:
    return Peak(
        factor=data["factor"],
        hours_utc=tuple((start, end) for start, end in data["hours_utc"]),
        weekdays=frozenset(data.get("weekdays", range(1, 8))),
        except_dates=frozenset(data.get("except_dates", ())),
    )
