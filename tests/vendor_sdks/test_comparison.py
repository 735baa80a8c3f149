"""The comparison itself: what it must not overlook."""

import json

import pytest

from faultmaven.testing import RecordedRequest
from tests.vendor_sdks.comparison import ABSENT, ANYTHING, Meant, differences, unused


def request(body, method="POST", path="/chat", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RecordedRequest(
        1, method, path, path, {}, named, (), json.dumps(body).encode(), 1, 1, 0.0
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (request({"a": 1}), request({"a": 2})),
        (request({"a": 1}), request({})),
        (request({"a": []}), request({})),
        (request({"a": [1]}), request({"a": [1, 2]})),
        (request({}), request({}, path="/other")),
        (request({}), request({}, method="PUT")),
        (request({}, authorization="Bearer a"), request({})),
        (request({"arguments": '{"a": 1}'}), request({"arguments": '{"a": 2}'})),
    ],
)
def test_a_difference_is_told(one, other):
    assert len(differences("chat", one, other, [])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (request({"a": 1, "b": 2}), request({"b": 2, "a": 1})),
        (request({"arguments": '{"a":1}'}), request({"arguments": '{"a": 1}'})),
        (request({}, user_agent="a"), request({}, user_agent="b")),
        (request({"a": 1}), request({"a": 1.0})),
    ],
)
def test_what_means_the_same_is_the_same(one, other):
    assert differences("chat", one, other, []) == []


def test_a_difference_that_is_meant_is_not_told():
    ours, theirs = request({"a": 1}), request({"a": 2, "b": [{"c": 1}]})
    meant = [
        Meant("body.a", 1, 2, "because"),
        Meant("body.b.*.c", ABSENT, ANYTHING, "because"),
    ]

    assert differences("chat", ours, theirs, meant) == []
    assert differences("chat", ours, theirs, [Meant("body.*", 1, 3, "because")]) != []


def test_a_listed_difference_that_is_none_is_told():
    pairs = {"chat": (request({"a": 1}), request({"a": 2}))}
    stale = Meant("body.z", ABSENT, 1, "because")
    elsewhere = Meant("body.a", 1, 2, "because", cases=("image",))

    assert unused(pairs, [Meant("body.a", 1, 2, "because"), stale, elsewhere]) == [
        "body.z", "body.a",
    ]  # fmt: skip
