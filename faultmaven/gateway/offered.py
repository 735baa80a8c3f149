"""Which models a caller is told of: those that may be asked for, as far as they have names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.router.selector import is_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.auth import Caller
    from faultmaven.infrastructure.llm.router.names import Plan


def offered_names(gateway: Gateway, caller: Caller) -> list[str]:
    """List what a caller may ask for, what only the caller's key names at the end."""
    listed = gateway.names.all_names()
    if caller.models is None and caller.providers is None:
        return listed
    permitted = [name for name in listed if _plan(gateway, name, caller) is not None]
    return [*permitted, *_named_by_key(gateway, caller, frozenset(permitted))]


def _named_by_key(gateway: Gateway, caller: Caller, permitted: frozenset[str]) -> Iterator[str]:
    """Give the key's models that no list has, such as those of a server of one's own."""
    for name in sorted((caller.models or frozenset()) - permitted):
        if is_selector(name):
            continue  # it describes models, and is none's name
        plan = _plan(gateway, name, caller)
        if plan is None:
            continue
        provider, model = plan.targets[0].provider, plan.targets[0].model
        if f"{provider}/{model}" not in permitted and _is_configured(gateway, provider):
            yield name


def _plan(gateway: Gateway, name: str, caller: Caller) -> Plan | None:
    try:
        return gateway.plan_for(name, caller)
    except LLMError:
        return None


def _is_configured(gateway: Gateway, provider: str) -> bool:
    if provider in gateway.names.models:
        return True
    status = gateway.registry.get_provider_status([provider])[provider]
    return bool(status["configured"])
