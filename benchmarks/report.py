"""Figures of interleaved rounds, and the table that is made of them."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(slots=True)
class Section:
    """One quantity of several subjects, one of which is the floor.

    Attributes:
        title: what is measured.
        unit: of every figure.
        floor: the subject that ratios refer to.
        figures: for each subject one figure a round.
    """

    title: str
    unit: str
    floor: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, subject: str, figure: float) -> None:
        """Take a round's figure."""
        self.figures.setdefault(subject, []).append(figure)

    def ratios(self, subject: str) -> list[float]:
        """Give a subject's ratio to the floor within each round; 0 where the floor is 0."""
        pairs = zip(self.figures[subject], self.figures[self.floor], strict=True)
        return [figure / floor if floor else 0.0 for figure, floor in pairs]

    def lines(self) -> Iterable[str]:
        """Give the table's lines."""
        yield f"\n{self.title} ({self.unit})"
        yield f"  {'':34} {'median':>10}   {'ratio':>6}  least to most"
        for subject, figures in self.figures.items():
            ratios = self.ratios(subject)
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            yield f"  {subject:34} {median(figures):>10.1f}   {median(ratios):>6.2f}  {spread}"


@dataclass(slots=True)
class Report:
    """Sections, and the machine that they were measured on."""

    sections: list[Section] = field(default_factory=list)

    def text(self) -> str:
        """Give all tables."""
        head = ", ".join(f"{key} {value}" for key, value in _machine().items())
        lines = [line for section in self.sections for line in section.lines()]
        return "\n".join([head, *lines, ""])

    def save(self, path: str) -> None:
        """Write every figure of every round as JSON."""
        sections = [
            {
                "title": s.title,
                "unit": s.unit,
                "floor": s.floor,
                "subjects": {
                    name: {
                        "median": median(figures),
                        "ratio": median(s.ratios(name)),
                        "rounds": figures,
                        "ratios": s.ratios(name),
                    }
                    for name, figures in s.figures.items()
                },
            }
            for s in self.sections
        ]
        data = {"machine": _machine(), "sections": sections}
        Path(path).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def measure(section: Section, subjects: Mapping[str, Callable[[], float]], rounds: int) -> Section:
    """Measure each subject once a round, beginning with another one each time (A B C, B C A, …)."""
    names = list(subjects)
    for number in range(rounds):
        turn = number % len(names)
        found = {name: subjects[name]() for name in [*names[turn:], *names[:turn]]}
        for name in names:
            section.add(name, found[name])
        sys.stderr.write(f"{section.title}: round {number + 1} of {rounds}\n")
    return section


def _machine() -> dict[str, Any]:
    return {"Python": platform.python_version(), "on": platform.machine(), "cores": os.cpu_count()}
