"""`faultmaven env`: writes `.env.example`, and checks `.env`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_OK, EXIT_USAGE
from faultmaven.cli.group import SuggestingGroup
from faultmaven.cli.output import say, write, write_json
from faultmaven.config.errors import ConfigFileError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.config.dotenv_file import DotenvFile
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_NEAR = 0.85  # so like a known name that it is taken for a slip of the finger
_STDOUT = Path("-")


@click.group(cls=SuggestingGroup)
def env() -> None:
    """Write .env.example, or check .env."""


@env.command("write")
@click.argument("path", default=".env.example", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-p", "--provider", "names", multiple=True, shell_complete=provider_names,
    help="Only this provider's variables; may be given several times.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def write_env(path: Path, names: tuple[str, ...], force: bool) -> int:
    """Write every setting and every provider's variables, commented out, to PATH (- prints them)."""
    from faultmaven.cli.env_example import env_example
    from faultmaven.cli.start import start_registry

    registry = start_registry()
    chosen = [registry.resolve_name(n) for n in names] or registry.get_all_provider_names()
    text = env_example(_complete_rows(registry, chosen))
    if path == _STDOUT:
        write(text, end="")
        return EXIT_OK
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        msg = f"{path} exists; --force replaces it"
        raise click.UsageError(msg) from None
    except OSError as exc:
        msg = f"{path} cannot be written: {exc.strerror}"
        raise click.UsageError(msg) from exc
    say(f"{path} written")
    return EXIT_OK


@env.command("check")
@click.argument(
    "path", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_env(path: Path | None, as_json: bool) -> int:
    """Check PATH (the .env in force): its lines, its values, and names that nobody reads.

    Ends with 2 if there is a fault.
    """
    from faultmaven.cli.files import find_dotenv

    found = path or find_dotenv()
    if found is None:
        msg = "There is no .env here: `faultmaven env write` writes .env.example to copy from"
        raise click.UsageError(msg)
    problems = env_problems(found)
    if as_json:
        write_json(
            {"ok": not problems, "file": str(found), "problems": list(map(asdict, problems))}
        )
    for problem in () if as_json else problems:
        write(str(problem))
    if not problems:
        say(f"sound: {found}")
    return EXIT_USAGE if problems else EXIT_OK


def env_problems(path: Path) -> list[Problem]:
    """Say what is wrong in a file of variables; empty for nothing."""
    from faultmaven.config.dotenv_file import load_dotenv_file
    from faultmaven.config.settings import load_settings
    from faultmaven.infrastructure.llm.errors import ConfigurationError
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

    try:
        loaded = load_dotenv_file(path)
        registry = ProviderRegistry(load_settings(FAULTMAVEN_ENV_FILE=str(path)))
    except ConfigFileError as exc:
        return list(exc.problems)
    problems = misspelt_names(loaded, known_variables(registry))
    try:
        registry.get_fallback_chain()
    except ConfigurationError as error:
        problems.append(Problem(str(path), None, "", error.message))
    return problems


def misspelt_names(loaded: DotenvFile, known: Iterable[str]) -> list[Problem]:
    """Find variables that nobody reads and that look like one that somebody does."""
    from difflib import get_close_matches

    names = set(known)
    names |= {f"{name}_FILE" for name in names}
    problems: list[Problem] = []
    for name, line in loaded.lines.items():
        near = [] if name in names else get_close_matches(name, names, n=1, cutoff=_NEAR)
        if near:
            problems.append(
                Problem(
                    str(loaded.path), line, name, "is read by nobody", f"Did you mean {near[0]}?"
                )
            )
    return problems


def known_variables(registry: ProviderRegistry) -> set[str]:
    """Give every variable that a setting or a row reads."""
    from faultmaven.cli.variables import variables_of
    from faultmaven.config.fields import FIELDS

    rows = _complete_rows(registry, registry.get_all_provider_names())
    settings = registry.settings
    own = {variable.name for row in rows.values() for variable in variables_of(row, settings)}
    own |= {
        f"{name.removesuffix('_MODEL')}_DEFAULT_MODEL" for name in own if name.endswith("_MODEL")
    }
    return own | {field.name for field in FIELDS}


def _complete_rows(registry: ProviderRegistry, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    from faultmaven.infrastructure.llm.errors import ConfigurationError

    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            rows[name] = registry.get_row(name)
        except ConfigurationError as error:
            say(f"left out: {error.message}")
    return rows
