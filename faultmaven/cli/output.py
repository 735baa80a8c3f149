"""What commands print: tables on a terminal, plain lines in a pipe, JSON on request."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

# Model output is printed to a terminal: everything that could steer it is shown, not obeyed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Show control characters (but line feed and tab) as escapes, so that they cannot act."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def is_terminal() -> bool:
    """Tell whether a person watches the standard output."""
    return sys.stdout.isatty()


def write(text: str = "", *, end: str = "\n") -> None:
    """Print model or program text as it is, made harmless."""
    sys.stdout.write(printable(text) + end)
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def say(text: str) -> None:
    """Tell a person something that is no part of the output."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def say_error(text: str) -> None:
    """Tell a person what went wrong."""
    say(f"faultmaven: {text}")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; in a pipe, tab-separated lines without a head."""
    cells = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not is_terminal():
        for row in cells:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title or None, header_style="bold", box=None, pad_edge=False)
    for row in cells:
        table.add_row(*map(Text, row))
    make_console().print(table)


def make_console() -> Console:
    """Give rich's console for the standard output; NO_COLOR is honoured by it."""
    from rich.console import Console

    return Console(highlight=False)
