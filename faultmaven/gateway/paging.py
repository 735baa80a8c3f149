"""Pages of a list of names, as Anthropic's and Google's APIs ask for them.

Whoever says nothing of pages gets everything in one: most clients that list models read one page only.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

from faultmaven.gateway.faults import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PAGE: Final = 1000
# Longer ones are no sizes, and cost time to read.
_MAX_DIGITS: Final = 9


class Page(NamedTuple):
    """A part of a list.

    Attributes:
        names: what is on it.
        has_more: whether more follows in the direction that was asked for.
    """

    names: Sequence[str]
    has_more: bool


def page_by_id(names: Sequence[str], query: Mapping[str, str]) -> Page:
    """Cut the page that Anthropic's `limit`, `after_id` and `before_id` ask for.

    Raises:
        Fault: one of them cannot be used.
    """
    limit = _count(query, "limit")
    if limit is not None and not 1 <= limit <= MAX_PAGE:
        message = f"limit must be an integer of 1 to {MAX_PAGE}."
        raise invalid(message, "limit")
    limit = limit or len(names)
    after, before = query.get("after_id"), query.get("before_id")
    if before and after:
        message = "before_id and after_id cannot both be given."
        raise invalid(message, "before_id")
    if before:
        end = _place(names, before, "before_id")
        start = max(0, end - limit)
        return Page(names[start:end], start > 0)
    start = _place(names, after, "after_id") + 1 if after else 0
    return Page(names[start : start + limit], start + limit < len(names))


def page_by_token(names: Sequence[str], query: Mapping[str, str]) -> tuple[Sequence[str], str]:
    """Cut the page that Google's `pageSize` and `pageToken` ask for; with the next one's token or "".

    As Google does, a size above 1000 is taken as 1000, and 0 as if none were given.

    Raises:
        Fault: one of them cannot be used.
    """
    size = _count(query, "pageSize" if "pageSize" in query else "page_size")
    token = query.get("pageToken") or query.get("page_token")
    start = _place(names, _named_by(token), "pageToken") + 1 if token else 0
    end = start + (min(size, MAX_PAGE) if size else len(names))
    page = names[start:end]
    return page, _token(page[-1]) if end < len(names) else ""


def _count(query: Mapping[str, str], field: str) -> int | None:
    text = query.get(field)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        message = f"{field} must be an integer of 1 to {MAX_PAGE}."
        raise invalid(message, field)
    return int(text)


def _place(names: Sequence[str], name: str, field: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        message = f"{field} names nothing that is listed; list from the beginning."
        raise invalid(message, field) from None


def _token(name: str) -> str:
    """Say a name so that it may stand in an address as it is."""
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _named_by(token: str) -> str:
    """Give the name in a token; "", which nothing is called, for what is none."""
    try:
        return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
