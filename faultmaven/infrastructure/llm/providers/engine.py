"""The embedded engine: llama.cpp's `llama-server`, run as a process that never outlives this one.

A small shell stands between the two.  It takes the engine's key from its standard input, so that the
key is in no command line, and it keeps a reader on that pipe: when this process ends, however it
ends, the pipe closes and the whole process group of the engine is killed.  (Linux' parent-death
signal would not do: it follows the thread that started the child, not the process.)

Starting and stopping block, so the coroutines here do them in a thread of their own; one engine
serves all threads and event loops of a process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMError,
    LLMTimeoutError,
)
from faultmaven.infrastructure.llm.providers.engine_files import MODEL_VARIABLE, SERVER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.infrastructure.llm.providers.engine_files import EngineFiles

T = TypeVar("T")

START_TIMEOUT_S = 60.0
STOP_GRACE_S = 5.0
CONTEXT_TOKENS = 16384
PARALLEL_REQUESTS = 2
MAX_THREADS = 4
LOG_LINES = 200
LOG_LINE_CHARACTERS = 500

# $1: a folder for the loader, or empty; the rest: the command.  The first line of standard input is
# the key; its end is the end of the process that owns the engine.
_GUARD = """
IFS= read -r LLAMA_API_KEY || exit 1
export LLAMA_API_KEY
[ -z "$1" ] || export LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
shift
exec 3<&0
"$@" </dev/null 3<&- &
engine=$!
{ trap '' TERM; read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&- </dev/null
wait "$engine"
"""

# Both wordings that llama.cpp has had for the line that names its port.
_LISTENING = re.compile(r"listening\b.*?127\.0\.0\.1\D+(\d+)")
_LOG_PREFIX = re.compile(r"^[\d.]+ ([A-Z]) ")


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where a running engine listens, and the key that it wants."""

    base_url: str
    api_key: str = field(repr=False)


class _Child:
    """One run of the engine, from its start to its last word."""

    def __init__(self, files: EngineFiles, arguments: list[str], api_key: str) -> None:
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.port: int | None = None
        self.changed = threading.Event()
        self.ended = threading.Event()
        library_dir = str(files.library_dir or "")
        command = [str(files.binary), *files.first_arguments, *arguments]
        self.process = subprocess.Popen(  # noqa: S603 - no shell sees the arguments as code
            ["/bin/sh", "-c", _GUARD, "llama-guard", library_dir, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the owner to act on, not for the engine
        )
        self._write_key(api_key)
        threading.Thread(target=self._read_log, name="llama-server log", daemon=True).start()

    def _write_key(self, api_key: str) -> None:
        pipe = self.process.stdin
        if pipe is not None:
            pipe.write(f"{api_key}\n".encode())
            pipe.flush()

    def _read_log(self) -> None:
        # The end of the log is the end of the engine: nothing else holds that pipe.
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                for line in lines:
                    self._take_line(line.decode(errors="replace").strip()[:LOG_LINE_CHARACTERS])
        self.close_pipe()
        self.process.wait()
        self.ended.set()
        self.changed.set()

    def _take_line(self, line: str) -> None:
        if line:
            self.log.append(line)
        if self.port is None and (match := _LISTENING.search(line)):
            self.port = int(match[1])
            self.changed.set()

    def close_pipe(self) -> None:
        """Let go of the pipe that keeps the engine alive."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def stop(self, grace_s: float) -> None:
        """Ask the engine to end, and after `grace_s` seconds end it."""
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, STOP_GRACE_S)):
            if self.ended.is_set():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            self.ended.wait(patience_s)

    def is_healthy(self, timeout_s: float) -> bool:
        """Ask the engine whether it has loaded its model."""
        from http.client import HTTPConnection, HTTPException

        if self.port is None:
            return False
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def last_words(self) -> str:
        """Give the last lines that the engine logged as errors, else its last line."""
        errors = [line for line in self.log if (m := _LOG_PREFIX.match(line)) and m[1] == "E"]
        chosen = errors[-3:] or list(self.log)[-1:]
        return "; ".join(_LOG_PREFIX.sub("", line).strip() for line in chosen) or "it said nothing"


class LlamaServer:
    """An engine that is started when it is first needed and stopped at the latest at exit.

    All methods may be called from any thread; starting a running engine, or stopping a stopped one,
    does nothing.  An engine that died is started anew.

    Args:
        files: the server and its model.
        alias: the name that the engine gives its model.
        extra_args: further arguments of llama-server.
        start_timeout_s: seconds until it must be ready.
        on_progress: told in words what the start is doing, from the starting thread.
    """

    def __init__(
        self,
        files: EngineFiles,
        *,
        alias: str | None = None,
        extra_args: tuple[str, ...] = (),
        start_timeout_s: float = START_TIMEOUT_S,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.files = files
        self.alias = alias or files.alias
        self._extra_args = extra_args
        self._start_timeout_s = start_timeout_s
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._address: EngineAddress | None = None

    @property
    def address(self) -> EngineAddress | None:
        """Where the engine listens; None while none runs."""
        child = self._child
        return None if child is None or child.ended.is_set() else self._address

    @property
    def pid(self) -> int | None:
        """The process group of the running engine; None while none runs."""
        child = self._child
        return None if child is None or child.ended.is_set() else child.process.pid

    async def started(self) -> EngineAddress:
        """Start the engine if it does not run, and wait until it is ready.

        Raises:
            ConfigurationError: it ended at once: a broken model, a processor that lacks something.
            LLMTimeoutError: it was not ready in time.
        """
        if running := self.address:
            return running
        return await off_loop(self.start)

    def start(self) -> EngineAddress:
        """As `started`, blocking."""
        with self._lock:
            if running := self.address:
                return running
            _adopt(self)
            started = time.monotonic()
            self._tell(f"Starting llama.cpp with {self.files.model.name}")
            api_key = secrets.token_urlsafe(24)
            self._address = None
            self._child = child = _Child(self.files, self._arguments(), api_key)
            try:
                self._wait_until_ready(child, started + self._start_timeout_s)
            except BaseException:
                child.stop(0.0)
                raise
            self._tell(f"Ready after {time.monotonic() - started:.1f} s")
            self._address = EngineAddress(f"http://127.0.0.1:{child.port}", api_key)
            return self._address

    async def aclose(self) -> None:
        """Stop the engine without blocking the event loop."""
        if self.address is not None:
            await off_loop(self.stop)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop the engine: politely, and after `grace_s` seconds by force."""
        with self._lock:
            if self._child is not None:
                self._child.stop(grace_s)
            self._child = self._address = None

    def log_lines(self) -> list[str]:
        """Give the last lines of the running engine's log."""
        return list(self._child.log) if self._child else []

    def _arguments(self) -> list[str]:
        options = {
            "--model": self.files.model,
            "--host": "127.0.0.1",
            "--port": 0,  # the server picks one and logs it: nobody can take it in between
            "--ctx-size": CONTEXT_TOKENS,
            "--parallel": PARALLEL_REQUESTS,
            "--threads": _thread_count(),
            "--alias": self.alias,
            "--pooling": "mean",
        }
        words = [str(word) for option in options.items() for word in option]
        return [*words, "--jinja", "--metrics", "--embeddings", *self._extra_args]

    def _wait_until_ready(self, child: _Child, deadline: float) -> None:
        while not child.ended.is_set():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                msg = (
                    f"llama-server was not ready after {self._start_timeout_s:g} s."
                    f" Its last words: {child.last_words()}"
                )
                raise LLMTimeoutError(msg, code="engine_timeout", retryable=False)
            if child.port is None:
                child.changed.wait(left_s)
            elif child.is_healthy(min(left_s, 2.0)) and not child.ended.is_set():
                return
            else:
                child.ended.wait(0.05)
        raise _start_error(self.files, child)

    def _tell(self, words: str) -> None:
        if self._on_progress is not None:
            self._on_progress(words)

    def _forget(self) -> None:
        """Leave the engine to the process that this one was forked from."""
        self._lock = threading.Lock()
        if self._child is not None:
            self._child.close_pipe()
            self._child.process.returncode = 0  # not ours to wait for
        self._child = self._address = None


def _start_error(files: EngineFiles, child: _Child) -> LLMError:
    status = child.process.returncode
    if status in (-signal.SIGILL, 128 + signal.SIGILL):
        msg = (
            f"{files.binary} was built for a newer processor than this machine has (it died of an"
            f" illegal instruction). Install llama.cpp for this machine and set {SERVER_VARIABLE} to"
            " its llama-server."
        )
        return ConfigurationError(msg, code="engine_illegal_instruction")
    msg = (
        f"{files.binary} could not start with {files.model} (status {status}):"
        f" {child.last_words()}. Set {MODEL_VARIABLE} to another GGUF file, or {SERVER_VARIABLE} to"
        " another llama-server."
    )
    return ConfigurationError(msg, code="engine_failed")


def _thread_count() -> int:
    # Its threads spin while they wait for one another: with one for every processor, each moment
    # that something else takes one costs all of them (measured: 20 times slower beside a busy loop).
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(available // 2, MAX_THREADS))


async def off_loop(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that neither a cancelled caller nor the exit waits for."""
    future: Future[T] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - handed to the caller as it is
            future.set_exception(exc)

    threading.Thread(target=run, name="llama-server start", daemon=True).start()
    return await asyncio.wrap_future(future)


# The engines of this process: those that ever ran, and those that providers share.
_running: weakref.WeakSet[LlamaServer] = weakref.WeakSet()
_shared: dict[tuple[EngineFiles, str], tuple[LlamaServer, int]] = {}
_registry_lock = threading.Lock()
_hooked = False


def share_engine(files: EngineFiles, alias: str | None = None) -> LlamaServer:
    """Give the process's engine for these files; pair each call with `release_engine`."""
    key = (files, alias or files.alias)
    with _registry_lock:
        server, users = _shared.get(key) or (LlamaServer(files, alias=alias), 0)
        _shared[key] = (server, users + 1)
        return server


async def release_engine(server: LlamaServer) -> None:
    """Stop a shared engine when nobody else uses it."""
    key = (server.files, server.alias)
    with _registry_lock:
        _, users = _shared.get(key, (server, 0))
        if users > 1:
            _shared[key] = (server, users - 1)
            return
        _shared.pop(key, None)
    await server.aclose()


def _adopt(server: LlamaServer) -> None:
    """See to it that the engine ends with this process and is not taken along by a fork."""
    global _hooked  # noqa: PLW0603 - once a process, and not at import
    with _registry_lock:
        if not _hooked:
            atexit.register(_stop_all)
            os.register_at_fork(after_in_child=_forget_all)
            _hooked = True
        _running.add(server)


def _stop_all() -> None:
    for server in list(_running):
        server.stop(grace_s=1.0)


def _forget_all() -> None:
    global _registry_lock  # noqa: PLW0603 - it may have been held at the fork
    _registry_lock = threading.Lock()
    for server in list(_running):
        server._forget()  # noqa: SLF001 - module and class are one unit
    _running.clear()
    _shared.clear()
