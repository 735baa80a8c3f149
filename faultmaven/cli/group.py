"""Groups of commands: loaded when one is named, and helpful where none has the name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping


class SuggestingGroup(click.Group):
    """A group that says which command was meant."""

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from faultmaven.config.suggest import did_you_mean

            known = self.list_commands(ctx)
            hint = did_you_mean(name, known) or f"Known are {', '.join(known)}."
            msg = f"There is no command {name!r}. {hint}"
            raise click.UsageError(msg, ctx)
        return super().resolve_command(ctx, args)


class DefaultGroup(SuggestingGroup):
    """A group that runs one of its commands where none is named; that one's options work, too.

    Args:
        default: the command's name.
        **settings: as for `click.Group`.
    """

    def __init__(self, *args: Any, default: str, **settings: Any) -> None:
        settings = {
            "no_args_is_help": False,
            "subcommand_metavar": "[COMMAND] [ARGS]...",
            **settings,
        }
        super().__init__(*args, **settings)
        self._default = default

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-")
        is_help = is_option and args[0] in ctx.help_option_names
        # Completion parses too, and has the group's commands to offer.
        if not ctx.resilient_parsing and (not args or (is_option and not is_help)):
            args = [self._default, *args]
        return super().parse_args(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose commands are imported when they are run.

    Args:
        commands_by_name: for each command its module in `package` and its short help.
        package: where the modules are; each has a command of the command's name.
        **settings: as for `click.Group`.
    """

    def __init__(
        self,
        *args: Any,
        commands_by_name: Mapping[str, tuple[str, str]],
        package: str,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._by_name = commands_by_name
        self._package = package

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._by_name)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._by_name:
            cmd_name += "s"  # `provider check` is `providers check`
        if cmd_name not in self._by_name:
            return None
        module = import_module(f"{self._package}.{self._by_name[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(self._by_name.items())])

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click's own would import every module for its help.
        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in sorted(self._by_name.items())
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
