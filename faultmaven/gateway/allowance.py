"""How much keys and providers may have: the file's `limits`, the limits of its `keys`, and those of rows.

A limit counts for the whole gateway.  Each worker process counts for itself and holds its share of it:
the shares add up to the limit, except that none is less than 1.  Numbers that hold for one request
(`max_tokens`, `max_body_bytes`, `stream_s`) are not shared out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from faultmaven.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.config.settings import Settings

# Beyond so many calls at the same time another provider is preferred, where none is configured.
PREFERRED_CONCURRENCY: Final = 256
_SHARED: Final = ("requests_per_minute", "tokens_per_minute", "concurrency")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one key or provider may have; None is without a bound.

    Attributes:
        requests_per_minute: how many may begin.
        tokens_per_minute: of prompts and answers together.
        concurrency: requests at the same time.
        max_tokens: of an answer; what is asked for beyond it is lowered.
        add_max_tokens: ask for `max_tokens` where the client says nothing about it.
        max_body_bytes: of a request.
        stream_s: seconds of a streamed answer.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    max_tokens: int | None = None
    add_max_tokens: bool = False
    max_body_bytes: int | None = None
    stream_s: float | None = None

    @classmethod
    def of(cls, *described: Mapping[str, Any] | None) -> Self:
        """Make one from entries of the file; an earlier one wins, field by field."""
        merged: dict[str, Any] = {}
        for entry in reversed(described):
            merged |= {name: value for name, value in (entry or {}).items() if name in _FIELDS}
        for name in _SHARED:
            if merged.get(name) is not None:
                merged[name] = max(1, int(merged[name]))
        return cls(**merged)

    def share(self, workers: int, worker: int) -> Allowance:
        """Give the share of one worker, counted from 0."""
        if workers == 1:
            return self
        return replace(
            self,
            requests_per_minute=_share(self.requests_per_minute, workers, worker),
            tokens_per_minute=_share(self.tokens_per_minute, workers, worker),
            concurrency=_share(self.concurrency, workers, worker),
        )


NO_BOUNDS: Final = Allowance()
_FIELDS: Final = frozenset(one.name for one in fields(Allowance))


@dataclass(frozen=True, slots=True)
class Allowances:
    """What everybody may have.

    Attributes:
        providers: entries of `limits.providers`.
        keys: entries of `limits.keys`, and of the `keys` that have limits of their own.
        default: the entry for what a key's own does not say.
        enabled: whether any of it holds, rows' limits included.
    """

    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read what the file says."""
        if settings.file is None:
            return cls()
        section = settings.file.section("limits")
        keys = dict(section.get("keys") or {})
        for entry in settings.file.data.get("keys") or ():
            if own := entry.get("limits"):
                keys[entry["name"]] = {**keys.get(entry["name"], {}), **own}
        return cls(
            section.get("providers") or {},
            keys,
            section.get("default") or {},
            section.get("enabled", True),
        )

    def of_key(self, name: str) -> Allowance:
        """Give what the holder of a key may have."""
        if not self.enabled or not (self.keys or self.default):
            return NO_BOUNDS
        return Allowance.of(self.keys.get(name), self.default)

    def of_provider(self, name: str, row: Mapping[str, Any]) -> Allowance:
        """Give what may be asked of a provider; the file's `limits` win over the row's."""
        if not self.enabled:
            return NO_BOUNDS
        return Allowance.of(self.providers.get(name), row.get("limits"))

    def unknown(self, providers: Iterable[str], keys: Iterable[str]) -> list[str]:
        """Say which limits are nobody's, one sentence each: a name is misspelt, or its owner is gone."""
        found = []
        for section, names, known in (
            ("providers", self.providers, tuple(providers)),
            ("keys", self.keys, tuple(keys)),
        ):
            kind = "provider" if section == "providers" else "key"
            for name in names.keys() - set(known):
                hint = did_you_mean(name, known)
                found.append(f"limits.{section}.{name}: there is no such {kind}. {hint}".rstrip())
        return sorted(found)

    def too_small(self, workers: int) -> list[str]:
        """Say which limits are less than the number of workers, so that their shares are more."""
        named = {f"limits.providers.{name}": entry for name, entry in self.providers.items()}
        named |= {f"limits.keys.{name}": entry for name, entry in self.keys.items()}
        named["limits.default"] = self.default
        return [
            f"{place}.{kind}: {entry[kind]} cannot be shared out among {workers} workers; "
            "each of them has 1."
            for place, entry in named.items()
            for kind in _SHARED
            if kind in entry and entry[kind] < workers
        ]


def _share(limit: int | None, workers: int, worker: int) -> int | None:
    if limit is None:
        return None
    whole, left = divmod(limit, workers)
    return max(1, whole + (worker < left))
