"""The command line: `faultmaven …`; one module a group of commands, loaded when it is named.

Exit codes: 0 done; 1 a check failed or a provider answered with an error; 2 wrong usage or
configuration; 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import click

from faultmaven import __version__

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_USAGE", "cli", "main"]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# name: (module, its short help): known without importing the module, so that --help is quick.
_COMMANDS = {
    "chat": ("chat", "Talk to a model: one answer, or a conversation."),
    "discover": ("discover", "Look for model servers on this machine."),
    "doctor": ("doctor", "Find what is wrong with the set-up, and how to mend it."),
    "env": ("env", "Write .env.example, or check .env."),
    "models": ("models", "List the models of a provider."),
    "providers": ("providers", "List, show and test providers."),
    "validate": ("validate", "Check configuration files."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return sorted(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"faultmaven.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="faultmaven")
@click.option(
    "-v", "--verbose", is_flag=True, help="Log what is sent and received; keys are masked."
)
def cli(verbose: bool) -> None:  # click passes flags by name
    """One call for every LLM provider: set CHAT_PROVIDER in .env and go."""
    if verbose:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def main() -> None:
    """Run the command line; every error becomes one sentence and an exit code."""
    from faultmaven.cli.output import say_error

    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except click.ClickException as exc:
        exc.show()
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        say_error("interrupted")
        code = EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001  # everything but our own errors is raised again
        code = _explained(exc)
    sys.exit(code if isinstance(code, int) else EXIT_OK)


def _explained(exc: Exception) -> int:
    """Say our own errors in a sentence; let everything else show where it comes from."""
    from faultmaven.cli.output import say_error
    from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError

    if isinstance(exc, BrokenPipeError):
        return EXIT_OK
    if not isinstance(exc, LLMError):
        raise exc
    say_error(exc.message)
    return EXIT_USAGE if isinstance(exc, ConfigurationError) else EXIT_FAILED
