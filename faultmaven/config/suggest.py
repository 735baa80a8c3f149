"""Near misses: which of the known words was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def near_words(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Give up to `count` known words that look like `word`, the nearest first.

    Case and the choice between `-`, `_` and `.` do not count as differences.
    """
    from difflib import get_close_matches

    by_shape: dict[str, str] = {}
    for candidate in known:
        by_shape.setdefault(shape(candidate), candidate)
    near = get_close_matches(shape(word), by_shape, n=count, cutoff=0.6)
    return [by_shape[name] for name in near]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the sentence "Did you mean …?", or "" where nothing is near."""
    near = near_words(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def shape(word: str) -> str:
    """Reduce a name to what people remember of it: lower case, no separators."""
    return word.lower().replace("-", "").replace("_", "").replace(".", "").replace(" ", "")
