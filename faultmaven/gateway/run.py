"""Starting the gateway: the event loop, one process or several, and the words at the start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

from faultmaven.config.reload import INTERVAL_S, Watcher
from faultmaven.config.settings import load_settings
from faultmaven.gateway.app import Gateway
from faultmaven.gateway.banner import Greeter
from faultmaven.gateway.board import Board
from faultmaven.gateway.books import find_ledger
from faultmaven.gateway.life import Hangup, serve
from faultmaven.gateway.listener import bind
from faultmaven.gateway.reloads import Configuration
from faultmaven.gateway.table import add_all
from faultmaven.infrastructure.llm.errors import ConfigurationError, UnknownProviderError
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry, get_registry

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from multiprocessing.process import BaseProcess

    from faultmaven.config.reload import State
    from faultmaven.gateway.banner import Hello
    from faultmaven.gateway.options import GatewayOptions


logger = logging.getLogger("faultmaven.gateway")


def make_registry(config: str | None) -> ProviderRegistry:
    """Give the registry, of another configuration file than the usual one if one is named.

    Raises:
        ConfigurationError: the configuration cannot be used.
    """
    registry = get_registry() if config is None else None
    registry = registry or ProviderRegistry(load_settings(faultmaven_config=config))
    find_ledger(registry.settings)  # each worker makes its own, and is not where to complain
    return registry


def check_set_up(registry: ProviderRegistry, options: GatewayOptions) -> list[str]:
    """Say what would keep the gateway from answering as it should: one sentence each."""
    problems = options.allowances.unknown(registry.get_all_provider_names(), options.keys.names)
    status = registry.get_provider_status()
    for name, row in status.items():
        problems += (
            [f"{name}: {row['problem']}"] if row["problem"] else _class_problem(registry, name)
        )
    try:
        add_all(Gateway(registry, options))
        names = registry.get_fallback_chain()
        if registry.settings.source_of("PROVIDER_TYPE") and not registry.settings.config_path:
            # Where no row has the name, a class of that name has been built by now.
            with contextlib.suppress(UnknownProviderError):
                names.append(registry.resolve_name(registry.settings.provider_type))
    except ConfigurationError as error:
        return [*problems, error.message]
    for name in dict.fromkeys(names):
        if not status[name]["configured"]:
            missing = ", ".join(status[name]["missing"]) or status[name]["status_reason"]
            problems.append(f"{name} is not configured: {missing or 'it is not available'}.")
    return problems


def _class_problem(registry: ProviderRegistry, name: str) -> list[str]:
    try:
        registry.check_class(name)
    except ConfigurationError as error:
        return [error.message]
    return []


def make_gateway(
    registry: ProviderRegistry,
    options: GatewayOptions,
    *,
    board: Board | None = None,
    worker: int = 0,
    seen: State | None = None,
) -> Gateway:
    """Make a gateway with all of its paths."""
    if worker == 0:
        names = registry.get_all_provider_names()
        for warning in (
            *options.allowances.unknown(names, options.keys.names),
            *options.allowances.too_small(options.workers),
        ):
            logger.warning("%s", warning)
    gateway = Gateway(registry, options, board=board, worker=worker, seen=seen)
    add_all(gateway)
    return gateway


def run(
    registry: ProviderRegistry,
    options: GatewayOptions,
    *,
    quiet: bool = False,
    hello: Hello | None = None,
) -> int:
    """Serve until a signal; give the exit code.

    Args:
        registry: the providers.
        options: how it is set up.
        quiet: print nothing.
        hello: what is asked of the model before the banner is printed; None asks nothing.

    Raises:
        OSError: the address cannot be had.
    """
    # Until somebody listens for it, SIGHUP would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if options.workers > 1:
        return _run_workers(registry, options, quiet=quiet, hello=hello)
    gateway = make_gateway(registry, options)
    sock = bind(options.host, options.port)
    _run_loop(serve(gateway, sock, None if quiet else Greeter(gateway, hello)))
    return 0


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _run_workers(
    registry: ProviderRegistry, options: GatewayOptions, *, quiet: bool, hello: Hello | None
) -> int:
    """Start the workers, keep their number, and end them when told to.

    Each has its own listening socket on the same port; the kernel deals connections out.  The first one
    greets.  A changed configuration is taken by each of them, and here, for those that start later.
    """
    configuration = Configuration(registry, options)
    watcher = Watcher(configuration)
    board = Board(options.workers)
    keeper = bind(options.host, options.port, shared=True)  # holds the port, never listens
    host, port = keeper.getsockname()[:2]
    context = multiprocessing.get_context("fork")

    def start(worker: int, *, greets: bool = False) -> BaseProcess:
        sock = bind(host, port, shared=True)
        process = context.Process(
            target=_work,
            args=(configuration, watcher, board, worker, sock),
            kwargs={"greets": greets, "hello": hello},
            name=f"worker-{worker}",
        )
        process.start()
        sock.close()
        return process

    workers = {
        worker: start(worker, greets=worker == 0 and not quiet)
        for worker in range(options.workers)
    }
    _keep_up(workers, start, watcher)
    _send(signal.SIGTERM, workers)
    for process in workers.values():
        process.join(configuration.options.ready_delay_s + configuration.options.drain_s + 10)
        if process.is_alive():
            process.kill()
    keeper.close()
    return 0


def _keep_up(
    workers: dict[int, BaseProcess], start: Callable[[int], BaseProcess], watcher: Watcher
) -> None:
    """Wait for SIGTERM or SIGINT; a worker that dies is started anew, and SIGHUP is for all of them."""
    ending = {signal.SIGTERM, signal.SIGINT}
    wanted = {*ending, signal.SIGCHLD, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    hangup = Hangup()
    while True:
        found = signal.sigtimedwait(wanted, INTERVAL_S)
        number = found.si_signo if found is not None else None
        if number in ending or (number == signal.SIGHUP and hangup.is_end):
            return
        if number == signal.SIGHUP:
            watcher.reload()
            _send(signal.SIGHUP, workers)
        else:
            watcher.look()
        for worker, process in list(workers.items()):
            if not process.is_alive():
                process.join()
                workers[worker] = start(worker)


def _send(number: signal.Signals, workers: dict[int, BaseProcess]) -> None:
    for process in workers.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)


def _tell_parent() -> None:
    """Have every worker reload."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid == os.getppid():
        os.kill(parent.pid, signal.SIGHUP)


def _work(
    configuration: Configuration,
    watcher: Watcher,
    board: Board,
    worker: int,
    sock: socket.socket,
    *,
    greets: bool,
    hello: Hello | None,
) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    gateway = make_gateway(
        configuration.registry,
        configuration.options,
        board=board,
        worker=worker,
        seen=watcher.seen,
    )
    gateway.reloads.tell_others = _tell_parent
    earlier = board.read(worker)
    if earlier is not None:
        gateway.meter.merge(earlier)
        gateway.meter.in_flight = 0
        gateway.meter.tally.forget_present()
    _run_loop(serve(gateway, sock, Greeter(gateway, hello) if greets else None))
