"""`faultmaven config`: the settings in force, and where each comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from faultmaven.cli.exit_codes import EXIT_OK
from faultmaven.cli.group import DefaultGroup
from faultmaven.cli.output import write_json, write_table
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.cli.variables import Variable
    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry


@click.group(cls=DefaultGroup, default="show")
def config() -> None:
    """Show the settings in force and where each comes from; without a command: show them."""


@config.command("show")
@click.option("--all", "show_all", is_flag=True, help="Also the variables that are not set.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_config(show_all: bool, as_json: bool) -> int:
    """Show every setting, and every provider's variables that are set; secrets are masked."""
    registry = start_registry()
    rows = [
        *_settings(registry.settings),
        *_own_provider(registry.settings),
        *_variables(registry),
    ]
    if not show_all:
        rows = [row for row in rows if row.value is not None]
    if as_json:
        write_json([asdict(row) for row in rows])
    else:
        write_table(
            ("setting", "value", "from", "of"),
            [(row.name, row.value, row.source, row.purpose) for row in rows],
        )
    return EXIT_OK


def _settings(settings: Settings) -> list[Variable]:
    from faultmaven.cli.variables import Variable, shown_value
    from faultmaven.config.fields import FIELDS

    rows: list[Variable] = []
    for field in FIELDS:
        value, source = (
            shown_value(settings, field.name, secret=field.secret),
            settings.source_of(field.name),
        )
        if source is None and field.default not in (None, ()):
            value, source = str(field.default), "default"
        rows.append(Variable(field.name, field.group, value, source))
    return rows


def _own_provider(settings: Settings) -> list[Variable]:
    """Give what the files of CONFIG_PATH say; what may hold a secret is masked."""
    from faultmaven.cli.variables import Variable
    from faultmaven.config.dotenv_file import is_secret_name
    from faultmaven.config.own_provider import load_own_files
    from faultmaven.infrastructure.llm.secret import MASK

    rows: list[Variable] = []
    for path, values, lines in load_own_files(settings):
        for name, value in values.items():
            is_secret = is_secret_name(name) or isinstance(value, dict)
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            source = f"{path}:{lines.get((name,), 1)}"
            rows.append(Variable(name, "CONFIG_PATH", MASK if is_secret else shown, source))
    return rows


def _variables(registry: ProviderRegistry) -> list[Variable]:
    from dataclasses import replace

    from faultmaven.cli.variables import variables_of
    from faultmaven.infrastructure.llm.errors import ConfigurationError

    rows: dict[str, Variable] = {}
    for name in registry.get_all_provider_names():
        try:
            row = registry.get_row(name)
        except ConfigurationError:
            continue  # `validate` says what is wrong with it
        for variable in variables_of(row, registry.settings):
            rows.setdefault(variable.name, replace(variable, purpose=name))
    return list(rows.values())
