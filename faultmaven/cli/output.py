"""What commands print: tables on a terminal, plain lines in a pipe, JSON on request.

Nothing printed here can steer a terminal, and nothing but a model's own words may hold a secret.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

# Everything that could steer a terminal is shown, not obeyed: C0, C1, line separators, bidi controls.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Show control characters (but line feed and tab) as escapes, so that they cannot act."""
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def counted(count: int, noun: str) -> str:
    """Say how many there are of something whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def is_terminal() -> bool:
    """Tell whether a person watches the standard output."""
    return sys.stdout.isatty()


def make_streams_lenient() -> None:
    """Let text that the locale cannot write or read become escapes instead of an exception."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str = "", *, end: str = "\n", dim: bool = False) -> None:
    """Print text at once, made harmless; `dim` is for what is beside the answer."""
    shown = printable(text)
    sys.stdout.write(click.style(shown, dim=True) if dim and shown else shown)
    sys.stdout.write(end)
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """Print one JSON document, secrets removed from its texts."""
    write_answer_json(_without_secrets(value))


def write_answer_json(value: Any) -> None:
    """Print an answer as one JSON document; what could steer a terminal is escaped, as JSON does."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    sys.stdout.write(f"{escaped}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell a person something that is no part of the output."""
    from faultmaven.infrastructure.llm.secret import redact

    sys.stderr.write(printable(redact(text)) + "\n")
    sys.stderr.flush()


def say_error(text: str) -> None:
    """Tell a person what went wrong."""
    say(f"faultmaven: {text}")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; in a pipe, tab-separated lines without a head."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not is_terminal():
        sys.stdout.writelines("\t".join(row) + "\n" for row in cells)
        sys.stdout.flush()
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(Text(name, style="bold"), overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    make_console().print(table)


def make_console() -> Console:
    """Give rich's console for the standard output; NO_COLOR is honoured by it."""
    from rich.console import Console

    return Console(highlight=False)


class LogHandler(logging.Handler):
    """Writes log records to whatever is the standard error now, made harmless; a warning once."""

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[str] = set()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = printable(self.format(record))
            if record.levelno >= logging.WARNING:
                if line in self._warned:
                    return
                self._warned.add(line)
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a log record must never end a command
            self.handleError(record)


def _cell(value: object) -> str:
    from faultmaven.infrastructure.llm.secret import redact

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(redact(str(value)).replace("\t", " ").replace("\n", " "))


def _without_secrets(value: Any) -> Any:
    from faultmaven.infrastructure.llm.secret import redact

    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {str(key): _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value
