"""The fenced code blocks of the documentation: where they are, and what their first line says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "examples" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
LANGUAGES = frozenset({"bash", "env", "json", "python", "text", "yaml"})

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_NO_RUN = re.compile(r"no-run: (?P<reason>\S.{5,})")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: its file.
        line: of its fence.
        language: the first word of the fence.
        why_not: the reason why it is not run, "" where it is.
        code: what is in it.
    """

    page: Path
    line: int
    language: str
    why_not: str
    code: str

    @property
    def place(self) -> str:
        """Where it is: README.md:12."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Give a page's blocks in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].partition(" ")
        why_not = said["reason"] if (said := _NO_RUN.search(rest)) else ""
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language or "text", why_not, match["code"]))
    return found


def all_blocks(language: str) -> list[Block]:
    """Give the blocks of one language on all pages, those that are not run left out."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if block.language == language and not block.why_not
    ]
