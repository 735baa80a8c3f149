"""One TCP connection of the fake upstream: bytes in, bytes out, and its violent ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.testing.journal import Journal

READ_LIMIT_BYTES = 256 * 1024 * 1024
STEPS_TO_CONNECT = 3
"""How often the event loop turns from accepting a connection to its protocol's first call."""
RESET_PAUSE_S = 0.02
"""Lets the peer read what came before a reset, as it would over a real network."""


async def stop_listening(server: asyncio.Server) -> None:
    """Close a server once the connections it has accepted are its protocols'.

    A server that is closed between the two forgets the connection's socket, open as it is
    (`Server._attach` fails in asyncio): its client waits, and the socket leaks.
    """
    loop = asyncio.get_running_loop()
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    for _ in range(STEPS_TO_CONNECT):
        await asyncio.sleep(0)
    server.close()


class ClientGoneError(ConnectionError):
    """The client closed or reset the connection."""


class Connection(asyncio.Protocol):
    """A connection with flow control whose end can be watched.

    Attributes:
        number: counts the server's connections from 1.
        reader: what the client sends.
        gone: set once the client has closed its sending side, or the connection is lost.
        lost: set once the connection is lost.
        blocked_s: time spent waiting for the client to read.
    """

    def __init__(
        self,
        serve: Callable[[Connection], Awaitable[None]],
        journal: Journal,
        siblings: set[Connection],
    ) -> None:
        self._serve = serve
        self._siblings = siblings
        self._journal = journal
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self.reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
        self.gone = asyncio.Event()
        self.gone_at_s: float | None = None
        self.lost = asyncio.Event()
        self.blocked_s = 0.0
        self.number = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Other loops' transports, uvloop's for one, do not derive from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self.number = self._journal.connection_opened()
        self._siblings.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    @override
    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    @override
    def eof_received(self) -> bool:
        self._mark_gone()
        self.reader.feed_eof()
        # TLS cannot be half open.
        return self.transport.get_extra_info("sslcontext") is None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._mark_gone()
        self.lost.set()
        self.resume_writing()
        self.reader.feed_eof()
        self._siblings.discard(self)
        self._journal.connection_closed()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()
        self._journal.connection_held_back(1)

    @override
    def resume_writing(self) -> None:
        if not self._writable.is_set():
            self._writable.set()
            self._journal.connection_held_back(-1)

    @property
    def transport(self) -> asyncio.Transport:
        """The transport; there is one from the first moment on."""
        assert self._transport is not None
        return self._transport

    async def send(self, data: bytes) -> None:
        """Write, and wait while the client does not read.

        Raises:
            ClientGoneError: the connection is lost.
        """
        self._check()
        self.transport.write(data)
        if not self._writable.is_set():
            started_s = time.monotonic()
            await self._writable.wait()
            self.blocked_s += time.monotonic() - started_s
        self._check()

    async def flushed(self) -> None:
        """Give the socket a moment, so that the next write goes out by itself."""
        await asyncio.sleep(0)

    async def pause(self, seconds: float) -> None:
        """Wait; a client that leaves ends the wait.

        Raises:
            ClientGoneError: it left.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)
        if self.gone.is_set():
            raise ClientGoneError

    async def until_gone(self) -> None:
        """Wait for the client to leave.

        Raises:
            ClientGoneError: always, in the end.
        """
        await self.gone.wait()
        raise ClientGoneError

    async def reset(self) -> None:
        """End with a TCP reset."""
        await asyncio.sleep(RESET_PAUSE_S)
        self.set_linger_zero()
        self.transport.abort()

    def set_linger_zero(self) -> None:
        """Make the close of the socket a reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        """End in good order, after what is written has gone."""
        self.transport.close()

    def abort(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()

    async def closed(self) -> None:
        """Wait until the connection and its task are over."""
        await self.lost.wait()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _check(self) -> None:
        if self.lost.is_set() or self.transport.is_closing():
            raise ClientGoneError

    def _mark_gone(self) -> None:
        if not self.gone.is_set():
            self.gone_at_s = time.monotonic()
            self.gone.set()

    async def _run(self) -> None:
        try:
            await self._serve(self)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client's good right
        except Exception as exc:  # noqa: BLE001 - raised again where the server is stopped
            self._journal.failures.append(exc)
        finally:
            self.transport.close()
