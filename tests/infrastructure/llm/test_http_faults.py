"""Every fault of the connection and of HTTP becomes the right error, from a server that makes it."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from contextlib import suppress

import pytest

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy
from faultmaven.testing import FakeUpstream
from faultmaven.testing.listeners import broken_port
from tests.growth import MOST, Growth

KEY = "sk-canary-transport-0123456789"
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}


def body(fault: str = "ok", *, stream: bool = False) -> bytes:
    return json.dumps(
        {"model": f"fm:{fault}", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    ).encode()


async def fetch(transport, upstream, fault="ok", *, timeout_s=5.0, deadline=None):
    url = f"{upstream.base_url}/chat/completions"
    return await transport.fetch(
        "POST", url, HEADERS, body(fault), timeout_s=timeout_s, deadline=deadline
    )


async def open_stream(transport, upstream, fault="ok", *, timeout_s=5.0, deadline=None):
    url = f"{upstream.base_url}/chat/completions"
    return await transport.open_stream(
        "POST", url, HEADERS, body(fault, stream=True), timeout_s=timeout_s, deadline=deadline
    )


def assert_safe(error: LLMError) -> None:
    seen: BaseException | None = error
    while seen is not None:
        assert KEY not in f"{seen} {seen!r}"
        seen = seen.__cause__ or seen.__context__
    assert error.provider == "acme"
    assert error.message.startswith("acme: ")


@pytest.mark.parametrize(
    ("fault", "kind", "codes"),
    [
        ("reset-before-headers", LLMConnectionError, {"connection_reset", "connection_closed"}),
        ("close-before-headers", LLMConnectionError, {"connection_closed"}),
        ("reset-mid-headers", LLMConnectionError, {"connection_reset", "connection_closed"}),
        ("close-mid-headers", LLMConnectionError, {"connection_closed"}),
        ("reset-mid-body", LLMConnectionError, {"connection_reset", "connection_closed"}),
        ("close-mid-body", LLMConnectionError, {"connection_closed"}),
        ("bad-status-line", ResponseFormatError, {"protocol_error"}),
        ("cl-twice", ResponseFormatError, {"protocol_error"}),
        ("cl-negative", ResponseFormatError, {"protocol_error"}),
        ("cl-and-te", ResponseFormatError, {"protocol_error"}),
        ("bad-chunk-size", ResponseFormatError, {"protocol_error"}),
        ("huge-header:64", ResponseFormatError, {"protocol_error"}),
        ("many-headers:1000", ResponseFormatError, {"protocol_error"}),
        ("bad-headers", ResponseFormatError, {"protocol_error"}),
        ("cl-too-long", LLMConnectionError, {"connection_closed"}),
        ("gzip-corrupt", ResponseFormatError, {"bad_encoding"}),
        ("gzip-lie", ResponseFormatError, {"bad_encoding"}),
        ("unknown-encoding", ResponseFormatError, {"bad_encoding"}),
        ("gzip-bomb:256", ResponseFormatError, {"response_too_large"}),
        ("huge-body:32", ResponseFormatError, {"response_too_large"}),
    ],
)
async def test_fetch_tells_faults_apart(transport, upstream, fault, kind, codes):
    with pytest.raises(kind) as caught:
        await fetch(transport, upstream, fault, timeout_s=30)

    assert caught.value.code in codes
    assert_safe(caught.value)
    reply = await fetch(transport, upstream)
    assert reply.status == 200


@pytest.mark.parametrize("fault", ["ok", "http10", "early-hints", "gzip", "no-content-type"])
async def test_fetch_takes_every_good_answer(transport, upstream, fault):
    reply = await fetch(transport, upstream, fault)

    assert reply.status == 200
    assert json.loads(reply.body)["choices"]


async def test_leftover_bytes_never_reach_the_next_request(transport, upstream):
    for _ in range(5):
        with suppress(LLMError):
            await fetch(transport, upstream, "cl-too-short")
        reply = await fetch(transport, upstream)

        assert json.loads(reply.body)["choices"]


async def test_many_gzip_members_do_not_hold_the_loop_up(transport, upstream):
    growth = Growth()
    for times in growth.rounds():
        with growth.of(times), suppress(ResponseFormatError):
            await fetch(transport, upstream, f"gzip-members:{2500 * times}", timeout_s=30)

    assert growth.factor < MOST


async def test_gzip_bomb_stays_small_in_memory(transport, upstream):
    await fetch(transport, upstream)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ResponseFormatError):
        await fetch(transport, upstream, "gzip-bomb:512", timeout_s=60)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize(
    ("kind", "scheme", "codes", "retryable"),
    [
        ("reset-at-accept", "http", {"connection_reset", "connection_closed"}, True),
        ("garbage", "http", {"protocol_error"}, True),
        ("plain-http", "https", {"tls_handshake_failed"}, True),
        ("tls-untrusted", "https", {"tls_error"}, False),
        ("tls-expired", "https", {"tls_error"}, False),
        ("tls-wrong-host", "https", {"tls_error"}, False),
    ],
)
async def test_fetch_tells_broken_ports_apart(transport, kind, scheme, codes, retryable):
    if kind.startswith("tls"):
        pytest.importorskip("trustme")
    async with broken_port(kind) as port:
        with pytest.raises(LLMError) as caught:
            await transport.fetch("POST", port.url(scheme), HEADERS, b"{}", timeout_s=5)

    assert caught.value.code in codes
    assert caught.value.retryable is retryable
    assert_safe(caught.value)


@pytest.mark.parametrize("kind", ["black-hole", "handshake-stall"])
async def test_connect_timeout_covers_tcp_and_tls(kind):
    transport = HTTPTransport("acme", TransportPolicy(connect_timeout_s=0.2))
    async with broken_port(kind) as port:
        with pytest.raises(LLMTimeoutError) as caught:
            await transport.fetch("POST", port.url("https"), HEADERS, b"{}", timeout_s=5)
        await transport.close()

    assert caught.value.code == "connect_timeout"
    assert_safe(caught.value)


async def test_refused_connection(transport):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"

        with pytest.raises(LLMConnectionError) as caught:
            await transport.fetch("POST", url, HEADERS, b"{}", timeout_s=5)

    assert caught.value.code == "connect_refused"
    assert_safe(caught.value)


async def test_unknown_host(transport):
    with pytest.raises(LLMConnectionError) as caught:
        await transport.fetch("POST", "http://nx.invalid/v1", HEADERS, b"{}", timeout_s=5)

    assert caught.value.code == "dns_failure"
    assert "nx.invalid" not in caught.value.message


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/x", "http:///x"])
async def test_unusable_url(transport, url):
    with pytest.raises(ConfigurationError) as caught:
        await transport.fetch("POST", url, HEADERS, b"{}", timeout_s=5)

    assert caught.value.code == "invalid_url"


async def test_line_break_in_a_key_is_a_configuration_error(transport, upstream):
    with pytest.raises(ConfigurationError) as caught:
        await transport.fetch(
            "POST", upstream.url, {"Authorization": f"Bearer {KEY}\n"}, b"{}", timeout_s=5
        )

    assert caught.value.code == "invalid_header"
    assert_safe(caught.value)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_redirects_are_never_followed(transport, upstream, code):
    for call in (fetch, open_stream):
        with pytest.raises(ResponseFormatError) as caught:
            await call(transport, upstream, f"redirect:{code}")

        assert (caught.value.code, caught.value.status) == ("unexpected_redirect", code)
        assert not caught.value.retryable
    assert upstream.redirect_followed == 0
    assert upstream.redirect_leaks == []


async def test_proxies_of_the_environment_are_ignored(transport, upstream, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert (await fetch(transport, upstream)).status == 200


async def test_unreachable_configured_proxy_is_named(upstream):
    transport = HTTPTransport("acme", TransportPolicy(proxy="http://u:secret-pw@127.0.0.1:9"))
    with pytest.raises(LLMConnectionError) as caught:
        await fetch(transport, upstream)
    await transport.close()

    assert caught.value.code == "proxy_unreachable"
    assert "secret-pw" not in repr(caught.value.__cause__)


async def test_timeout_bounds_the_whole_answer(transport, upstream):
    started = time.monotonic()
    for fault in ("stall-headers", "stall-mid-stream:2", "slow-drip:1:50"):
        with pytest.raises(LLMTimeoutError) as caught:
            await fetch(transport, upstream, fault, timeout_s=0.2)

        assert caught.value.code in {"headers_timeout", "read_timeout"}
        assert_safe(caught.value)
    assert time.monotonic() - started < 20  # the drip alone would take longer


async def test_deadline_bounds_the_whole_answer(transport, upstream):
    for call in (fetch, open_stream):
        with pytest.raises(LLMTimeoutError) as caught:
            await call(transport, upstream, "stall-headers", deadline=time.monotonic() + 0.2)

        assert caught.value.code == "deadline_exceeded"


async def test_deadline_in_the_past_sends_nothing(transport, upstream):
    with pytest.raises(LLMTimeoutError):
        await fetch(transport, upstream, deadline=time.monotonic() - 1)

    assert upstream.requests == []


@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_error_status_is_a_reply(transport, upstream, status):
    reply = await fetch(transport, upstream, f"status:{status}")

    assert reply.status == status
    assert reply.headers["CONTENT-TYPE"] == reply.headers["content-type"]
    assert b"error" in reply.body


async def test_error_body_that_stalls_is_given_up():
    policy = TransportPolicy(error_body_timeout_s=0.1)
    transport = HTTPTransport("acme", policy)
    async with FakeUpstream() as upstream:
        reply = await fetch(transport, upstream, "status-stall:503")
        stream = await open_stream(transport, upstream, "status-stall:503")
        text = await stream.read_all()
        await transport.close()

    assert reply.status == stream.status == 503
    assert len(reply.body) < 1000
    assert len(text) < 1000


async def test_error_body_is_cut(upstream):
    transport = HTTPTransport("acme", TransportPolicy(max_error_bytes=1000))
    reply = await fetch(transport, upstream, "status-huge:500:5")
    stream = await open_stream(transport, upstream, "status-huge:500:5")
    text = await stream.read_all()
    await transport.close()

    assert (reply.status, len(reply.body), len(text)) == (500, 1000, 1000)


async def test_cancellation_passes_and_closes_the_connection(transport, upstream):
    task = asyncio.ensure_future(fetch(transport, upstream, "stall-headers", timeout_s=30))
    await upstream.wait_until(lambda: len(upstream.requests) == 1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await upstream.wait_until(lambda: upstream.connections_open == 0)
