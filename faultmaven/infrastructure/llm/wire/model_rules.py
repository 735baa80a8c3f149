"""What a row says of some models only."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_rule(row: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """Give the first of a row's `model_rules` that matches a model; None for no such rule."""
    for rule in row.get("model_rules") or ():
        if _compiled(rule["match"]).search(model):
            found: Mapping[str, Any] = rule
            return found
    return None


@lru_cache(maxsize=512)
def _compiled(match: str) -> re.Pattern[str]:
    """Compile `/a regular expression/`, or a pattern with * and ? that covers the whole name."""
    if len(match) > 1 and match.startswith("/") and match.endswith("/"):
        return re.compile(match[1:-1])
    return re.compile(r"\A" + translate(match))
