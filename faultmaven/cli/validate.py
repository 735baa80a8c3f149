"""`faultmaven validate`: every fault of the configuration, with file and line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli.exit_codes import EXIT_OK, EXIT_USAGE
from faultmaven.cli.output import counted, say, write, write_json
from faultmaven.config.errors import ConfigFileError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check FILES, or all that is in force: .env, faultmaven.yaml, providers.d and every row.

    FILES are configuration files or single providers' files (.yaml), providers' classes (.py), or files
    of variables.  Every fault is one line: file:line: place in it: what is wrong, and what to do.  Ends
    with 2 if there is one.  What is sound and not acted on in this version is a warning, and so is a
    port that is not in the file's port scheme, or that several of FILES have.
    """
    from faultmaven.cli.files import problems_of, warnings_of

    problems = [problem for path in files for problem in problems_of(path)]
    warnings = warnings_of(files)
    checked = [str(path) for path in files]
    if not files:
        checked, problems, warnings = _check_all()
    if as_json:
        write_json(
            {
                "ok": not problems,
                "checked": checked,
                "problems": [asdict(problem) for problem in problems],
                "warnings": [asdict(warning) for warning in warnings],
            }
        )
    for warning in warnings:
        say(f"warning: {warning}")
    for problem in () if as_json else problems:
        write(str(problem))
    say(f"{counted(len(problems), 'problem')} in: {', '.join(checked)}" if problems
        else f"sound: {', '.join(checked)}")  # fmt: skip
    return EXIT_USAGE if problems else EXIT_OK


def _check_all() -> tuple[list[str], list[Problem], list[Problem]]:
    """Check what a start would read; give the places looked at, the faults, and the warnings."""
    from faultmaven.cli.files import files_of, unread_folder
    from faultmaven.config.not_in_force import in_settings
    from faultmaven.config.own_provider import load_own_files
    from faultmaven.config.ports import port_warnings
    from faultmaven.config.settings import CONFIG_NAME, load_settings
    from faultmaven.config.typed import check_settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

    found = check_settings()
    try:
        settings = load_settings()
        load_own_files(settings)
    except ConfigFileError as exc:
        found = found or list(exc.problems)
        return sorted({problem.file for problem in found}), found, []
    if folder := unread_folder(settings):
        say(f"not checked: {folder}, which is not read: no {CONFIG_NAME} stands beside it")
    registry = ProviderRegistry(settings)
    status = registry.get_provider_status()
    checked = [*files_of(settings), f"{len(status)} rows"]
    problems = [
        problem for name, one in status.items() for problem in _row_problems(registry, name, one)
    ]
    return (
        checked,
        [
            *found,
            *problems,
            *_choice_problems(registry),
            *_limit_problems(registry),
            *_own_problems(registry),
        ],
        in_settings(settings) + port_warnings([settings.file] if settings.file else []),
    )


def _own_problems(registry: ProviderRegistry) -> list[Problem]:
    """Check the provider of the minimal service, where PROVIDER_TYPE or CONFIG_PATH choose one."""
    from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
    from faultmaven.infrastructure.llm.providers.factory import make_own_provider, read_own_config

    settings = registry.settings
    if not (settings.config_path or settings.source_of("PROVIDER_TYPE")):
        return []
    try:
        make_own_provider(registry.roster, read_own_config(settings))
    except ProviderNotConfiguredError:
        return []  # what is missing is `doctor`'s affair
    except ConfigurationError as error:
        return [Problem(settings.config_path or "settings", None, "", error.message)]
    return []


def _limit_problems(registry: ProviderRegistry) -> list[Problem]:
    """Check that whoever has limits exists."""
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.infrastructure.llm.errors import ConfigurationError

    settings = registry.settings
    if settings.file is None or "limits" not in settings.file.data:
        return []
    try:
        options = GatewayOptions.of(settings)
    except ConfigurationError as error:
        return [Problem(str(settings.file.path), None, "", error.message)]
    unknown = options.allowances.unknown(registry.get_all_provider_names(), options.keys.names)
    line = settings.file.line_of(("limits",))
    return [Problem(str(settings.file.path), line, *told.split(": ", 1)) for told in unknown]


def _row_problems(
    registry: ProviderRegistry, name: str, status: Mapping[str, Any]
) -> list[Problem]:
    from faultmaven.infrastructure.llm.errors import ConfigurationError

    if status["problem"]:
        return [Problem(status["source"], None, name, status["problem"])]
    try:
        registry.check_class(name)
    except ConfigurationError as error:
        said = error.message.removeprefix(f"{status['source']}: {name}: ")
        return [Problem(status["source"], None, name, said)]
    return []


def _choice_problems(registry: ProviderRegistry) -> list[Problem]:
    """Check that the providers chosen by settings exist."""
    from faultmaven.infrastructure.llm.errors import ConfigurationError
    from faultmaven.infrastructure.llm.providers.registry import ROLES

    problems: list[Problem] = []
    for role in ROLES:
        try:
            registry.get_fallback_chain(role)
        except ConfigurationError as error:
            problem = Problem("settings", None, "", error.message)
            if problem not in problems:
                problems.append(problem)
    return problems
