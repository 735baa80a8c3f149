"""Requests that are wrong: what is refused, how, and that nothing of it reaches a provider."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.gateway.body import parse_object
from faultmaven.gateway.faults import Fault
from tests.gateway.conftest import MESSAGES

NOT_JSON = {
    "empty": b"",
    "half": b"{",
    "array": b"[]",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "huge integer": b'{"a": ' + b"1" * 5000 + b"}",
    "surrogate": b'{"a": "\\ud800"}',
    "utf-8": b'{"a": "\xff"}',
    "twice": b'{"model": "a", "model": "b"}',
    "twice inside": b'{"a": {"x": 1, "y": 2, "x": 3}}',
    "twice, escaped": b'{"a": "\\u0022\\u0022", "b": 1, "b": 2}',
    "deep": b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}",
    "very deep": b'{"a":' * 100_000,
}
WRONG = {
    "messages": {"model": "openai/f", "messages": "x"},
    "messages[0]": {"model": "openai/f", "messages": ["x"]},
    "model": {"model": None, "messages": MESSAGES},
    "n": {"model": "openai/f", "messages": MESSAGES, "n": "1"},
    "temperature": {"model": "openai/f", "messages": MESSAGES, "temperature": {}},
    "stream": {"model": "openai/f", "messages": MESSAGES, "stream": "true"},
    "tools": {"model": "openai/f", "messages": MESSAGES, "tools": {}},
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_no_json_object_is_refused(client, upstream, body):
    async with client.post("/v1/chat/completions", body) as reply:
        error = (await reply.json())["error"]

    assert reply.status == 400
    assert error["type"] == "invalid_request_error"
    assert not upstream.requests


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 400),
        ("text/xml", 400),
        ("multipart/form-data; boundary=x", 400),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/chat"])
async def test_what_says_that_it_is_no_json_is_refused(start, upstream, path, kind, status):
    body = json.dumps({"model": "openai/fake", "messages": MESSAGES, "max_tokens": 9}).encode()
    async with (
        start(PROVIDER_TYPE="openai") as client,
        client.post(path, body, Content_Type=kind) as reply,
    ):
        said = await reply.text()

    assert reply.status == status, said
    assert ("application/json" in said) is (status == 400)
    assert bool(upstream.requests) is (status == 200)


@pytest.mark.parametrize("param", WRONG)
async def test_a_wrong_type_is_named(client, upstream, param):
    async with client.post("/v1/chat/completions", WRONG[param]) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["param"]) == (400, param)
    assert not upstream.requests


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"model": "openai/f", "messages": MESSAGES}),
        ("/v1/messages", {"model": "openai/f", "max_tokens": 1, "messages": []}),
        ("/v1/messages", {"model": "openai/f", "max_tokens": 1, "messages": [1]}),
        ("/v1/responses", {"model": "openai/f"}),
        ("/v1/completions", {"model": "openai/f", "prompt": ["a", "b"]}),
        ("/v1/embeddings", {"model": "openai/f", "input": [{}]}),
        ("/v1/embeddings", {"model": "openai/f", "input": ""}),
    ],
)
async def test_every_front_refuses_what_is_missing(client, upstream, path, body):
    async with client.post(path, body) as reply:
        assert reply.status == 400

    assert not upstream.requests


CHAT = "/v1/chat/completions"
REFUSED = {
    "no key": (CHAT, {}, {"Authorization": "Bearer none"}, 401),
    "no such path": ("/v1/chat/completion", {}, {}, 404),
    "no JSON": (CHAT, "{", {}, 400),
    "no such model": (CHAT, {"model": "none/x", "messages": MESSAGES}, {}, 404),
    "compressed": (CHAT, {}, {"Content-Encoding": "br"}, 415),
    "no such key of a request": (CHAT, {}, {"Idempotency-Key": "x" * 256}, 400),
    "no such provider": ("/p/none/x", {}, {}, 404),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_who_is_refused_learns_that_nobody_was_asked(client, upstream, refused):
    path, body, headers, status = refused

    async with client.post(path, body, **headers) as reply:
        assert reply.status == status
        assert reply.headers["x-faultmaven-attempts"] == "0"
    assert not upstream.requests


async def test_an_unknown_model_is_told_with_the_nearest(client, upstream):
    async with client.chat("gpt-4o-minni") as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (404, "model_not_found")
    assert "openai/gpt-4o-mini" in error["message"]
    assert not upstream.requests


@pytest.mark.parametrize("model", ["a\r\nx-evil: 1", "openai/\x00", "m" * 300, "openai/\u202eabc"])
async def test_a_models_name_is_a_printable_word(client, upstream, model):
    async with client.chat(model) as reply:
        assert reply.status == 400
        assert "x-evil" not in reply.headers

    assert not upstream.requests


async def test_a_models_name_stays_in_its_place(client, upstream):
    async with client.chat("openai/../../admin?x=#") as reply:
        assert reply.status == 200

    assert upstream.last_request.path == "/v1/chat/completions"


async def test_a_large_body_is_refused_before_it_is_read(start):
    async with (
        start("gateway: {max_body_bytes: 2000}") as client,
        client.post("/v1/chat/completions", b"x" * 3000) as reply,
    ):
        assert reply.status == 413
        assert (await reply.json())["error"]["code"] == "request_too_large"


async def test_a_compressed_body_is_refused(client):
    async with client.post("/v1/chat/completions", b"xx", content_encoding="gzip") as reply:
        assert reply.status == 415


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/chat/completions", 405),
    ("OPTIONS", "/v1/chat/completions", 405),
    ("POST", "/v1/chat/completions/", 404),
    ("POST", "//v1/chat/completions", 404),
    ("POST", "/V1/chat/completions", 404),
    ("GET", "/nowhere", 404),
    ("TRACE", "/", 405),
])  # fmt: skip
async def test_other_paths_and_methods_are_refused_in_json(client, method, path, status):
    async with client.session.request(method, client.url + path) as reply:
        assert reply.status == status
        assert (await reply.json())["error"]["message"]
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert ("Allow" in reply.headers) is (status == 405)


@pytest.mark.parametrize("text", ["0", "-1", "abc", "inf", "nan", "1e9"])
async def test_a_deadline_is_a_number_of_seconds(client, upstream, text):
    async with client.post(
        "/v1/chat/completions", {"model": "openai/f", "messages": MESSAGES}, x_request_timeout=text
    ) as reply:
        assert reply.status == 400

    assert not upstream.requests


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), _JSON, max_size=4), st.booleans(), st.booleans())
def test_every_object_is_read_however_it_is_written(data, ascii_only, spaced):
    text = json.dumps(data, ensure_ascii=ascii_only, indent=1 if spaced else None)

    assert parse_object(text.encode("utf-8", "replace")) == json.loads(text)


@given(st.text(max_size=4), _JSON, _JSON, st.integers(0, 3))
def test_a_key_twice_is_always_found(key, first, second, spaces):
    name = json.dumps(key)
    text = f'{{"x": [{{{name}:{json.dumps(first)},{" " * spaces}{name} : {json.dumps(second)}}}]}}'

    with pytest.raises(Fault, match="twice"):
        parse_object(text.encode())


WHOLE = {"maxOutputTokens": 6.0, "topK": 3.0, "seed": 7.0}
# Paths, bodies with whole numbers written with a point, and what a provider of another API is sent.
WRITTEN_WITH_A_POINT = {
    "chat": (
        "/v1/chat/completions",
        {"model": "anthropic/fake", "messages": MESSAGES, "max_tokens": 6.0, "n": 1.0},
        {"max_tokens": 6},
    ),
    "newer chat": (
        "/v1/chat/completions",
        {"model": "anthropic/fake", "messages": MESSAGES, "max_completion_tokens": 6.0},
        {"max_tokens": 6},
    ),
    "completions": (
        "/v1/completions",
        {"model": "groq/fake", "prompt": "Hello", "max_tokens": 6.0, "seed": 7.0},
        {"max_tokens": 6, "seed": 7},
    ),
    "responses": (
        "/v1/responses",
        {"model": "anthropic/fake", "input": "Hello", "max_output_tokens": 6.0},
        {"max_tokens": 6},
    ),
    "messages": (
        "/v1/messages",
        {"model": "groq/fake", "messages": MESSAGES, "max_tokens": 6.0, "top_k": 3.0},
        {"max_tokens": 6, "top_k": 3},
    ),
    "Gemini": (
        "/v1beta/models/groq/fake:generateContent",
        {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": WHOLE},
        {"max_tokens": 6, "top_k": 3, "seed": 7},
    ),
}


@pytest.mark.parametrize(
    ("path", "body", "sent"), WRITTEN_WITH_A_POINT.values(), ids=WRITTEN_WITH_A_POINT
)
async def test_a_whole_number_may_be_written_with_a_point(client, upstream, path, body, sent):
    async with client.post(path, body) as reply:
        assert reply.status == 200, await reply.text()

    told = {name: upstream.last_request.json[name] for name in sent}
    assert told == sent
    assert {type(value) for value in told.values()} == {int}


async def test_a_relayed_number_goes_as_it_is(client, upstream):
    async with client.chat(max_tokens=6.0) as reply:
        assert reply.status == 200

    assert b'_tokens":6.0' in upstream.last_request.body.replace(b" ", b"")


@pytest.mark.parametrize("number", [6.5, 1e300, -1e300, True, "6"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_what_is_no_whole_number_is_refused(client, upstream, path, number):
    body = {"model": "groq/fake", "messages": MESSAGES, "max_tokens": number}
    async with client.post(path, body) as reply:
        assert reply.status == 400
        assert "max_tokens must be an integer" in (await reply.json())["error"]["message"]

    assert not upstream.requests
