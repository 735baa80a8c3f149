"""What workers show one another."""

from __future__ import annotations

from faultmaven.gateway.board import REGION_BYTES, Board


def test_each_sees_what_the_others_show():
    board = Board(3)
    board.write(0, b"zero")
    board.write(2, b"two")

    assert list(board.others(0)) == [b"two"]
    assert list(board.others(1)) == [b"zero", b"two"]


def test_what_is_said_is_heard_by_all():
    board = Board(1)
    assert board.heard() is None

    board.say(b"first")
    board.say(b"then")

    assert board.heard() == b"then"
    assert list(board.others(0)) == []


def test_nothing_is_shown_that_is_half_written():
    board = Board(2)

    assert list(board.others(0)) == []
    board.write(1, b"x" * REGION_BYTES)
    assert list(board.others(0)) == []
    board.write(1, b"whole")
    board._memory[REGION_BYTES + 8] = 0
    assert list(board.others(0)) == []
