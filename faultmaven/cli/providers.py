"""`faultmaven providers`: which there are, what one is made of, and whether they answer."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.group import DefaultGroup
from faultmaven.cli.output import say, write_json, write_table
from faultmaven.cli.providers_check import check_provider
from faultmaven.cli.providers_new import new_provider
from faultmaven.cli.start import start_registry

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=DefaultGroup, default="list")
def providers() -> None:
    """List, show and test providers; without a command: list them."""


providers.add_command(new_provider)
providers.add_command(check_provider)


@providers.command("list")
@click.option("--configured", is_flag=True, help="Leave out those that cannot be asked now.")
@_JSON
def list_providers(configured: bool = False, as_json: bool = False) -> int:
    """List every provider, and which variables it still needs.

    A server of one's own lacks nothing, but is not set up where no setting and no variable names it.
    The last column numbers the chain that answers: CHAT_PROVIDER, then FALLBACK_PROVIDERS.
    """
    from faultmaven.infrastructure.llm.errors import ConfigurationError

    registry = start_registry()
    try:
        chain = registry.get_fallback_chain()
    except ConfigurationError as error:
        say(error.message)
        chain = []
    status = registry.get_provider_status()
    available = set(registry.get_available_providers())
    if configured:
        status = {name: one for name, one in status.items() if name in available}
    if as_json:
        write_json(
            [
                {"name": name, **one, "chain": chain.index(name) + 1 if name in chain else None}
                for name, one in status.items()
            ]
        )
        return EXIT_OK
    write_table(
        ("provider", "state", "model", "address", "needs", "chain"),
        [
            (
                name,
                _state(one, is_set_up=name in available),
                one["model"],
                one["base_url"],
                one["problem"] or " and ".join(one["missing"]) or one["status_reason"],
                chain.index(name) + 1 if name in chain else "",
            )
            for name, one in status.items()
        ],
        title=f"{len(status)} providers, {len(available)} configured",
    )
    return EXIT_OK


def _state(status: dict[str, Any], *, is_set_up: bool) -> str:
    if status["problem"]:
        return "invalid"
    if status["status"] != "active":
        return str(status["status"])
    if status["configured"]:
        return "configured" if is_set_up else "not set up"
    return "unconfigured"


@providers.command("show")
@click.argument("name", shell_complete=provider_names)
@_JSON
def show_provider(name: str, as_json: bool) -> int:
    """Show all that is known of the provider NAME: its row and its variables."""
    from faultmaven.cli.variables import variables_of

    registry = start_registry()
    resolved = registry.resolve_name(name)
    row = registry.get_row(resolved)
    status = registry.get_provider_status()[resolved]
    variables = variables_of(row, registry.settings)
    if as_json:
        described = [asdict(variable) for variable in variables]
        write_json({"name": resolved, **status, "variables": described, "row": row})
        return EXIT_OK
    is_set_up = resolved in registry.get_available_providers()
    facts = {"state": _state(status, is_set_up=is_set_up), "stated in": status["source"]}
    facts |= {"needs": " and ".join(status["missing"]), "address": status["base_url"]}
    facts |= {key: value for key, value in sorted(row.items()) if value not in (None, "", [], {})}
    write_table(
        ("field", "value"), [(k, v) for k, v in facts.items() if v not in ("", None)], resolved
    )
    write_table(
        ("variable", "for", "value", "set in"),
        [
            (v.name, v.purpose, "not set" if v.value is None else v.value, v.source)
            for v in variables
        ],
        title="\nvariables" if variables else "",
    )
    return EXIT_OK


@providers.command("test")
@click.argument("names", nargs=-1, shell_complete=provider_names)
@click.option("--key-only", is_flag=True, help="Ask whether the key works; generate nothing.")
@_JSON
def test_providers(names: tuple[str, ...], key_only: bool, as_json: bool) -> int:
    """Ask NAMES for a short answer each; without NAMES, those that were set up.

    Set up are CHAT_PROVIDER, FALLBACK_PROVIDERS, and who is configured by a variable of its own.

    Each has 10 seconds.  An answer costs what a few tokens cost; --key-only costs nothing.  Ends with
    1 if any of them fails.
    """
    from faultmaven.cli.trial import try_all
    from faultmaven.cli.variables import set_up_providers

    registry = start_registry()
    chosen = list(dict.fromkeys(map(registry.resolve_name, names)))
    chosen = chosen or set_up_providers(registry)
    trials = asyncio.run(try_all(registry, chosen, key_only=key_only))
    if as_json:
        write_json([asdict(trial) for trial in trials])
    else:
        write_table(
            ("provider", "result", "ms", "model", "error"),
            [
                (t.provider, "ok" if t.ok else "fail", t.latency_ms, t.model, t.error)
                for t in trials
            ],
        )
    return EXIT_OK if all(trial.ok for trial in trials) else EXIT_FAILED
