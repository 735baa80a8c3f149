"""Each fault is on the wire: OpenAI chat, read from a raw socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import aiohttp
import pytest

from faultmaven.testing import FakeUpstream, Reply
from faultmaven.testing.answers import DEFAULT_TEXT
from faultmaven.testing.faults import FAULTS, UnknownFaultError

NO_BYTE = {"reset-before-headers": "reset", "close-before-headers": "eof"}


@pytest.mark.parametrize(("spec", "ending"), NO_BYTE.items())
async def test_fault_before_headers_sends_no_byte(ask, spec, ending):
    heard = await ask(f"fm:{spec}")

    assert (heard.raw, heard.ending) == (b"", ending)


@pytest.mark.parametrize(
    ("spec", "ending"), [("reset-mid-headers", "reset"), ("close-mid-headers", "eof")]
)
async def test_fault_mid_headers_leaves_the_head_open(ask, spec, ending):
    heard = await ask(f"fm:{spec}")

    assert heard.raw.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\n" not in heard.raw
    assert heard.ending == ending


@pytest.mark.parametrize(
    ("spec", "ending"), [("reset-mid-body", "reset"), ("close-mid-body", "eof")]
)
async def test_fault_mid_body_sends_half_of_the_length(ask, spec, ending):
    heard = await ask(f"fm:{spec}")

    assert len(heard.body) == int(heard.header("content-length")) // 2
    assert heard.ending == ending


@pytest.mark.parametrize(
    ("spec", "ending"), [("reset-mid-stream:5", "reset"), ("close-mid-stream:5", "eof")]
)
async def test_fault_mid_stream_comes_after_that_many_events(ask, upstream, spec, ending):
    heard = await ask(f"fm:{spec}", stream=True)

    assert len(heard.objects) == 5
    assert not heard.raw.endswith(b"0\r\n\r\n")
    assert heard.ending == ending
    assert upstream.last_request.events_sent == 5


async def test_reset_mid_event_cuts_an_event(ask):
    heard = await ask("fm:reset-mid-event:3", stream=True)

    assert len(heard.data) == 4
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(heard.data[-1])


async def test_reset_mid_stream_before_the_first_event(ask):
    heard = await ask("fm:reset-mid-stream:0", stream=True)

    assert heard.body == b""
    assert heard.status == 200


@pytest.mark.parametrize(
    ("spec", "ending"), [("ok-then-close:0", "eof"), ("ok-then-reset:0", "reset")]
)
async def test_ok_then_end_breaks_a_connection_it_promised_to_keep(open_request, spec, ending):
    reader, writer = await open_request(f"fm:{spec}", stream=False)
    head = await reader.readuntil(b"\r\n\r\n")

    assert b"connection: close" not in head.lower()
    rest = b""
    try:
        rest = await reader.read(-1)
    except ConnectionResetError:
        assert ending == "reset"
    else:
        assert (ending, rest.endswith(b"}")) == ("eof", True)
    writer.close()


async def test_poison_sends_an_answer_too_many(ask):
    heard = await ask("fm:poison")

    assert heard.raw.count(b"HTTP/1.1 200") == 2
    assert b"POISONED" in heard.raw


async def test_http10_has_no_length(ask):
    heard = await ask("fm:http10")

    assert heard.raw.startswith(b"HTTP/1.0 200")
    assert heard.header("content-length") is None
    assert heard.json["choices"]


async def test_early_hints_come_first(ask):
    heard = await ask("fm:early-hints")

    assert heard.raw.startswith(b"HTTP/1.1 102")
    assert b"HTTP/1.1 103" in heard.raw
    assert b"HTTP/1.1 200" in heard.raw


async def test_redirect_names_another_origin_and_counts_who_follows(ask, upstream):
    import aiohttp

    heard = await ask("fm:redirect:308")
    async with aiohttp.ClientSession() as session:
        body = {"model": "fm:redirect:307"}
        headers = {"x-api-key": "sk-canary"}
        url = f"{upstream.base_url}/chat/completions"
        async with session.post(url, json=body, headers=headers) as response:
            await response.read()

    assert heard.status == 308
    assert heard.header("location").startswith("http://127.0.0.1:")
    assert upstream.redirect_followed == 1
    assert upstream.redirect_leaks == ["x-api-key"]


async def test_redirect_loop_points_at_itself(ask):
    heard = await ask("fm:redirect:loop")

    assert (heard.status, heard.header("location")) == (307, "/v1/chat/completions")


STALLS = {
    "stall-headers": b"",
    "stall-first-event": b"HTTP/1.1 200",
    "stall-mid-stream:2": b"data: ",
    "comments-only:5": b": keep-alive",
    "endless:1": b"word word",
    "done-then-hang": b"[DONE]",
    "status-stall:503": b"HTTP/1.1 503",
    "endless-line:2": b"xxxx",
}


@pytest.mark.parametrize(("spec", "seen"), STALLS.items())
async def test_stall_lasts_until_the_client_leaves(open_request, upstream, spec, seen):
    reader, writer = await open_request(f"fm:{spec}")
    heard = b""
    while seen not in heard.replace(b'"}', b"").replace(b'{"content":"', b"") and not (
        seen == b"word word" and heard.count(b"word ") > 3
    ):
        heard += await asyncio.wait_for(reader.read(1 << 16), 60)
    await upstream.wait_for_requests(1)
    assert upstream.abandoned() == []
    writer.close()
    gone = await upstream.wait_for_clients_gone(1)

    assert gone[0].behaviour == spec
    assert 0 <= gone[0].client_gone_s < 60


@pytest.mark.parametrize(
    "spec", ["slow-drip:50:0", "slow-headers:0", "slow-stream:0", "sleep:1", "long:9:0"]
)
async def test_slow_answers_are_whole(ask, upstream, spec):
    heard = await ask(f"fm:{spec}")

    assert heard.json["choices"][0]["finish_reason"] == "stop"
    assert upstream.abandoned() == []


async def test_long_streams_that_many_words(ask):
    heard = await ask("fm:long:50:0", stream=True)

    assert heard.text.split() == [f"word{index}" for index in range(50)]


async def test_hold_waits_for_release(open_request, upstream):
    reader, writer = await open_request("fm:hold")
    await upstream.wait_until(lambda: bool(upstream.requests) and upstream.requests[0].events_sent)
    assert upstream.last_request.finished_s is None
    upstream.release()
    body = await reader.readuntil(b"[DONE]")
    writer.close()

    assert b'"finish_reason":"stop"' in body


async def test_flood_is_held_back_by_a_client_that_does_not_read(open_request, upstream):
    _reader, writer = await open_request("fm:flood:20000:65536")
    writer.transport.pause_reading()
    await upstream.wait_for_requests(1)
    request = upstream.last_request
    await upstream.wait_until(lambda: upstream.connections_held_back == 1)
    writer.close()
    await upstream.wait_for_finished(1)

    assert 1 < request.events_sent < 2000
    assert upstream.connections_held_back == 0


STATUSES = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 520, 529]


@pytest.mark.parametrize("status", STATUSES)
async def test_status_answers_in_the_dialects_shape(ask, status):
    heard = await ask(f"fm:status:{status}")

    assert heard.status == status
    assert set(heard.json["error"]) == {"message", "type", "param", "code"}


async def test_status_takes_headers(ask):
    heard = await ask("fm:status:429:retry-after=1:x-should-retry=false")
    dated = await ask("fm:status:429:retry-after-date=2")

    assert heard.header("retry-after") == "1"
    assert heard.header("x-should-retry") == "false"
    assert dated.header("retry-after").endswith("GMT")


async def test_flaky_fails_so_often_and_then_works(ask):
    statuses = [(await ask("fm:flaky:2:status:503")).status for _ in range(4)]

    assert statuses == [503, 503, 200, 200]


async def test_quota_context_and_auth_have_their_codes(ask):
    quota = await ask("fm:quota")
    context = await ask("fm:context-length")
    auth = await ask("fm:auth-echo")
    revoked = await ask("fm:key-in-stream", stream=True)

    assert (quota.status, quota.json["error"]["code"]) == (429, "insufficient_quota")
    assert (context.status, context.json["error"]["code"]) == (400, "context_length_exceeded")
    assert auth.status == 401
    assert "sk-canary-1" in auth.json["error"]["message"]
    assert "sk-canary-1" in revoked.objects[-1]["error"]["message"]


PLAIN_BODIES = {
    "status-html:502": (502, b"<script>"),
    "status-text": (503, b"upstream connect error"),
    "200-error": (200, b'"error"'),
    "200-html": (200, b"<!doctype html>"),
    "json-array": (200, b"[{"),
    "json-scalar": (200, b"42"),
    "invalid-json": (200, b"0 message"),
    "esc": (200, b"\\u001b[31m"),
}


@pytest.mark.parametrize(("spec", "expected"), PLAIN_BODIES.items())
async def test_odd_body(ask, spec, expected):
    heard = await ask(f"fm:{spec}")

    assert heard.status == expected[0]
    assert expected[1] in heard.body


@pytest.mark.parametrize(
    ("spec", "status"), [("200-empty", 200), ("204", 204), ("status-empty:500", 500)]
)
async def test_empty_bodies(ask, spec, status):
    heard = await ask(f"fm:{spec}")

    assert (heard.status, heard.body) == (status, b"")


@pytest.mark.parametrize(
    ("spec", "size"), [("status-huge:500:1", 1 << 20), ("huge-body:1", 1 << 20)]
)
async def test_huge_bodies_are_huge(ask, spec, size):
    assert len((await ask(f"fm:{spec}")).body) > size


async def test_a_list_of_models_is_flooded_by_nothing_and_can_be_huge(upstream):
    async with aiohttp.ClientSession(base_url=upstream.url) as session:
        upstream.mode("flood:3:5000")
        async with session.get("/v1/models") as reply:
            listed = await reply.json()
        upstream.mode("huge-body:1")
        async with session.get("/v1/models") as reply:
            huge = await reply.json()

    assert huge.pop("x_extra") == "x" * (1 << 20)
    assert huge == listed
    assert listed["data"]


async def test_done_then_hang_leaves_a_plain_answers_connection_useful(upstream):
    upstream.mode("done-then-hang")
    question = {"model": "m", "messages": []}
    async with aiohttp.ClientSession(base_url=upstream.url) as session:
        for _ in range(2):
            async with session.post("/v1/chat/completions", json=question) as reply:
                assert (await reply.json())["choices"]

    assert upstream.connections_opened == 1


async def test_truncated_json_ends_in_the_middle(ask):
    heard = await ask("fm:truncated-json")

    assert len(heard.body) == int(heard.header("content-length"))
    with pytest.raises(ValueError, match=r"."):
        json.loads(heard.body)


async def test_content_types_lie_or_are_missing(ask):
    assert (await ask("fm:wrong-content-type")).header("content-type").startswith("text/plain")
    assert (await ask("fm:no-content-type")).header("content-type") is None


async def test_json_and_stream_take_each_others_place(ask):
    plain = await ask("fm:json-for-stream", stream=True)
    streamed = await ask("fm:stream-for-json")

    assert plain.json["object"] == "chat.completion"
    assert streamed.text == DEFAULT_TEXT


async def test_gzip_faults(ask):
    good = await ask("fm:gzip")
    bomb = await ask("fm:gzip-bomb:2")
    members = await ask("fm:gzip-members:100")
    lie = await ask("fm:gzip-lie")
    corrupt = await ask("fm:gzip-corrupt")
    unknown = await ask("fm:unknown-encoding")

    assert json.loads(gzip.decompress(good.body))["choices"]
    assert len(gzip.decompress(bomb.body)) > 2 << 20 > 50 * len(bomb.body)
    assert json.loads(gzip.decompress(members.body))["choices"]
    assert (lie.header("content-encoding"), lie.json["object"]) == ("gzip", "chat.completion")
    with pytest.raises((zlib.error, OSError, EOFError)):
        gzip.decompress(corrupt.body)
    assert unknown.header("content-encoding") == "x-fault"


async def test_gzip_stream_unpacks_to_the_events(ask):
    heard = await ask("fm:gzip", stream=True)

    assert gzip.decompress(heard.body).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
async def test_encodings(ask, stream):
    invalid = await ask("fm:invalid-utf8", stream=stream)
    bom = await ask("fm:bom", stream=stream)
    utf16 = await ask("fm:utf16", stream=stream)
    surrogate = await ask("fm:surrogate", stream=stream)

    with pytest.raises(UnicodeDecodeError):
        invalid.body.decode()
    assert bom.body.startswith(b"\xef\xbb\xbf")
    assert utf16.body.startswith(b"\xff\xfe")
    assert b"\\ud83d" in surrogate.body


RAW_FIELDS = {
    "nan": b"NaN,Infinity",
    "big-int": b"9" * 5000,
    "dup-keys": b'"x_extra":1,"x_extra":2',
    "deep-json:1000": b"[" * 1000,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("spec", "raw"), RAW_FIELDS.items(), ids=RAW_FIELDS)
async def test_json_that_strict_parsers_refuse(ask, spec, raw, stream):
    assert raw in (await ask(f"fm:{spec}", stream=stream)).body


BROKEN_HTTP = {
    "cl-negative": b"Content-Length: -1\r\n",
    "bad-chunk-size": b"\r\nzz\r\n",
    "huge-header:64": b"x" * 65536,
    "many-headers:1000": b"x-many-999: x\r\n",
    "bad-headers": b"x-nul: a\x00b\r\nno colon here\r\n",
    "bad-status-line": b"HTTQ/9.9",
    "garbage": b"SSH-2.0",
    "hop-headers": b"Set-Cookie: session=",
}


@pytest.mark.parametrize(("spec", "raw"), BROKEN_HTTP.items(), ids=BROKEN_HTTP)
async def test_broken_http(ask, spec, raw):
    assert raw in (await ask(f"fm:{spec}")).raw


async def test_lengths_that_are_wrong(ask):
    twice = await ask("fm:cl-twice")
    both = await ask("fm:cl-and-te")
    long = await ask("fm:cl-too-long")
    short = await ask("fm:cl-too-short")

    assert twice.head.lower().count("content-length") == 2
    assert both.header("content-length")
    assert both.header("transfer-encoding") == "chunked"
    assert int(long.header("content-length")) == len(long.body) + 100
    assert int(short.header("content-length")) == len(short.body) - 40


def test_every_fault_has_a_description():
    listed = FakeUpstream.faults()

    assert len(listed) == len(FAULTS)
    assert all(len(text) > 10 for text in listed.values())


def test_unknown_fault_is_refused_with_a_hint():
    upstream = FakeUpstream()

    with pytest.raises(UnknownFaultError, match=r"did you mean.*stall-headers"):
        upstream.mode("stall-header")
    with pytest.raises(UnknownFaultError):
        upstream.script(["ok", "nonsense-fault"])


async def test_script_comes_before_model_and_mode(ask, upstream):
    upstream.mode("status:500")
    upstream.script(["status:429", Reply(text="scripted"), None])

    first = await ask("fm:status:404")
    second = await ask()
    third = await ask()
    by_model = await ask("fm:status:404")
    by_mode = await ask()

    assert (first.status, third.status, by_model.status, by_mode.status) == (429, 200, 404, 500)
    assert second.json["choices"][0]["message"]["content"] == "scripted"
