"""`faultmaven llm`: whether a key works, and whether providers answer, as key managers name it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.group import SuggestingGroup
from faultmaven.cli.output import write
from faultmaven.cli.providers import test_providers
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider, KeyCheck


@click.group(cls=SuggestingGroup)
def llm() -> None:
    """Check keys and providers."""


@llm.command("validate-key")
@click.argument("provider", shell_complete=provider_names)
@click.option(
    "--ask", is_flag=True, help="Check a key that is typed, or read from the standard input."
)
def validate_key(provider: str, ask: bool) -> int:
    """Ask PROVIDER whether it accepts its key, with the cheapest request there is, within 10 s.

    Ends with 0 where it does, and with 1 and the reason where it does not.  A key is never taken from
    the command line, where others could read it.
    """
    from faultmaven.infrastructure.llm.providers import create_provider

    registry = start_registry()
    name = registry.resolve_name(provider)
    found = create_provider({"api_key": _read_key()}, name) if ask else registry.get_provider(name)
    check = asyncio.run(_check(found))
    write(f"{name}: the key is valid" if check.ok else check.reason)
    return EXIT_OK if check.ok else EXIT_FAILED


@llm.command("test-providers")
@click.option("--providers", "listed", default="", help="Names, separated by commas.")
@click.option("--key-only", is_flag=True, help="Ask whether the key works; generate nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def test_several(ctx: click.Context, listed: str, key_only: bool, as_json: bool) -> int:
    """Ask providers for a short answer each; as `faultmaven providers test`."""
    names = tuple(word for part in listed.split(",") if (word := part.strip()))
    code: int = ctx.invoke(test_providers, names=names, key_only=key_only, as_json=as_json)
    return code


async def _check(provider: BaseLLMProvider) -> KeyCheck:
    async with provider:
        return await provider.check_key()


def _read_key() -> str:
    """Read a key without showing it."""
    if sys.stdin.isatty():
        key: str = click.prompt("Key", hide_input=True, err=True)
    else:
        key = sys.stdin.readline()
    if not key.strip():
        msg = "no key was given"
        raise click.UsageError(msg)
    return key.strip()
