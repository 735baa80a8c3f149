"""Ports that fail before HTTP: what a client meets there."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from faultmaven.testing import FakeUpstream, broken_port
from faultmaven.testing.listeners import KINDS, make_tls


async def connect(port, context=None):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def read_from(port):
    reader, writer = await connect(port)
    try:
        return await reader.read()
    finally:
        writer.close()


def trusting(port):
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=port.ca_pem.decode())
    return context


async def test_refused():
    async with broken_port("refused") as port:
        with pytest.raises(ConnectionRefusedError):
            await connect(port.port)


async def test_black_hole_never_connects():
    async with broken_port("black-hole") as port:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect(port.port), 0.3)


async def test_reset_at_accept():
    async with broken_port("reset-at-accept") as port:
        with pytest.raises(ConnectionResetError):
            await read_from(port.port)
        await asyncio.wrap_future(port.journal.when(lambda: port.journal.connections_open == 0))
        assert port.journal.connections_opened == 1


async def test_garbage():
    async with broken_port("garbage") as port:
        reader, writer = await connect(port.port)
        assert b"SSH-2.0" in await reader.read()
        writer.close()


async def test_plain_http_on_a_tls_port():
    async with broken_port("plain-http") as port:
        with pytest.raises(ssl.SSLError):
            await connect(port.port, ssl.create_default_context())


async def test_reset_at_hello():
    async with broken_port("reset-at-hello") as port:
        with pytest.raises(ConnectionResetError):
            await connect(port.port, ssl.create_default_context())


async def test_handshake_stall():
    async with broken_port("handshake-stall") as port:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect(port.port, ssl.create_default_context()), 0.1)


@pytest.mark.parametrize(
    ("kind", "why"), [("tls-expired", "expired"), ("tls-wrong-host", "IP address mismatch")]
)
async def test_tls_of_a_known_authority_is_refused_for(kind, why):
    pytest.importorskip("trustme")
    async with broken_port(kind) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            await connect(port.port, trusting(port))


async def test_tls_untrusted():
    pytest.importorskip("trustme")
    async with broken_port("tls-untrusted") as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            await connect(port.port, ssl.create_default_context())


async def test_upstream_serves_good_tls():
    pytest.importorskip("trustme")
    context, ca_pem = make_tls()
    async with FakeUpstream(tls=context) as upstream:
        client = ssl.create_default_context(cadata=ca_pem.decode())
        reader, writer = await connect(upstream.port, client)
        writer.write(b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()

        assert upstream.url.startswith("https://")
    assert answer.startswith(b"HTTP/1.1 200")


async def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="black-hole"):
        async with broken_port("nonsense"):
            pass


def test_kinds_are_sorted_and_described():
    assert list(KINDS) == sorted(KINDS)
    assert all(KINDS.values())
