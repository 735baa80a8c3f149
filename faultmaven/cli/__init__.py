"""The command line: `faultmaven …`; one module a group of commands, loaded when it is named.

Exit codes: 0 done; 1 a check failed or a provider answered with an error; 2 wrong usage or
configuration; 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from faultmaven import __version__
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from faultmaven.cli.group import LazyGroup

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_USAGE", "cli", "main"]

# name: (module, its short help): known without importing the module, so that --help is quick.
_COMMANDS = {
    "chat": ("chat", "Talk to a model: one answer, or a conversation."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
    "config": ("config", "Show the settings in force and where each comes from."),
    "discover": ("discover", "Look for model servers on this machine."),
    "doctor": ("doctor", "Find what is wrong with the set-up, and how to mend it."),
    "env": ("env", "Write .env.example, or check .env."),
    "ledger": ("ledger", "Show what calls have cost and how long they took."),
    "llm": ("llm", "Check keys and providers."),
    "install-service": ("install_service", "Write a unit of systemd for the gateway."),
    "models": ("models", "List the models of a provider."),
    "pricing": ("pricing", "Show what models cost."),
    "providers": ("providers", "List, show and test providers."),
    "serve": ("serve", "Serve OpenAI's and Anthropic's API from all providers."),
    "smoke": ("smoke", "Try a running gateway with three calls."),
    "validate": ("validate", "Check configuration files."),
}
_EPILOG = """\
Exit codes: 0 done, 1 a check failed or a provider answered with an error, 2 wrong usage or
configuration, 130 interrupted.
"""


@click.command(
    cls=LazyGroup,
    commands_by_name=_COMMANDS,
    package=__name__,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="faultmaven")
@click.option(
    "-v", "--verbose", is_flag=True, help="Log what is sent and received; keys are masked."
)
def cli(verbose: bool) -> None:
    """One call for every LLM provider: set CHAT_PROVIDER in .env and go."""
    from faultmaven.cli.start import start_logs

    start_logs(verbose=verbose)


def main() -> None:
    """Run the command line; every error becomes one sentence and an exit code."""
    from faultmaven.cli.output import make_streams_lenient, say_error

    make_streams_lenient()
    try:
        code = cli.main(prog_name="faultmaven", standalone_mode=False)
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
    from faultmaven.config.errors import ConfigFileError
    from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError

    if not isinstance(exc, LLMError | ConfigFileError):
        raise exc
    say_error(str(exc))
    return EXIT_USAGE if isinstance(exc, ConfigurationError | ConfigFileError) else EXIT_FAILED
