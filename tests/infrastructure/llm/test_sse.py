"""Framing: any split of the same bytes gives the same events, and WHATWG's rules to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.sse import (
    NDJSONDecoder,
    ServerSentEvent,
    SSEDecoder,
    StreamDecodeError,
)
from tests.growth import MOST, Growth
from tests.splits import cut_places, split


def sse(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'data: {"a":1}\n\n', [("message", b'{"a":1}')], id="plain"),
        pytest.param(b"event: x\ndata: y\n\n", [("x", b"y")], id="named"),
        pytest.param(b"data: y\nevent: x\n\n", [("x", b"y")], id="name after data"),
        pytest.param(b"event:\ndata: y\n\n", [("message", b"y")], id="empty name"),
        pytest.param(
            b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", b"a"), ("message", b"b")], id="crlf"
        ),
        pytest.param(b"data: a\r\rdata: b\r\r", [("message", b"a"), ("message", b"b")], id="cr"),
        pytest.param(
            b"data: a\r\n\ndata: b\n\r\n", [("message", b"a"), ("message", b"b")], id="mixed"
        ),
        pytest.param(b"data: a\ndata: b\n\n", [("message", b"a\nb")], id="lines"),
        pytest.param(b"data:a\n\n", [("message", b"a")], id="no space"),
        pytest.param(b"data:  a\n\n", [("message", b" a")], id="only one space goes"),
        pytest.param(b"data\n\n", [("message", b"")], id="no colon"),
        pytest.param(b"data:\ndata\n\n", [("message", b"\n")], id="two empty lines"),
        pytest.param(b": hi\n\n:\n\ndata: a\n\n", [("message", b"a")], id="comments"),
        pytest.param(b"event: x\n\ndata: a\n\n", [("message", b"a")], id="name without data"),
        pytest.param(b"Data: x\nother: y\ndata: a\n\n", [("message", b"a")], id="unknown fields"),
        pytest.param(b"data: a\0b\n\n", [("message", b"a\0b")], id="NUL"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")], id="BOM"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", b"a")], id="late BOM"),
        pytest.param(
            b"data: \xff\xc3\n\n", [("message", "\ufffd\ufffd".encode())], id="not UTF-8"
        ),
        pytest.param("data: ü€😀\n\n".encode(), [("message", "ü€😀".encode())], id="UTF-8"),
        pytest.param(
            b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n",
            [("message", b"a"), ("message", b"b")],
            id="blank lines",
        ),
        pytest.param(b"data: a\n", [], id="unterminated"),
        pytest.param(b"id: 7\nretry: 250\ndata: a\n\n", [("message", b"a")], id="id and retry"),
    ],
)
def test_sse_follows_whatwg(body, expected):
    expected = [ServerSentEvent(*event) for event in expected]

    assert sse(body) == expected
    assert sse(*(body[i : i + 1] for i in range(len(body)))) == expected


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b"", None),
        (b"data: [DONE]", ServerSentEvent("message", b"[DONE]")),
        (b"data: [DONE]\n", ServerSentEvent("message", b"[DONE]")),
        (b"data: [DONE]\r", ServerSentEvent("message", b"[DONE]")),
        (b": bye\n", None),
        (b"data: \xc3", ServerSentEvent("message", "\ufffd".encode())),
    ],
)
def test_sse_gives_the_unterminated_event_apart(tail, expected):
    decoder = SSEDecoder()
    decoder.feed(b"data: a\n\n" + tail)

    assert decoder.finish() == expected


def test_sse_without_any_event_drops_the_bom_at_the_end():
    decoder = SSEDecoder()
    decoder.feed(b"\xef\xbb\xbfdata: a")

    assert decoder.finish() == ServerSentEvent("message", b"a")


sse_bodies = st.lists(
    st.sampled_from(
        [b"data: ", b"data:", b"event: x", b": c", b"id: 1", b"\n", b"\n", b"\n\n", b"\r\n", b"\r",
         b"\xef\xbb\xbf", "ü😀".encode(), b"\xff", b"\xe2\x82", b'{"a":1}', b"\0"]
    ),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(body=sse_bodies, cuts=cut_places)
def test_sse_any_split_gives_the_same_events(body, cuts):
    whole, parts = SSEDecoder(), SSEDecoder()

    expected = whole.feed(body)

    assert [event for piece in split(body, cuts) for event in parts.feed(piece)] == expected
    assert parts.finish() == whole.finish()


@given(body=st.binary(max_size=300), cuts=cut_places)
def test_sse_takes_any_bytes_and_gives_utf8(body, cuts):
    for event in sse(*split(body, cuts)):
        event.data.decode()


@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
def test_sse_refuses_an_event_beyond_the_limit_after_those_before_it(step):
    body = b"data: a\n\ndata: " + b"x" * 200 + b"\n\ndata: b\n\n"
    decoder = SSEDecoder(limit_bytes=100)
    events = []

    def decode() -> None:
        for i in range(0, len(body), step):
            events.extend(decoder.feed(body[i : i + step]))
        decoder.finish()

    with pytest.raises(StreamDecodeError) as caught:
        decode()

    assert caught.value.code == "event_too_large"
    assert events == [ServerSentEvent("message", b"a")]


def test_sse_is_linear_in_small_pieces():
    growth = Growth()
    for times in growth.rounds():
        decoder = SSEDecoder()
        with growth.of(times):
            for _ in range(8000 * times):
                decoder.feed(b"0123456789abcdef")

    assert growth.factor < MOST


@given(
    body=st.lists(st.sampled_from([b'{"a":1}', b"\n", b"\r\n", b" ", "ü".encode(), b"\xff"])).map(
        b"".join
    ),
    cuts=cut_places,
)
def test_ndjson_any_split_gives_the_same_lines(body, cuts):
    whole, parts = NDJSONDecoder(), NDJSONDecoder()

    expected = whole.feed(body)

    assert [line for piece in split(body, cuts) for line in parts.feed(piece)] == expected
    assert parts.finish() == whole.finish()


def test_ndjson_splits_lines():
    decoder = NDJSONDecoder()

    assert decoder.feed(b'\xef\xbb\xbf{"a":1}\r\n\n{"b"') == [b'{"a":1}']
    assert decoder.feed(b":2}\n{}") == [b'{"b":2}']
    assert decoder.finish() == b"{}"
    assert decoder.finish() is None


def test_ndjson_refuses_a_line_beyond_the_limit():
    decoder = NDJSONDecoder(limit_bytes=10)

    assert decoder.feed(b"{}\n" + b"x" * 11 + b"\n") == [b"{}"]
    with pytest.raises(StreamDecodeError):
        decoder.finish()
