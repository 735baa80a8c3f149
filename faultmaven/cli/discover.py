"""`faultmaven discover`: which model servers run on this machine, and the lines that use them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.output import say, write, write_json
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.cli.servers import Server
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_MODELS_SHOWN = 8
_ANY_SERVER = "local"  # the row that finds out by itself what a server speaks


@click.command()
@click.option(
    "--port", "ports", multiple=True, type=click.IntRange(1, 65535),
    help="Look at this port instead of the well-known ones; may be given several times.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def discover(ports: tuple[int, ...], as_json: bool) -> int:
    """Look for model servers on 127.0.0.1 and print the lines of .env that use them.

    Ollama, vLLM, llama.cpp, LM Studio, TGI, SGLang, LocalAI and others are told apart by their
    answers.  Ends with 1 if none is found.
    """
    from faultmaven.cli.servers import PORTS, find_servers

    registry = start_registry()
    found = asyncio.run(find_servers(ports or PORTS))
    described = [(server, env_lines(registry, server)) for server in found]
    if as_json:
        write_json([{**asdict(server), "env": lines} for server, lines in described])
    for server, lines in () if as_json else described:
        write(f"# {server.product} at {server.url}{_told(server)}")
        for line in lines:
            write(line)
    if not found:
        looked = ", ".join(map(str, ports or PORTS))
        say(f"No model server answers on 127.0.0.1 at ports {looked}. Start one, or give --port.")
    return EXIT_OK if found else EXIT_FAILED


def env_lines(registry: ProviderRegistry, server: Server) -> list[str]:
    """Give the lines of `.env` that make a server the one that answers."""
    from faultmaven.cli.variables import listed

    rows = registry.get_all_provider_names()
    name = server.row if server.row in rows else _ANY_SERVER
    row = registry.get_row(name)
    values = [("CHAT_PROVIDER", name)]
    # The row knows at which path its dialect is; another product's is where OpenAI's models are.
    path = urlsplit(row.get("default_base_url") or "").path if name == server.row else "/v1"
    values += [(variable, f"{server.url}{path}") for variable in listed(row["base_url_var"])[:1]]
    if models := _chat_models(server):
        values += [(variable, models[0]) for variable in listed(row["model_var"])[:1]]
    if server.needs_key:
        values += [(variable, "") for variable in listed(row["api_key_var"])[:1]]
    return [f"{variable}={_quoted(value)}" for variable, value in values]


def _chat_models(server: Server) -> list[str]:
    """Give its models, those that look like embedding models last."""
    return sorted(server.models, key=lambda model: "embed" in model.lower())


def _quoted(value: str) -> str:
    plain = all(c.isalnum() or c in "-_./:@" for c in value)
    return (
        value if plain else "'" + "".join(c for c in value if c.isprintable() and c != "'") + "'"
    )


def _told(server: Server) -> str:
    if server.needs_key:
        return " (wants a key)"
    shown = ", ".join(server.models[:_MODELS_SHOWN])
    more = len(server.models) - _MODELS_SHOWN
    if not shown:
        return ""
    return f": {shown}" + (f" and {more} more" if more > 0 else "")
