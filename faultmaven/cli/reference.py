"""The commands as a document: every command's help, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from faultmaven.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = "faultmaven"
_WIDTH = 96


def cli_reference(notice: str = "") -> str:
    """Give docs/cli.md.

    Args:
        notice: stands in a comment below the title, "" for none.
    """
    lines = ["# Commands", ""]
    lines += [f"<!-- {notice} -->", ""] if notice else []
    lines += [
        "`faultmaven` is also `python -m faultmaven`.",
        "On a terminal tables are drawn; in a pipe they are lines with tabs between the columns and no head.",
        "The answer goes to the standard output, everything else to standard error.",
        "",
        "| Exit code | Meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a check failed, or a provider answered with an error |",
        "| 2 | wrong usage or configuration |",
        "| 130 | interrupted |",
        "",
    ]
    for name, text in _helps(cli, _PROGRAM, None):
        lines += [f"## {name}", "", "```text", text, "```", ""]
    return "\n".join(lines)


def _helps(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    """Give the help of a command and of all below it."""
    settings = {**command.context_settings, "terminal_width": _WIDTH, "color": False}
    with click.Context(
        command, info_name=name.rpartition(" ")[2], parent=parent, **settings
    ) as ctx:
        yield name, command.get_help(ctx)
        if isinstance(command, click.Group):
            for below in command.list_commands(ctx):
                found = command.get_command(ctx, below)
                if found is not None:
                    yield from _helps(found, f"{name} {below}", ctx)
