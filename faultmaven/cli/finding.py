"""What `doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        level: ok; note, worth knowing; problem, to be mended.
        subject: what was looked at, a word or two.
        said: what was found.
        fix: what to do, "" where nothing is.
    """

    level: Level
    subject: str
    said: str
    fix: str = ""
