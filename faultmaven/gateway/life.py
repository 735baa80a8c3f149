"""The life of a serving process: what its signals mean, from the first connection to the last."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from typing import TYPE_CHECKING, Any

from faultmaven.gateway.server import GatewayServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.options import GatewayOptions


async def serve(gateway: Gateway, sock: socket.socket | None, ready: Any = None) -> None:
    """Listen until SIGTERM or SIGINT, then drain; a second signal ends at once.

    Meanwhile a changed configuration is taken, and SIGHUP has it taken at once.

    Args:
        gateway: what answers.
        sock: a bound socket, None to bind the options' address.
        ready: called with the port once it listens.
    """
    server = GatewayServer(gateway, sock)
    await server.start()
    stopping = asyncio.Event()
    forced = asyncio.Event()

    def on_signal() -> None:
        (forced if stopping.is_set() else stopping).set()

    hangup = Hangup()

    def on_hangup() -> None:
        if hangup.is_end:
            on_signal()
        else:
            gateway.reloads.ask()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    _end_with_parent(stopping.set)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # `run` holds it back until now
    watching = asyncio.create_task(gateway.reloads.run(), name="faultmaven-config-watch")
    if ready is not None:
        ready(server.port)
    await stopping.wait()
    watching.cancel()
    await _drain(server, gateway.options, forced)
    _ignore_signals()


class Hangup:
    """Tells what SIGHUP means: a wish for a reload, or a terminal that was closed."""

    def __init__(self) -> None:
        self._had_terminal = sys.stderr.isatty()

    @property
    def is_end(self) -> bool:
        """Tell whether the process was started on a terminal, and that is gone."""
        return self._had_terminal and not sys.stderr.isatty()


async def _drain(server: GatewayServer, options: GatewayOptions, forced: asyncio.Event) -> None:
    """Let requests end, until their time is over or it is forced."""
    draining = asyncio.create_task(server.stop(options.drain_s, options.ready_delay_s))
    forcing = asyncio.create_task(forced.wait())
    await asyncio.wait({draining, forcing}, return_when=asyncio.FIRST_COMPLETED)
    forcing.cancel()
    if not draining.done():
        draining.cancel()
        await server.stop()
    else:
        await draining


def _ignore_signals() -> None:
    """Have a signal that comes while the process ends by itself not make it fail."""
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # One that comes now waits until its handler, which is the default one for a moment, ignores it.
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    loop = asyncio.get_running_loop()
    for name in handled:
        loop.remove_signal_handler(name)
        signal.signal(name, signal.SIG_IGN)


def _end_with_parent(end: Callable[[], None]) -> None:
    """Have a worker end when its parent was killed, which then cannot tell it to."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop = asyncio.get_running_loop()

    def on_end() -> None:
        loop.remove_reader(parent.sentinel)
        end()

    loop.add_reader(parent.sentinel, on_end)
