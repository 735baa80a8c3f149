"""A growing JSON array, cut into its objects in any pieces."""

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.sse import StreamDecodeError
from faultmaven.infrastructure.llm.wire.json_array import JSONArrayDecoder
from tests.splits import cut_places, split

objects = st.lists(
    st.dictionaries(st.text(), st.recursive(st.text() | st.none(), st.lists), max_size=3),
    max_size=4,
)


@given(values=objects, cuts=cut_places, indent=st.sampled_from([None, 2]))
def test_objects_come_out_in_any_pieces(values, cuts, indent):
    data = json.dumps(values, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    decoder = JSONArrayDecoder()

    found = [piece for part in split(data, cuts) for piece in decoder.feed(part)]

    assert [json.loads(piece) for piece in found] == values


def test_object_is_given_as_soon_as_it_is_whole():
    decoder = JSONArrayDecoder()

    assert decoder.feed(b'[{"a": "}') == []
    assert decoder.feed(b'"}') == [b'{"a": "}"}']
    assert decoder.feed(b", ") == []


def test_object_beyond_the_limit_is_an_error():
    decoder = JSONArrayDecoder(limit_bytes=8)

    assert decoder.feed(b'[{"a":1},') == [b'{"a":1}']
    with pytest.raises(StreamDecodeError, match="8 bytes"):
        decoder.feed(b'{"a":"12345678')


@given(cuts=cut_places)
def test_object_beyond_the_limit_is_an_error_in_any_pieces(cuts):
    data = b'[{"a":1},{"a":"12345678"},{"a":2}]'
    decoder = JSONArrayDecoder()
    decoder.limit_bytes = 8
    found = []

    def read():
        for part in split(data, cuts):
            found.extend(decoder.feed(part))
        decoder.finish()

    with pytest.raises(StreamDecodeError, match="8 bytes"):
        read()
    assert found == [b'{"a":1}']
