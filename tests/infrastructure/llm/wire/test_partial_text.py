"""What is kept of a stream's text."""

from __future__ import annotations

from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.wire.partial_text import MOST_BYTES, PartialText

PIECES = st.lists(st.text(st.characters(exclude_categories=[])))


@given(PIECES)
def test_what_has_come_is_kept_as_it_came(pieces):
    partial = PartialText()
    for piece in pieces:
        partial.add(piece)

    assert str(partial) == "".join(pieces)


def test_of_a_long_text_the_beginning_is_kept():
    partial = PartialText()
    for _ in range(100):
        partial.add("ä" * 4096)

    assert MOST_BYTES <= len(str(partial).encode()) < MOST_BYTES + 8192
    assert set(str(partial)) == {"ä"}


def test_nothing_is_kept_where_nobody_wants_it():
    partial = PartialText(0)
    partial.add("Hello")

    assert not str(partial)
