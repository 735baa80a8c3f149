"""Pieces of canonical messages: parts, files, arguments, ids, wishes."""

import base64

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import InvalidRequestError, UnsupportedParameterError
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire import content


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("A", "A"),
        (["A", {"type": "text", "text": "B"}, {"type": "image_url"}], "AB"),
        ([{"type": "input_text", "text": "A"}, {"type": "output_text", "text": None}], "A"),
        ([], ""),
        (5, "5"),
    ],
)
def test_text_of_content_in_any_form(value, text):
    assert content.text_of(value) == text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,QUJD", ("image/png", "QUJD")),
        ("data:text/plain;charset=utf-8;base64,QQ==", ("text/plain", "QQ==")),
        ("data:,a%20b", ("text/plain", base64.b64encode(b"a b").decode())),
        ("https://example.com/a.png", None),
    ],
)
def test_data_uri_is_told_from_an_address(url, expected):
    assert content.parse_data_uri(url) == expected


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png"}},
        {"type": "image_url", "image_url": {}},
        {"type": "file", "file": {"filename": "a.pdf"}},
        {"type": "hologram"},
        {},
    ],
    ids=repr,
)
def test_part_without_a_meaning_is_refused(part):
    with pytest.raises(InvalidRequestError):
        content.attachment_of(part)


@pytest.mark.parametrize(
    ("part", "media_type"),
    [
        ({"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}, "audio/wav"),
        ({"type": "input_audio", "input_audio": {"data": "QQ==", "format": "flac"}}, "audio/flac"),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, "image/png"),
        ({"type": "file", "file": {"file_id": "f", "filename": "a.pdf"}}, "application/pdf"),
        (
            {"type": "file", "file": {"file_url": "https://example.com/x"}},
            "application/octet-stream",
        ),
    ],
)
def test_media_type_of_an_attachment(part, media_type):
    assert content.guess_media_type(content.attachment_of(part)) == media_type


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("{", "{"), ({"a": "ü"}, '{"a":"ü"}'), ({}, "{}")]
)
def test_arguments_become_text(value, text):
    assert content.arguments_text(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, {}),
        ("", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ('{"a": ', {"_invalid_json": '{"a": '}),
        ("[1]", {"_invalid_json": "[1]"}),
    ],
)
def test_arguments_become_an_object(text, value):
    assert content.arguments_object(text) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [('{"a": 1}', {"a": 1}), ("[1]", {"output": [1]}), ("sunny", {"output": "sunny"})],
)
def test_result_becomes_an_object(value, expected):
    assert content.result_object(value) == expected


@given(st.integers(0, 99), st.text())
def test_invented_id_is_known_again(index, seed):
    call_id = content.make_call_id(index, seed)

    assert call_id == content.make_call_id(index, seed)
    assert content.is_invented_id(call_id)


@pytest.mark.parametrize("call_id", ["call_abc", "toolu_1", "call_1_xyz"])
def test_id_of_a_provider_is_not_invented(call_id):
    assert not content.is_invented_id(call_id)


def test_system_texts_are_parted_from_the_turns():
    turns = [
        {"role": "system", "content": "A"},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": ""},
    ]

    assert content.split_system(LLMRequest(turns, system_prompt="S")) == (["S", "A"], [turns[1]])


@pytest.mark.parametrize(
    ("fields", "schema", "name", "as_json"),
    [
        ({}, None, "answer", False),
        ({"response_format": {"type": "text"}}, None, "answer", False),
        ({"response_format": {"type": "json_object"}}, None, "answer", True),
        ({"output_schema": {}}, {}, "answer", True),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}}, {"a": 1}, "n", True),
    ],
)  # fmt: skip
def test_wish_for_json_is_read_from_either_field(fields, schema, name, as_json):
    request = make_request("Hi", options=fields)

    assert content.wanted_schema(request) == schema
    assert content.schema_name(request) == name
    assert content.wants_json(request) is as_json


@pytest.mark.parametrize(
    ("stop", "expected"), [(None, []), ("", []), ("a", ["a"]), (["a", "", "b"], ["a", "b"])]
)
def test_stop_is_a_list(stop, expected):
    assert content.stop_list(LLMRequest([], stop=stop)) == expected


def test_tool_that_is_no_function_is_refused():
    with pytest.raises(UnsupportedParameterError, match="web_search"):
        content.functions_of(LLMRequest([], tools=[{"type": "web_search"}]))


def test_extra_fields_merge_objects_and_replace_the_rest():
    body = {"a": {"x": 1}, "b": 1}

    merged = content.merge_extra(
        body, {"a": {"y": 2}, "b": 2, "k": 3}, "options", frozenset({"k"})
    )

    assert merged == {"a": {"x": 1, "y": 2}, "b": 2, "options": {"k": 3}}
