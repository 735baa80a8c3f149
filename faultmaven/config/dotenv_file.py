"""`.env`: found near the working directory, read strictly, never put into the process's environment."""

from __future__ import annotations

import io
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from faultmaven.config.errors import ConfigFileError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 1_000_000
PROJECT_MARKS: Final = (".git", "pyproject.toml")
SECRET_ENDINGS: Final = ("KEY", "KEYS", "TOKEN", "SECRET", "PASSWORD", "PASSPHRASE")

logger = logging.getLogger("faultmaven.config")


@dataclass(frozen=True, slots=True)
class DotenvFile:
    """The variables of a `.env` and the line of each; a later line of the same name wins."""

    path: Path
    values: dict[str, str] = field(repr=False)
    lines: dict[str, int]


def is_secret_name(name: str) -> bool:
    """Tell whether a variable's name says that its value must not be shown."""
    return name.upper().endswith(SECRET_ENDINGS)


def find_upward(name: str, start: Path) -> Path | None:
    """Find the nearest file of this name from a folder upward, inside its project.

    The project ends with the first folder that holds `.git` or `pyproject.toml`; where no folder
    does, only `start` itself is looked at.
    """
    folders = [start, *start.parents]
    marked = (
        i for i, f in enumerate(folders) if any((f / mark).exists() for mark in PROJECT_MARKS)
    )
    last = next(marked, 0)
    return next((path for f in folders[: last + 1] if (path := f / name).is_file()), None)


def read_text(path: Path, label: str) -> str:
    """Read a small configuration file as UTF-8, with or without a byte-order mark.

    Raises:
        ConfigFileError: it is missing, unreadable, too long, not UTF-8, or holds a NUL.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigFileError(
            label,
            problem=f"cannot be read ({exc.strerror})",
            remedy="Check the path and its mode.",
        ) from exc
    if len(data) > MAX_FILE_BYTES:
        raise ConfigFileError(label, problem=f"is larger than {MAX_FILE_BYTES} bytes")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise ConfigFileError(
            label, line, problem="holds a NUL byte", remedy="Save it as UTF-8 text."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise ConfigFileError(
            label, line, problem="is not UTF-8", remedy="Save it as UTF-8."
        ) from None


def load_dotenv_file(path: Path) -> DotenvFile:
    """Read a `.env`: `NAME=value`, quotes, `export`, comments, CRLF and a byte-order mark.

    Raises:
        ConfigFileError: a line cannot be understood; names the line and not its text.
    """
    from dotenv.parser import parse_stream

    label = str(path)
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in parse_stream(io.StringIO(read_text(path, label), newline=None)):
        text = binding.original.string
        line = binding.original.line + len(text) - len(text.lstrip("\r\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigFileError(
                label, line, problem="is not NAME=value",
                remedy="Close quotes, and quote values that hold spaces, # or quotes.",
            )  # fmt: skip
        if binding.key is not None:
            values[binding.key] = binding.value or ""
            lines[binding.key] = line
    _warn_if_readable(path, values)
    return DotenvFile(path, values, lines)


def _warn_if_readable(path: Path, values: dict[str, str]) -> None:
    if os.name != "posix" or not any(values[name] and is_secret_name(name) for name in values):
        return
    if path.stat().st_mode & 0o077:
        logger.warning("%s holds keys and others can read it: chmod 600 %s", path, path)
