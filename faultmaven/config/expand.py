"""`${VAR}` and `${VAR:-default}` in text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)(:-([^}]*))?\}")


class MissingVariableError(KeyError):
    """A variable without a default is not set; `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace each reference by the variable's value, or by its default where it is not set.

    Raises:
        MissingVariableError: a variable is not set and its reference gives no default.
    """
    if "${" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        found = lookup(match[1])
        if found:
            return found
        if match[2] is None:
            raise MissingVariableError(match[1])
        return match[3]

    return REFERENCE.sub(value, text)


def references(text: str) -> list[tuple[str, bool]]:
    """Give the variables that a text refers to, and whether each has a default."""
    return [(match[1], match[2] is not None) for match in REFERENCE.finditer(text)]
