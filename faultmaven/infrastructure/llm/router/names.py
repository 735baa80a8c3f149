"""What a model's name means: one provider and model, and who takes over.

A name is, first match wins: an exact route, an alias, a group, `provider/model`, a pattern of the
routes, a selector (`size:<8B`, `cap:vision price<=1`), a model that a configured provider names,
a model that the catalog lists for a configured provider, and at last the default provider's, where
its models are not listed anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import ModelNotFoundError
from faultmaven.infrastructure.llm.router.selector import choose_models, is_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from faultmaven.infrastructure.llm.catalog import Catalog

MAX_NAME_CHARS = 256
# To how many names an unknown one is compared: it takes some microseconds each.
MAX_COMPARED = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """One provider, and its name for the model; None is the provider's own choice."""

    provider: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is asked, in order, and the rule that said so."""

    targets: tuple[Target, ...]
    rule: str


@dataclass(slots=True)
class NameTable:
    """Everything that gives names a meaning.

    Attributes:
        rows: every name and alias of a row, to the row's name.
        models: the configured providers, each with its configured models, the default one first.
        default: the provider for what nobody else claims.
        fallbacks: who takes over from anyone, in order.
        chains: who takes over from a provider or a model's name, in place of `fallbacks`.
        aliases: other names: `provider/model`, or a mapping with `provider` and `model`.
        groups: names of several targets.
        exact: routes by name.
        patterns: routes by regular expression, the first that matches.
        open_ended: providers whose models are listed nowhere: they are sent any name.
        catalog: which models there are.
    """

    rows: Mapping[str, str]
    models: Mapping[str, Sequence[str]]
    default: str
    fallbacks: Sequence[str] = ()
    chains: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)
    patterns: Sequence[Mapping[str, Any]] = ()
    open_ended: frozenset[str] = frozenset()
    catalog: Catalog | None = None

    def resolve(
        self, name: str, may_use: Callable[[str, str, str | None], bool] | None = None
    ) -> Plan:
        """Give the plan for a name.

        Args:
            name: as a client writes it.
            may_use: which names an error may suggest, None for all; the plan is not bound by it.

        Raises:
            ModelNotFoundError: nobody serves it; the message has the nearest names.
        """
        if len(name) > MAX_NAME_CHARS or not name.isprintable():
            msg = f"The model's name must have at most {MAX_NAME_CHARS} printable characters."
            raise ModelNotFoundError(msg, code="model_not_found", status=400)
        found = self._stated(name) or self._found(name)
        if found is None:
            raise self.unknown(name, may_use)
        targets, rule, further = found
        return Plan(self._with_fallbacks(name, targets, further), rule)

    def permitted(
        self, plan: Plan, name: str, may_use: Callable[[str, str, str | None], bool]
    ) -> Plan:
        """Leave those targets that a caller may use.

        Raises:
            ModelNotFoundError: none is left; it is told as if there were none.
        """
        left = tuple(t for t in plan.targets if may_use(name, t.provider, t.model))
        if not left:
            raise self.unknown(name, may_use)
        return Plan(left, plan.rule)

    def names(self) -> list[str]:
        """Give every name that a client may ask for without guessing: aliases, groups, models."""
        listed = [*self.exact, *self.aliases, *self.groups]
        for provider, models in self.models.items():
            listed += [f"{provider}/{model}" for model in models]
        return list(dict.fromkeys(listed))

    def all_names(self) -> list[str]:
        """Give `names`, and every model that the catalog lists for a configured provider."""
        listed = self.names()
        if self.catalog is not None:
            listed += [
                f"{provider}/{info.id}"
                for provider in self.models
                if provider not in self.open_ended
                for info in self.catalog.list(provider)
            ]
        return list(dict.fromkeys(listed))

    def _stated(self, name: str) -> _Found | None:
        if name in self.exact:
            route = self.exact[name]
            further = route.get("fallback", ()) if isinstance(route, dict) else ()
            return [self._target(route, name)], "route", _listed(further)
        if name in self.aliases:
            return [self._target(self.aliases[name], name)], "alias", None
        if name in self.groups:
            group = self.groups[name]
            members = group["members"] if isinstance(group, dict) else group
            return [self._target(member, name) for member in members], "group", ()
        return None

    def _found(self, name: str) -> _Found | None:
        provider, slash, model = name.partition("/")
        if slash and model and provider in self.rows:
            return [Target(self.rows[provider], model)], "explicit", None
        for pattern in self.patterns:
            if re.search(pattern["pattern"], name):
                return [self._target(pattern, name)], "pattern", _listed(pattern.get("fallback"))
        if is_selector(name):
            return self._selected(name)
        return self._bare(name)

    def _bare(self, name: str) -> _Found | None:
        if name in self.rows:
            return [Target(self.rows[name], None)], "provider", None
        owners = [owner for owner, models in self.models.items() if name in models]
        owners = owners or self._listing(name)
        if self.default in owners:
            owners = [self.default]
        if owners:
            return [Target(owners[0], name)], "model", None
        if self.default in self.open_ended:
            return [Target(self.default, name)], "default", None
        return None

    def _selected(self, name: str) -> _Found | None:
        if self.catalog is None:
            return None
        infos = [info for owner in self.models for info in self.catalog.list(owner)]
        chosen = choose_models(name, infos)
        return ([Target(i.provider, i.id) for i in chosen[:3]], "selector", ()) if chosen else None

    def _listing(self, model: str) -> list[str]:
        if self.catalog is None:
            return []
        return [owner for owner in self.models if self.catalog.find(owner, model) is not None]

    def _target(self, stated: Any, name: str) -> Target:
        if isinstance(stated, dict):
            if "provider" in stated:
                return Target(self._row(stated["provider"]), stated.get("model", name))
            stated = stated.get("model", name)
        provider, slash, model = str(stated).partition("/")
        if slash and provider in self.rows:
            return Target(self.rows[provider], model)
        if stated in self.rows:
            return Target(self.rows[stated], None)
        owners = self._listing(str(stated))
        return Target(owners[0] if owners else self.default, str(stated))

    def _row(self, provider: str) -> str:
        return self.rows.get(provider, provider)

    def _with_fallbacks(
        self, name: str, targets: list[Target], further: Sequence[Any] | None
    ) -> tuple[Target, ...]:
        if not further:
            chain = self.chains.get(name, self.chains.get(targets[0].provider))
            further = _listed(chain) if chain is not None else self.fallbacks
        asked = {target.provider for target in targets}
        plan = list(targets)
        for entry in further:
            target = self._taking_over(entry, targets[0].model)
            if target not in plan and (target.model or target.provider not in asked):
                plan.append(target)
                asked.add(target.provider)
        return tuple(plan)

    def _taking_over(self, entry: Any, model: str | None) -> Target:
        """Give who takes over: with the same model if it has it, else with its own."""
        if isinstance(entry, dict) or "/" in entry:
            return self._target(entry, model or "")
        provider = self._row(entry)
        return Target(provider, model if model in self.models.get(provider, ()) else None)

    def unknown(
        self, name: str, may_use: Callable[[str, str, str | None], bool] | None = None
    ) -> ModelNotFoundError:
        """Make the error for a name that nobody serves, with the nearest that the caller may use."""
        known = self.all_names()[:MAX_COMPARED]
        if may_use is not None:
            known = [other for other in known if may_use(other, *_halves(other))]
        near = get_close_matches(name, known, n=3, cutoff=0.6)
        bare = {other.partition("/")[2]: other for other in known}
        near += [bare[other] for other in get_close_matches(name, bare, n=3, cutoff=0.6)]
        names = list(dict.fromkeys(near))[:3]
        hint = f" Did you mean {' or '.join(names)}?" if names else ""
        return ModelNotFoundError(
            f"There is no model {name[:80]!r} here.{hint} GET /v1/models lists them.",
            model=name,
            status=404,
            code="model_not_found",
        )


_Found = tuple[list[Target], str, "Sequence[Any] | None"]


def _halves(name: str) -> tuple[str, str]:
    provider, _, model = name.partition("/")
    return provider, model


def _listed(entries: Any) -> Sequence[Any]:
    """Take one name, several, or a mapping with a `chain`."""
    if entries is None:
        return ()
    if isinstance(entries, dict):
        return list(entries.get("chain", ()))
    return [entries] if isinstance(entries, str) else list(entries)


def known_rows(names: Iterable[str], aliases: Mapping[str, str]) -> dict[str, str]:
    """Give every row's name and alias, to the row's name."""
    return {**aliases, **{name: name for name in names}}
