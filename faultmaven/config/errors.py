"""What is wrong with a configuration file or a variable, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a configuration.

    Attributes:
        file: the file's path, or the name of the variable's source.
        line: from 1; None where there is no line.
        path: where in the document, `providers.groq.timeout`; "" for the whole of it.
        problem: what is wrong; never a secret's value.
        remedy: what to do, a sentence; "" where the problem says it.
    """

    file: str
    line: int | None
    path: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [part for part in (place, self.path, self.problem) if part]
        said = ": ".join(parts)
        return f"{said.rstrip('.')}. {self.remedy}" if self.remedy else said


class ConfigFileError(ValueError):
    """A configuration cannot be used; the message has one line for each problem.

    Attributes:
        problems: all that was found, in the order of their lines.
    """

    def __init__(
        self,
        file: str,
        line: int | None = None,
        path: str = "",
        problem: str = "",
        remedy: str = "",
    ) -> None:
        self.problems: tuple[Problem, ...] = (Problem(file, line, path, problem, remedy),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> ConfigFileError:
        """Build one error of several problems, at least one."""
        ordered = tuple(sorted(problems, key=lambda p: (p.file, p.line or 0)))
        first = ordered[0]
        error = cls(first.file, first.line, first.path, first.problem, first.remedy)
        error.problems = ordered
        error.args = ("\n".join(map(str, ordered)),)
        return error

    @property
    def file(self) -> str:
        """The file of the first problem."""
        return self.problems[0].file

    @property
    def line(self) -> int | None:
        """The line of the first problem."""
        return self.problems[0].line

    @property
    def path(self) -> str:
        """Where in its document the first problem is."""
        return self.problems[0].path
