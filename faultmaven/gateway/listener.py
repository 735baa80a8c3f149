"""The listening socket, and taking connections from it: all that wait, each time."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("faultmaven.gateway")

BACKLOG: Final = 2048
# The requests of those who were taken come in between.
MOST_AT_ONCE: Final = 256
# How long none is taken after one could not be: who waits goes on waiting.
PAUSE_S: Final = 1.0


class Listener:
    """Takes connections, and makes each one's protocol.

    uvloop's own servers take one connection in each turn of the loop.  Where a hundred clients ask again
    at once, because what they ask for is refused at once, a turn is a hundred requests: who comes new
    would wait for as many turns as there are others before him; see docs/decisions/letting-in.md.

    Args:
        sock: bound, and non-blocking.
        make_protocol: called for each connection.
        pause_s: how long none is taken after the system had no file or memory for one.
    """

    def __init__(
        self,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        pause_s: float = PAUSE_S,
    ) -> None:
        self._socket = sock
        self._make_protocol = make_protocol
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._take)

    async def stop(self) -> None:
        """Take none any more, and return once each that was taken has its protocol; twice is fine."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _take(self) -> None:
        """Take those who wait."""
        for _ in range(MOST_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning("no client is let in for %g s: %s", self._pause_s, error)
                self._loop.remove_reader(self._socket)
                self._pause = self._loop.call_later(self._pause_s, self._go_on)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._take)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # its client has gone already


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind an address.

    Args:
        host: a name or an address.
        port: 0 takes a free one.
        shared: whether other processes may bind it too.

    Raises:
        OSError: it cannot be had.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
