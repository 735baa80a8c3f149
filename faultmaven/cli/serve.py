"""`faultmaven serve`: the gateway, in the foreground."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.output import say, say_error, write

if TYPE_CHECKING:
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

logger = logging.getLogger("faultmaven.config")

HELLO = "Say hello in one short sentence."
_HELLO_TOKENS = 60
_LAST_PORT = 65535


@click.command()
@click.option("--host", help="Address to listen on; 127.0.0.1 if nothing says otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port, 0 for a free one; 8080.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes, one a core; 1.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False), help="faultmaven.yaml.")
@click.option(
    "--insecure", is_flag=True, default=None, help="Listen beyond loopback without keys."
)
@click.option("--check", is_flag=True, help="Check the configuration and end.")
@click.option("--hello", is_flag=True, help="Have the model say hello first, which warms it up.")
@click.option("--quiet", is_flag=True, help="Print nothing at the start.")
def serve(  # click passes the options by name
    host: str | None,
    port: int | None,
    workers: int | None,
    config: str | None,
    insecure: bool | None,
    check: bool,
    hello: bool,
    quiet: bool,
) -> int:
    """Serve OpenAI's and Anthropic's API from all configured providers.

    Gateway keys come from FAULTMAVEN_GATEWAY_KEYS (or FAULTMAVEN_GATEWAY_KEYS_FILE); without one the
    gateway listens on this machine only.
    """
    from faultmaven.cli.start import collect_seldom, uncollected

    with uncollected():
        registry, options = _set_up(
            config, host=host, port=port, workers=workers, insecure=insecure
        )
    if check:
        return _check(registry, options)
    collect_seldom()
    return _run(registry, options, quiet=quiet, hello=hello)


def _set_up(config: str | None, **given: Any) -> tuple[ProviderRegistry, GatewayOptions]:
    """Read the configuration, and begin the log that it describes; `given` is of the command line."""
    from faultmaven.cli.serve_logs import start_serve_logs
    from faultmaven.config.not_in_force import in_settings
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.gateway.run import make_registry

    registry = make_registry(config)
    start_serve_logs(registry.settings)
    for warning in in_settings(registry.settings):
        logger.warning("%s", warning)
    return registry, GatewayOptions.of(registry.settings, **given)


def _check(registry: ProviderRegistry, options: GatewayOptions) -> int:
    from faultmaven.gateway.run import check_set_up

    problems = check_set_up(registry, options)
    for problem in problems:
        say(problem)
    write("The configuration is good." if not problems else f"{len(problems)} problem(s).")
    return EXIT_OK if not problems else EXIT_FAILED


def _run(registry: ProviderRegistry, options: GatewayOptions, *, quiet: bool, hello: bool) -> int:
    from faultmaven.gateway.run import run

    try:
        return run(registry, options, quiet=quiet, hello=say_hello if hello else None)
    except OSError as exc:
        say_error(f"cannot listen on {options.host}:{options.port}: {_reason(exc, options.port)}")
        return EXIT_FAILED


async def say_hello(registry: ProviderRegistry) -> None:
    """Print the model's answer to a short question; a failure is said, and nothing worse."""
    from faultmaven.cli.talk import Talk, Turn, figures
    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.types import LLMMessage

    say(f"> {HELLO}")
    question = LLMMessage(role="user", content=HELLO)
    try:
        turn = Turn(Talk(registry, max_tokens=_HELLO_TOKENS, temperature=0.0, messages=[question]))
        response = await turn.stream()
    except LLMError as error:
        say_error(error.message)
    else:
        say(f"{figures(response, turn.first_text_s)}\n")


def _reason(error: OSError, port: int) -> str:
    """Say why the port cannot be had, and what to do about it."""
    reason = error.strerror or str(error)
    if error.errno != errno.EADDRINUSE:
        return reason
    other = port + 1 if port < _LAST_PORT else port - 1
    return (
        f"{reason}. End what listens there, or take another port: "
        f"`--port {other}`, with make `make run PORT={other}`."
    )
