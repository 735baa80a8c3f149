"""Bodies told by their first bytes."""

from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.wire.body_kind import holds_events, holds_json

BODIES = {
    b"": (False, False),
    b"\xef\xbb\xbf": (False, False),
    b"{": (True, False),
    b' \r\n[{"a": 1}]': (True, False),
    b'\xef\xbb\xbf{"a": 1}': (True, False),
    b"d": (False, True),
    b"data: {}": (False, True),
    b"\n\nevent: x": (False, True),
    b": waiting": (False, True),
    b"\xef\xbb\xbfdata:1": (False, True),
    b"date": (False, False),
    b"<html>": (False, False),
    b'"data:"': (False, False),
}


@pytest.mark.parametrize(("body", "kinds"), BODIES.items())
def test_a_body_is_known_by_how_it_begins(body, kinds):
    assert (holds_json(body), holds_events(body)) == kinds
