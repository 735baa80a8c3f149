"""Connections are kept, checked, tied to their loop, and closed without anyone asking."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError, LLMTimeoutError
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy
from faultmaven.testing import FakeUpstream
from faultmaven.testing.listeners import broken_port

HEADERS = {"Content-Type": "application/json"}


async def ask(transport, upstream, fault="ok", *, method="POST", timeout_s=5.0):
    body = json.dumps({"model": f"fm:{fault}", "messages": [{"role": "user", "content": "hi"}]})
    return await transport.fetch(
        method,
        f"{upstream.base_url}/chat/completions",
        HEADERS,
        body.encode(),
        timeout_s=timeout_s,
    )


async def until_nothing_is_reusable(transport) -> None:
    """Let the loop run until the pool has noticed what came on its idle connections."""
    (pool,) = transport._pools.values()
    idle = pool._connector._conns.values()
    while any(protocol.is_connected() for kept in idle for protocol, _ in kept):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_connections_are_used_again(upstream):
    transport = HTTPTransport("acme")

    for _ in range(5):
        await ask(transport, upstream)
    await transport.close()

    assert upstream.connections_opened == 1


@pytest.mark.parametrize("fault", ["ok-then-close:0", "ok-then-reset:0"])
async def test_connection_closed_while_idle_costs_the_caller_nothing(upstream, fault):
    transport = HTTPTransport("acme")

    for _ in range(60):
        reply = await ask(transport, upstream, fault)
        assert reply.status == 200
    await transport.close()

    assert len(upstream.requests) == 60


class Script:
    """A server that answers the first request of a connection, and treats the next as told."""

    def __init__(self, then: bytes) -> None:
        self._then = then
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", self._then):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("then", "requests"),
    [
        pytest.param(b"", 3, id="no byte: sent once more, on a new connection"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", 2, id="an answer had begun: not sent again"),
    ],
)
async def test_request_is_resent_once_only_if_a_used_connection_gave_nothing(then, requests):
    script = Script(then)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    transport = HTTPTransport("acme")
    await transport.fetch("POST", url, {}, None, timeout_s=5)

    outcome = await asyncio.gather(
        transport.fetch("POST", url, {}, None, timeout_s=5), return_exceptions=True
    )
    await transport.close()
    server.close()
    await server.wait_closed()

    assert len(script.heads) == requests
    assert isinstance(outcome[0], LLMError) is bool(then)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_new_connection_that_closes_is_not_tried_again(method):
    transport = HTTPTransport("acme")
    async with broken_port("reset-at-accept") as port:
        with pytest.raises(LLMError):
            await transport.fetch(method, port.url(), {}, None, timeout_s=5)

        assert port.journal.connections_opened == 1
    await transport.close()


async def test_unsolicited_answer_is_never_anybodys(upstream):
    transport = HTTPTransport("acme", TransportPolicy(max_connections=1))

    for _ in range(50):
        await ask(transport, upstream, "poison")
        await until_nothing_is_reusable(transport)
        reply = await ask(transport, upstream)
        assert b"POISON" not in reply.body
    await transport.close()


async def test_close_twice_is_fine_and_a_later_request_opens_anew(upstream):
    transport = HTTPTransport("acme")
    await transport.close()
    await ask(transport, upstream)
    await transport.close()
    await transport.close()

    assert (await ask(transport, upstream)).status == 200
    await transport.close()
    await upstream.wait_until(lambda: upstream.connections_open == 0)


async def test_full_pool_is_a_timeout_of_its_own(upstream):
    transport = HTTPTransport("acme", TransportPolicy(max_connections=1, connect_timeout_s=0.5))
    first = asyncio.ensure_future(ask(transport, upstream, "hold"))
    await upstream.wait_until(lambda: len(upstream.requests) == 1)

    with pytest.raises(LLMTimeoutError) as caught:
        await ask(transport, upstream)
    upstream.release()

    assert caught.value.code == "pool_timeout"
    assert (await first).status == 200
    await transport.close()


def test_each_loop_gets_its_own_pool_and_closes_it_in_silence():
    transport = HTTPTransport("acme")
    with warnings.catch_warnings(), FakeUpstream.in_thread() as upstream:
        warnings.simplefilter("error")
        for _ in range(3):
            reply = asyncio.run(ask(transport, upstream))
            assert reply.status == 200
        upstream.when(lambda: upstream.connections_open == 0).result(timeout=60)
        gc.collect()


def test_loops_of_several_threads_do_not_disturb_each_other():
    transport = HTTPTransport("acme")
    statuses: list[int] = []

    async def many(upstream):
        statuses.extend([(await ask(transport, upstream)).status for _ in range(20)])

    with FakeUpstream.in_thread() as upstream:
        threads = [threading.Thread(target=lambda: asyncio.run(many(upstream))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 60


def test_loop_without_shutdown_is_let_go():
    transport = HTTPTransport("acme")
    with warnings.catch_warnings(), FakeUpstream.in_thread() as upstream:
        # asyncio complains of the sockets of a loop that was closed over them.
        warnings.simplefilter("ignore", ResourceWarning)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask(transport, upstream))
        loop.close()

        assert asyncio.run(ask(transport, upstream)).status == 200
        gc.collect()


async def test_pool_of_another_loop_is_closed_from_here():
    transport = HTTPTransport("acme")
    with FakeUpstream.in_thread() as upstream:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        asyncio.run_coroutine_threadsafe(ask(transport, upstream), loop).result(60)

        await transport.close()
        await upstream.wait_until(lambda: upstream.connections_open == 0)
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_certificates_of_a_named_authority_are_trusted(tmp_path):
    pytest.importorskip("trustme")
    async with broken_port("tls-untrusted") as port:
        ca_file = tmp_path / "ca.pem"
        ca_file.write_bytes(port.ca_pem)
        for policy in (TransportPolicy(ca_file=str(ca_file)), TransportPolicy(tls_verify=False)):
            transport = HTTPTransport("acme", policy)
            outcome = await asyncio.gather(
                transport.fetch("GET", port.url("https"), {}, None, timeout_s=0.5),
                return_exceptions=True,
            )
            await transport.close()

            assert not str(getattr(outcome[0], "code", "")).startswith("tls")


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_unusable_authority_file_is_a_configuration_error(tmp_path, content):
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    transport = HTTPTransport("acme", TransportPolicy(ca_file=str(ca_file)))

    with pytest.raises(ConfigurationError, match="ca_file"):
        await transport.fetch("GET", "https://127.0.0.1:9/", {}, None, timeout_s=1)


async def test_unverified_tls_is_warned_of(upstream, caplog):
    transport = HTTPTransport("acme", TransportPolicy(tls_verify=False))
    with caplog.at_level(logging.WARNING):
        await ask(transport, upstream)
    await transport.close()

    assert "not verified" in caplog.text


async def test_we_introduce_ourselves_and_offer_no_compression(upstream):
    transport = HTTPTransport("acme")
    await ask(transport, upstream)
    await transport.close()

    headers = {name.lower(): value for name, value in dict(upstream.last_request.headers).items()}
    assert headers["user-agent"].startswith("faultmaven/")
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers


async def test_large_body_is_sent_without_a_warning(upstream):
    transport = HTTPTransport("acme")
    body = json.dumps(
        {"model": "fm:ok", "messages": [{"role": "user", "content": "x" * 3_000_000}]}
    ).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reply = await transport.fetch(
            "POST", f"{upstream.base_url}/chat/completions", HEADERS, body, timeout_s=10
        )
    await transport.close()

    assert reply.status == 200


def test_policy_comes_from_the_row():
    row = {"tls_verify": False, "ca_file": None, "x": 2, "limits": {"max_response_bytes": 4096}}
    policy = TransportPolicy.from_row(row)

    assert policy == TransportPolicy(tls_verify=False, max_response_bytes=4096)
    assert TransportPolicy.from_row({}) == TransportPolicy()
    assert "pw" not in repr(TransportPolicy(proxy="http://u:pw@h"))


def test_import_and_construction_leave_aiohttp_alone():
    code = (
        "import sys; from faultmaven.infrastructure.llm.http import HTTPTransport;"
        "HTTPTransport('acme'); sys.exit('aiohttp' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
