"""Binary frames: any split of the same bytes gives the same, and both checksums count."""

from __future__ import annotations

import struct
from contextlib import suppress
from zlib import crc32

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.event_stream import EventStreamDecoder
from faultmaven.infrastructure.llm.sse import StreamDecodeError
from faultmaven.testing.dialects.bedrock import event_stream_frame
from tests.splits import cut_places, split

HEADERS = {":event-type": "chunk", "ü": "€"}


@given(payloads=st.lists(st.binary(max_size=50), max_size=5), cuts=cut_places)
def test_any_split_gives_the_same_frames(payloads, cuts):
    body = b"".join(event_stream_frame(HEADERS, payload) for payload in payloads)
    decoder = EventStreamDecoder()

    frames = [frame for piece in split(body, cuts) for frame in decoder.feed(piece)]
    decoder.finish()

    assert frames == [(HEADERS, payload) for payload in payloads]


def test_every_kind_of_header_is_read():
    values = (
        b"\x01a\x00" + b"\x01b\x01" + b"\x01c\x02\xff" + b"\x01d\x03\x01\x00"
        + b"\x01e\x04\x00\x00\x00\x07" + b"\x01f\x08" + struct.pack("!q", 1_700_000_000_000)
        + b"\x01g\x09" + bytes(range(16)) + b"\x01h\x06\x00\x02\x00\x01" + b"\x01i\x05" + b"\xff" * 8
    )  # fmt: skip
    prelude = struct.pack("!II", len(values) + 16, len(values))
    frame = prelude + struct.pack("!I", crc32(prelude)) + values
    frame += struct.pack("!I", crc32(frame))

    (decoded,) = EventStreamDecoder().feed(frame)

    assert decoded.headers == {
        "a": True, "b": False, "c": -1, "d": 256, "e": 7, "f": 1_700_000_000_000,
        "g": "00010203-0405-0607-0809-0a0b0c0d0e0f", "h": b"\0\1", "i": -1,
    }  # fmt: skip


def _with_checksum(frame: bytes) -> bytes:
    return frame[:-4] + struct.pack("!I", crc32(frame[:-4]))


GOOD = event_stream_frame({"a": "b"}, b"{}")
SHORT = struct.pack("!II", 15, 0) + struct.pack("!I", crc32(struct.pack("!II", 15, 0)))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(bytes([GOOD[0] ^ 1]) + GOOD[1:], "bad_checksum", id="prelude"),
        pytest.param(GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "bad_checksum", id="message"),
        pytest.param(
            _with_checksum(GOOD[:12] + b"\xff" + GOOD[13:]), "bad_frame", id="name's length"
        ),
        pytest.param(_with_checksum(GOOD[:14] + b"\x63" + GOOD[15:]), "bad_frame", id="kind"),
        pytest.param(SHORT, "bad_frame", id="too short"),
        pytest.param(event_stream_frame({}, b"x" * 2000), "event_too_large", id="too large"),
    ],
)
def test_what_is_broken_is_refused(frame, code):
    decoder = EventStreamDecoder(limit_bytes=1000)

    assert len(decoder.feed(GOOD + frame)) == 1
    for call in (decoder.finish, lambda: decoder.feed(b"")):
        with pytest.raises(StreamDecodeError) as caught:
            call()
        assert caught.value.code == code


def test_a_stream_that_ends_inside_a_frame_is_truncated():
    decoder = EventStreamDecoder()
    decoder.feed(GOOD[:-1])

    with pytest.raises(StreamDecodeError, match="bytes into a frame"):
        decoder.finish()


@given(st.binary(max_size=200))
def test_any_bytes_may_come(data):
    with suppress(StreamDecodeError):
        EventStreamDecoder().feed(data)
