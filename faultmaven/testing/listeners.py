"""Ports that fail before HTTP begins: refused, black holes, resets, garbage, TLS that is wrong.

```python
async with broken_port("tls-expired") as port:
    ...  # https://127.0.0.1:{port}
```

The TLS kinds make certificates at run time with `trustme`, which must be installed for them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faultmaven.testing.connection import Connection, stop_listening
from faultmaven.testing.journal import Journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

HOST = "127.0.0.1"
GARBAGE = b"\x00\xffSSH-2.0-this-is-no-http\r\n\r\n"


@dataclass(frozen=True, slots=True)
class BrokenPort:
    """An address at which something is wrong.

    Attributes:
        port: on 127.0.0.1.
        journal: counts the connections; its `malformed` holds nothing.
        ca_pem: for the TLS kinds, the certificate of the authority that signed.
    """

    port: int
    journal: Journal
    ca_pem: bytes = b""

    def url(self, scheme: str = "http") -> str:
        """Give the address as a URL without a path."""
        return f"{scheme}://{HOST}:{self.port}"


async def _reset_at_accept(connection: Connection) -> None:
    connection.set_linger_zero()
    connection.transport.abort()


async def _garbage(connection: Connection) -> None:
    await connection.send(GARBAGE)


async def _plain_http(connection: Connection) -> None:
    await connection.reader.read(1)
    body = b"Client sent an HTTPS request to an HTTP server.\n"
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    await connection.send(head + body)


async def _reset_at_hello(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.reset()


async def _silence(connection: Connection) -> None:
    await connection.until_gone()


async def _empty_answer(connection: Connection) -> None:
    await connection.reader.readuntil(b"\r\n\r\n")
    body = b'{"object":"list","data":[]}'
    await connection.send(
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


_SERVED: dict[str, Callable[[Connection], Awaitable[None]]] = {
    "garbage": _garbage,
    "handshake-stall": _silence,
    "plain-http": _plain_http,
    "reset-at-accept": _reset_at_accept,
    "reset-at-hello": _reset_at_hello,
    "tls-expired": _empty_answer,
    "tls-untrusted": _empty_answer,
    "tls-wrong-host": _empty_answer,
}
KINDS: dict[str, str] = {
    "black-hole": "The port's backlog is full: connecting never ends.",
    "garbage": "Bytes that are no HTTP, and no TLS, at accept.",
    "handshake-stall": "Accepts, and never says a word.",
    "plain-http": "Speaks plain HTTP to whoever starts TLS.",
    "refused": "Nothing listens.",
    "reset-at-accept": "Resets every connection at once.",
    "reset-at-hello": "Resets at the first byte of the client.",
    "tls-expired": "A certificate, of an authority that can be trusted, out of date.",
    "tls-untrusted": "A valid certificate of an authority nobody knows.",
    "tls-wrong-host": "A certificate, of an authority that can be trusted, for another host.",
}


@asynccontextmanager
async def broken_port(kind: str) -> AsyncIterator[BrokenPort]:
    """Open a port of one of `KINDS`; it is closed at the end.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        msg = f"no broken port is called {kind!r}; there are {', '.join(KINDS)}"
        raise ValueError(msg)
    async with AsyncExitStack() as stack:
        if kind == "refused":
            yield BrokenPort(stack.enter_context(_reserved_port()), Journal())
        elif kind == "black-hole":
            yield BrokenPort(await stack.enter_async_context(_full_backlog()), Journal())
        else:
            yield await stack.enter_async_context(_served(kind))


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that is bound, so that nobody else gets it, and on which nothing listens."""
    with socket.socket() as reserved:
        reserved.bind((HOST, 0))
        yield int(reserved.getsockname()[1])


@asynccontextmanager
async def _full_backlog() -> AsyncIterator[int]:
    """Fill the queue of a listener that never accepts; the kernel then drops further SYNs."""
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.bind((HOST, 0))
    listener.listen(0)
    port = int(listener.getsockname()[1])
    fillers: list[socket.socket] = []
    try:
        while True:
            filler = socket.socket()
            filler.setblocking(False)
            fillers.append(filler)
            try:
                await asyncio.wait_for(loop.sock_connect(filler, (HOST, port)), 0.1)
            except TimeoutError:
                break
        yield port
    finally:
        for filler in fillers:
            filler.close()
        listener.close()


@asynccontextmanager
async def _served(kind: str) -> AsyncIterator[BrokenPort]:
    context, ca_pem = make_tls(kind) if kind.startswith("tls-") else (None, b"")
    journal = Journal()
    connections: set[Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(_SERVED[kind], journal, connections), HOST, 0, ssl=context
    )
    try:
        yield BrokenPort(server.sockets[0].getsockname()[1], journal, ca_pem)
    finally:
        await stop_listening(server)
        for connection in list(connections):
            connection.abort()
            await connection.closed()
        await server.wait_closed()


def make_tls(kind: str = "tls-good") -> tuple[ssl.SSLContext, bytes]:
    """Make a server's TLS context and the PEM of the authority that signed its certificate.

    Args:
        kind: "tls-good", "tls-untrusted" (the same, for the client does not know the authority),
            "tls-expired" or "tls-wrong-host".

    Raises:
        ModuleNotFoundError: `trustme` is not installed.
    """
    import trustme

    authority = trustme.CA()
    options: dict[str, Any] = {}
    if kind == "tls-expired":
        options["not_after"] = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
        options["not_before"] = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    name = "other.example.org" if kind == "tls-wrong-host" else HOST
    certificate = authority.issue_cert(name, **options)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context, authority.cert_pem.bytes()
