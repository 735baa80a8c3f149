"""Bytes in the pieces that they may arrive in."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable

cut_places = st.lists(st.integers(min_value=0, max_value=10**6), max_size=12)


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut bytes at places that are taken modulo their length; a piece may be empty."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(places)]
