"""The variables that a row reads, and what is set of them, values that are secret masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faultmaven.config.dotenv_file import is_secret_name
from faultmaven.infrastructure.llm.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a row.

    Attributes:
        name: the variable.
        purpose: the row's field that names it.
        value: what it is set to, masked where it is secret; None where it is not set.
        source: where it is set, None for nowhere.
    """

    name: str
    purpose: str
    value: str | None
    source: str | None


def variables_of(row: Mapping[str, Any], settings: Settings) -> list[Variable]:
    """Give every variable that a complete row reads, the most important first."""
    named: dict[str, str] = {}
    for purpose in ("api_key_var", "base_url_var", "model_var"):
        for name in listed(row.get(purpose)):
            named.setdefault(name, purpose)
    for purpose, described in (row.get("variables") or {}).items():
        for name in listed(described["vars"]):
            named.setdefault(name, f"variables.{purpose}")
    return [
        Variable(name, purpose, shown_value(settings, name), settings.source_of(name))
        for name, purpose in named.items()
    ]


def shown_value(settings: Settings, name: str, *, secret: bool = False) -> str | None:
    """Give a variable's value for people's eyes; None where it is not set."""
    value = settings.lookup(name)
    return MASK if value and (secret or is_secret_name(name)) else value


def set_up_providers(registry: ProviderRegistry) -> list[str]:
    """Give the providers that somebody chose: in the chain, or configured by a variable of its own.

    (A server on this machine needs no variable, so that its row alone says nothing.)

    Raises:
        UnknownProviderError: a chosen name is in no row.
    """
    chain = registry.get_fallback_chain()
    return chain + [
        name
        for name in registry.get_available_providers()
        if name not in chain
        and any(v.value for v in variables_of(registry.get_row(name), registry.settings))
    ]


def listed(names: str | Iterable[str] | None) -> list[str]:
    """Give a row's one name, several or none as a list."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
