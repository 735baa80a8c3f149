"""Bytes on a socket: what is no HTTP, what is smuggled, what is odd but right."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest

from tests.gateway.conftest import KEY, MESSAGES

BODY = json.dumps({"model": "openai/fake", "messages": MESSAGES}).encode()
AUTH = f"Host: x\r\nAuthorization: Bearer {KEY}\r\n".encode()

SMUGGLED = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "plus": b"Content-Length: +4\r\n\r\nabcd",
    "underscore": b"Content-Length: 1_0\r\n\r\nabcdefghij",
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "obs-fold": b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"X-A: b\x00c\r\nContent-Length: 0\r\n\r\n",
    "bad chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


async def exchange(port: int, data: bytes, *, half_close: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if half_close:
        writer.write_eof()
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def post(body: bytes = BODY, *more: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in more)
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + lines + length + b"\r\n" + body


@pytest.mark.parametrize("tail", SMUGGLED.values(), ids=SMUGGLED)
async def test_smuggled_requests_are_refused_and_the_connection_closed(client, upstream, tail):
    answer = await exchange(client.port, b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + tail)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"]
    assert not upstream.requests


async def test_a_malformed_header_is_neither_logged_nor_sent_back(client, caplog):
    caplog.set_level(logging.DEBUG)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-canary-abcdef\x00\r\n\r\n"

    answer = await exchange(client.port, request)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert re.search(rb"\r\nx-request-id: req_\w+\r\n", answer)
    assert b"canary" not in answer
    assert "canary" not in caplog.text


async def test_a_long_header_is_refused(client):
    answer = await exchange(
        client.port, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20000 + b"\r\n\r\n"
    )

    assert answer.split(b" ")[1] in (b"400", b"431")


async def test_an_absolute_target_is_no_way_around(client):
    answer = await exchange(
        client.port,
        b"GET http://evil/../metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_pipelined_requests_are_answered_in_order(client):
    first = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = await exchange(client.port, first + post() + last)

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404"]


async def test_a_connection_is_kept_after_an_error(client):
    answer = await exchange(client.port, post(b"{") + post(BODY, b"Connection: close"))

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"400", b"200"]


async def test_http10_gets_a_plain_body_and_a_close(client):
    body = json.dumps({"model": "openai/f", "messages": MESSAGES, "stream": True}).encode()
    request = b"POST /v1/chat/completions HTTP/1.0\r\n" + AUTH
    request += b"Content-Length: %d\r\n\r\n" % len(body)

    answer = await exchange(client.port, request + body)

    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_a_client_that_waits_to_continue_is_told_to(client):
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head, _, body = post(BODY, b"Expect: 100-continue", b"Connection: close").partition(
        b"\r\n\r\n"
    )
    writer.write(head + b"\r\n\r\n")

    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(body)
    rest = await asyncio.wait_for(reader.read(), 10)

    assert b"HTTP/1.1 200 OK" in rest
    writer.close()


@pytest.mark.parametrize("rest", [b"zz\r\n{}\r\n", b"2\r\n{}\r\n-1\r\n", b"2\r\n{}zz"])
async def test_a_body_that_is_broken_midway_is_refused_at_once(client, upstream, rest):
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH
        + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    )  # fmt: skip
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")

    writer.write(rest)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["code"] == "malformed_body"
    assert not upstream.requests


async def test_a_body_may_come_in_chunks(client):
    chunked = (
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (BODY[:10], BODY[10:])) + b"0\r\n\r\n"
    )
    request = b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + b"Connection: close\r\n"

    answer = await exchange(client.port, request + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/models HTTP/1.1\nHost: x\n\n",
        b"GET /v1/models HTTP/9.9\r\nHost: x\r\n\r\n",
        b"get /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["no host", "two hosts", "line feeds", "version", "method", "TLS", "HTTP/2"],
)  # fmt: skip
async def test_what_is_no_request_reaches_nothing(client, upstream, head):
    answer = await exchange(client.port, head + b"\r\n\r\n", half_close=False)

    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses
    assert set(statuses) <= {b"400", b"401", b"405"}
    assert statuses[-1] == b"400" or b"connection: close" in answer
    assert not upstream.requests


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO", "PATCH", "PUT"])
async def test_methods_that_are_not_served_are_405_and_echo_nothing(client, method):
    target = "x:1" if method == "CONNECT" else "/v1/models"
    answer = await exchange(
        client.port,
        f"{method} {target} HTTP/1.1\r\nHost: x\r\nX-Echo: sk-canary-echo\r\n"
        "Connection: close\r\n\r\n".encode(),
    )

    assert answer.split(b" ")[1] in (b"400", b"404", b"405")
    assert b"sk-canary-echo" not in answer


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_nobody_is_upgraded(client, protocol):
    request = post(BODY, b"Upgrade: " + protocol.encode(), b"Connection: Upgrade, close")

    answer = await exchange(client.port, request)

    assert answer.split(b" ")[1] in (b"200", b"405", b"426")
    assert b" 101 " not in answer
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_an_expectation_that_nobody_knows_changes_nothing(client):
    answer = await exchange(client.port, post(BODY, b"Expect: magic", b"Connection: close"))

    assert answer.split(b" ")[1] in (b"200", b"417")


async def test_head_has_the_fields_of_get_and_no_body(client):
    for path in ("/", "/health", "/health/live", "/health/ready"):
        answer = await exchange(
            client.port, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )

        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 200 " in head
        assert b"content-length: " in head
        assert body == b""


async def test_pipelined_questions_get_each_their_own_answer(client):
    asked = [
        json.dumps({"model": f"openai/m{n}", "messages": MESSAGES, "stream": n % 2 == 0}).encode()
        for n in range(12)
    ]
    requests = [post(body) for body in asked[:-1]] + [post(asked[-1], b"Connection: close")]

    answer = await exchange(client.port, b"".join(requests))

    parts = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(parts) == len(asked)
    for number, part in enumerate(parts):
        assert b"x-faultmaven-model: m%d\r\n" % number in part
        assert b'"model":"m%d"' % number in part


async def test_a_flood_of_pipelined_requests_is_answered_in_order(client):
    request = b"GET /nowhere/%d HTTP/1.1\r\nHost: x\r\n"
    many = [request % n + b"\r\n" for n in range(500)]
    many.append(request % 500 + b"Connection: close\r\n\r\n")

    answer = await exchange(client.port, b"".join(many))

    assert answer.count(b"HTTP/1.1 404 ") == 501


async def test_an_error_of_ours_is_told_without_its_traceback(client, caplog):
    async def fail(visit):
        message = "sk-canary-inner-0123456789"
        raise RuntimeError(message)

    client.gateway.routes.by_path()["/health/live"].pages["GET"] = fail

    answer = await exchange(
        client.port, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + post(BODY)
    )

    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert error["code"] == "internal_error"
    assert b"canary" not in answer
    assert b"Traceback" not in answer
    assert "RuntimeError" in caplog.text
    assert "sk-canary-inner" not in caplog.text
    async with client.chat() as reply:
        assert reply.status == 200
