"""Clients that come at once are let in at once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from faultmaven.gateway.listener import MOST_AT_ONCE, Listener, bind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CLIENTS = 32


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request) -> Callable[[Awaitable[None]], None]:
    """Give what runs a coroutine on one kind of event loop."""
    loops = pytest.importorskip("uvloop") if request.param == "uvloop" else asyncio

    def running(main: Awaitable[None]) -> None:
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            runner.run(main)

    return running


class Taken(asyncio.Protocol):
    """Tells who was let in, and says so to the client."""

    def __init__(self, met: list[Taken]) -> None:
        self.met = met

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.met.append(self)
        self.transport = transport
        transport.write(b"!")


class Exhausted(socket.socket):
    """A listening socket for whose first clients the system has no files."""

    failures = 2

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def connect(port: int, number: int = 1) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]


async def until_all_know(clients: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    for client in clients:
        client.setblocking(False)
        assert await asyncio.wait_for(loop.sock_recv(client, 1), 60) == b"!"


def close(clients: list[socket.socket], met: list[Taken]) -> None:
    for client in clients:
        client.close()
    for taken in met:
        taken.transport.abort()


def test_all_who_wait_are_let_in_together(run):
    """Not one in each turn of the loop, behind the requests of those who are in."""

    async def main() -> None:
        met: list[Taken] = []
        listener = Listener(bind("127.0.0.1", 0), lambda: Taken(met))
        listener.start()
        clients = connect(listener.port, CLIENTS)
        await until_all_know(clients[:1])

        assert len(met) == CLIENTS
        await listener.stop()
        close(clients, met)

    run(main())


def test_more_than_are_let_in_together_come_in_turn(run):
    async def main() -> None:
        met: list[Taken] = []
        listener = Listener(bind("127.0.0.1", 0), lambda: Taken(met))
        listener.start()
        clients = connect(listener.port, MOST_AT_ONCE + 1)
        await until_all_know(clients)

        assert len(met) == len(clients)
        await listener.stop()
        close(clients, met)

    run(main())


def test_whoever_was_taken_is_known_when_it_stops(run):
    async def main() -> None:
        met: list[Taken] = []
        listener = Listener(bind("127.0.0.1", 0), lambda: Taken(met))
        listener.start()
        port = listener.port
        clients = connect(port, CLIENTS)
        asyncio.get_running_loop().call_soon(listener._take)
        await asyncio.sleep(0)
        await listener.stop()
        await listener.stop()

        assert len(met) == CLIENTS
        with pytest.raises(ConnectionRefusedError):
            connect(port)
        close(clients, met)

    run(main())


def test_clients_wait_where_the_system_has_no_files(run, caplog):
    async def main() -> None:
        met: list[Taken] = []
        bound = bind("127.0.0.1", 0)
        exhausted = Exhausted(bound.family, bound.type, bound.proto, bound.detach())
        exhausted.setblocking(False)
        listener = Listener(exhausted, lambda: Taken(met), pause_s=0.001)
        listener.start()
        clients = connect(listener.port)
        await until_all_know(clients)

        assert len(met) == 1
        await listener.stop()
        close(clients, met)

    run(main())
    assert caplog.text.count("no client is let in for 0.001 s: [Errno 24]") == 2


def test_a_pause_ends_with_the_listener(run):
    async def main() -> None:
        bound = bind("127.0.0.1", 0)
        exhausted = Exhausted(bound.family, bound.type, bound.proto, bound.detach())
        listener = Listener(exhausted, lambda: Taken([]), pause_s=0.0)
        listener.start()
        listener._take()
        await listener.stop()
        await asyncio.sleep(0)

        assert exhausted.failures == 1

    run(main())
