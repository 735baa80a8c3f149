"""`faultmaven completion`: the script that completes commands, options and providers."""

from __future__ import annotations

from typing import cast

import click
from click.shell_completion import ShellComplete, get_completion_class

from faultmaven.cli.exit_codes import EXIT_OK
from faultmaven.cli.output import write

_PROGRAM = "faultmaven"
_VARIABLE = "_FAULTMAVEN_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def completion(shell: str) -> int:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(faultmaven completion bash)"      in ~/.bashrc
    zsh:   eval "$(faultmaven completion zsh)"       in ~/.zshrc
    fish:  faultmaven completion fish > ~/.config/fish/completions/faultmaven.fish
    """  # noqa: D301  # click reads the backspace: it keeps the lines as they are
    root = click.get_current_context().find_root().command
    kind = cast("type[ShellComplete]", get_completion_class(shell))
    # The base class's: bash's own first asks the installed bash for its version.
    write(ShellComplete.source(kind(root, {}, _PROGRAM, _VARIABLE)))
    return EXIT_OK
