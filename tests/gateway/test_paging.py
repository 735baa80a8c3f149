from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faultmaven.gateway.faults import Fault
from faultmaven.gateway.paging import page_by_id, page_by_token

NAMES = [f"acme/{letter}:+ü" for letter in "abcdefg"]
# Longer than any list here, so that paging that does not end fails instead of hanging.
MAX_PAGES = 50
lists = st.lists(st.text(min_size=1), unique=True, max_size=20)
sizes = st.integers(1, 25)


@given(lists, sizes)
def test_following_the_last_id_sees_every_name_once_in_order(names, limit):
    seen, query = [], {"limit": str(limit)}
    for _ in range(MAX_PAGES):
        page = page_by_id(names, query)
        assert len(page.names) <= limit
        seen += page.names
        if not page.has_more:
            break
        query["after_id"] = page.names[-1]

    assert seen == names


@given(lists.filter(bool), sizes)
def test_following_the_first_id_back_sees_every_name_before_it(names, limit):
    seen, query = names[-1:], {"limit": str(limit), "before_id": names[-1]}
    for _ in range(MAX_PAGES):
        page = page_by_id(names, query)
        assert len(page.names) <= limit
        seen = page.names + seen
        if not page.has_more:
            break
        query["before_id"] = page.names[0]

    assert seen == names


@given(lists, sizes)
def test_following_the_token_sees_every_name_once_in_order(names, size):
    seen, query = [], {"pageSize": str(size)}
    for _ in range(MAX_PAGES):
        page, token = page_by_token(names, query)
        assert len(page) <= size
        seen += page
        if not token:
            break
        assert token.replace("-", "").replace("_", "").isalnum()
        query["pageToken"] = token

    assert seen == names


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        pytest.param({}, NAMES, False, id="everything"),
        pytest.param({"limit": ""}, NAMES, False, id="an empty limit is none"),
        pytest.param({"limit": "7"}, NAMES, False, id="as many as there are"),
        pytest.param({"limit": "1000"}, NAMES, False, id="the highest limit"),
        pytest.param({"after_id": NAMES[2]}, NAMES[3:], False, id="after, without a limit"),
        pytest.param({"after_id": NAMES[-1]}, [], False, id="after the last"),
        pytest.param({"after_id": ""}, NAMES, False, id="an empty id is none"),
        pytest.param({"before_id": NAMES[2]}, NAMES[:2], False, id="before, without a limit"),
        pytest.param({"before_id": NAMES[0]}, [], False, id="before the first"),
        pytest.param(
            {"before_id": NAMES[5], "limit": "2"}, NAMES[3:5], True, id="immediately before"
        ),
    ],
)
def test_pages_by_id(query, expected, has_more):
    page = page_by_id(NAMES, query)

    assert (page.names, page.has_more) == (expected, has_more)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, NAMES, id="everything"),
        pytest.param({"pageSize": "0"}, NAMES, id="zero is none"),
        pytest.param({"pageSize": "5000"}, NAMES, id="more than 1000 is 1000"),
        pytest.param({"page_size": "2"}, NAMES[:2], id="its other spelling"),
    ],
)
def test_pages_by_token(query, expected):
    assert page_by_token(NAMES, query)[0] == expected


def test_a_page_has_at_most_1000_names():
    names = [str(n) for n in range(1200)]

    assert len(page_by_token(names, {"pageSize": "5000"})[0]) == 1000
    assert len(page_by_id(names, {})[0]) == 1200


@pytest.mark.parametrize(
    ("cut", "query", "param"),
    [
        pytest.param(page_by_id, {"limit": "0"}, "limit", id="limit 0"),
        pytest.param(page_by_id, {"limit": "1001"}, "limit", id="limit 1001"),
        pytest.param(page_by_id, {"limit": "-1"}, "limit", id="limit -1"),
        pytest.param(page_by_id, {"limit": "many"}, "limit", id="limit many"),
        pytest.param(page_by_id, {"limit": "٣"}, "limit", id="limit in other digits"),
        pytest.param(page_by_id, {"limit": "9" * 5000}, "limit", id="limit of 5000 digits"),
        pytest.param(page_by_id, {"after_id": "nobody"}, "after_id", id="after nobody"),
        pytest.param(page_by_id, {"before_id": "nobody"}, "before_id", id="before nobody"),
        pytest.param(
            page_by_id, {"before_id": NAMES[2], "after_id": NAMES[0]}, "before_id", id="both ids"
        ),
        pytest.param(page_by_token, {"pageSize": "-1"}, "pageSize", id="pageSize -1"),
        pytest.param(page_by_token, {"pageSize": "2.5"}, "pageSize", id="pageSize 2.5"),
        pytest.param(page_by_token, {"pageToken": "x"}, "pageToken", id="no base64"),
        pytest.param(page_by_token, {"pageToken": "é"}, "pageToken", id="no ASCII"),
        pytest.param(page_by_token, {"pageToken": "_w"}, "pageToken", id="no UTF-8"),
        pytest.param(page_by_token, {"pageToken": "bm8"}, "pageToken", id="nobody's token"),
    ],
)
def test_what_is_no_page_is_refused_by_name(cut, query, param):
    with pytest.raises(Fault) as caught:
        cut(NAMES, query)

    assert (caught.value.status, caught.value.param) == (400, param)
