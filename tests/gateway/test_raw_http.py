"""Bytes on a socket: what is no HTTP, what is smuggled, what is odd but right."""

from __future__ import annotations

import asyncio
import json
import logging

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


async def test_a_body_may_come_in_chunks(client):
    chunked = (
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (BODY[:10], BODY[10:])) + b"0\r\n\r\n"
    )
    request = b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + b"Connection: close\r\n"

    answer = await exchange(client.port, request + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)

    assert answer.startswith(b"HTTP/1.1 200 ")
