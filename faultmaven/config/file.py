"""`faultmaven.yaml` and `providers.d/*.yaml`: read safely, expanded, checked, every fault with its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faultmaven.config.dotenv_file import is_secret_name, read_text
from faultmaven.config.errors import ConfigFileError, Problem
from faultmaven.config.schemas import CONFIG_FILE, PROVIDER, accepts, faults
from faultmaven.config.spellings import take_limits, take_retention, to_row
from faultmaven.config.yaml_tree import Steps, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lookup = Callable[[str], str | None]

PROVIDERS_FOLDER = "providers.d"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file, checked.

    Attributes:
        path: where it is.
        data: the whole document, variables expanded, rows in our spelling.
        lines: the line of each path in the document.
        row_files: for each provider, the file that its row is in and the row's line there.
        secrets: the values of variables whose names say that they are secret.
    """

    path: Path
    data: dict[str, Any] = field(repr=False)
    lines: dict[Steps, int] = field(repr=False)
    row_files: dict[str, tuple[Path, int]] = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def section(self, name: str) -> Mapping[str, Any]:
        """Give a top-level section that is a mapping, empty where the file has none."""
        found = self.data.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def rows(self) -> Mapping[str, dict[str, Any]]:
        """The providers' rows, those of `providers.d` included."""
        return self.section("providers")

    def line_of(self, path: Steps) -> int | None:
        """Give the line of a path in the main file."""
        return self.lines.get(path)


class _Collector:
    """Expands variables while a document is read, and remembers which were secret."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.secrets: set[str] = set()

    def __call__(self, name: str) -> str | None:
        value = self._lookup(name)
        if value and is_secret_name(name):
            self.secrets.add(value)
        return value


def load_config_file(path: Path, lookup: Lookup) -> ConfigFile:
    """Read a configuration file and the `providers.d` beside it.

    Args:
        path: the YAML file.
        lookup: gives a variable's value, None where it is not set.

    Raises:
        ConfigFileError: something is wrong; lists every fault with file, line and path.
    """
    collector = _Collector(lookup)
    label = str(path)
    data, lines = parse_yaml(read_text(path, label), label, collector)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigFileError(
            label, 1, problem="must be a mapping of sections", remedy="See the schema."
        )
    take_limits(data, lines)
    take_retention(data)
    rows = data.get("providers")
    row_files = {}
    if isinstance(rows, dict):
        data["providers"] = {name: to_row(row) for name, row in rows.items()}
        row_files = {name: (path, lines.get(("providers", name), 1)) for name in rows}
    problems = _problems(CONFIG_FILE, data, label, lines)
    problems += _add_folder(path.parent / PROVIDERS_FOLDER, data, row_files, collector)
    if problems:
        raise ConfigFileError.of(problems)
    return ConfigFile(path, data, lines, row_files, frozenset(collector.secrets))


def _add_folder(
    folder: Path, data: dict[str, Any], row_files: dict[str, tuple[Path, int]], lookup: Lookup
) -> list[Problem]:
    problems: list[Problem] = []
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if folder.is_dir() else []
    for path in found:
        try:
            rows, lines = _read_rows(path, lookup)
        except ConfigFileError as exc:
            problems += exc.problems
            continue
        for name, (row, start) in rows.items():
            if name in row_files:
                first, line = row_files[name]
                problems.append(
                    Problem(
                        str(path),
                        lines.get(start, 1),
                        name,
                        f"already described in {first}:{line}",
                    )
                )
                continue
            row_files[name] = (path, lines.get(start, 1))
            problems += _problems(PROVIDER, row, str(path), lines, start)
            data.setdefault("providers", {})[name] = row
    return problems


def _read_rows(
    path: Path, lookup: Lookup
) -> tuple[dict[str, tuple[Any, Steps]], dict[Steps, int]]:
    """Read a file of `providers.d`: `providers: {name: row}`, or one row named by `name` or the file."""
    label = str(path)
    data, lines = parse_yaml(read_text(path, label), label, lookup)
    if not isinstance(data, dict):
        raise ConfigFileError(
            label, 1, problem="must be a provider's row, or `providers:` with rows"
        )
    if isinstance(rows := data.get("providers"), dict):
        return {name: (to_row(row), ("providers", name)) for name, row in rows.items()}, lines
    name = data.pop("name", path.stem)
    return {str(name): (to_row(data), ())}, lines


def _problems(
    schema: str, document: object, label: str, lines: dict[Steps, int], start: Steps = ()
) -> list[Problem]:
    if accepts(schema)(document):
        return []
    return [
        Problem(label, _line(lines, (*start, *fault.path)), _dotted((*start, *fault.path)),
                fault.problem, fault.remedy)
        for fault in faults(schema, document)
    ]  # fmt: skip


def _line(lines: dict[Steps, int], path: Steps) -> int | None:
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path)


def _dotted(path: Steps) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
