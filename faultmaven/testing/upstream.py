"""A real server on the loopback that answers like a provider, well or as badly as it is told to.

```python
async with FakeUpstream() as upstream:
    provider = OpenAIProvider(ProviderConfig(base_url=upstream.base_url, api_key="sk-x"))
    upstream.script(["status:503", "ok"])
    response = await provider.generate("Hello")
assert len(upstream.requests) == 2
```

How a request is answered is chosen, first match wins, by the queue given to `script`, by the model's
name where it starts with `fm:` (`fm:status:503`), and by `mode`.  `python -m
faultmaven.testing.upstream` runs it as a program.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from faultmaven.testing import admin, http1
from faultmaven.testing.answers import (
    DEFAULT_MODEL,
    Reply,
    SchemaError,
    TokenUsage,
    ToolUse,
    make_answer,
)
from faultmaven.testing.connection import ClientGoneError, Connection, stop_listening
from faultmaven.testing.dialects import DIALECTS, find_dialect
from faultmaven.testing.exchange import Exchange, Stage
from faultmaven.testing.faults import FAULTS, find_fault
from faultmaven.testing.journal import Journal, RecordedRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from typing import Self

    from faultmaven.testing.answers import FinishReason

    Behaviour = str | Reply | None

HOST = "127.0.0.1"
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
_PATHS = {
    "anthropic": "/v1",
    "cohere": "/v2",
    "gemini": "/v1beta",
    "openai": "/v1",
    "vertex": "/v1/projects/fake/locations/global/publishers/anthropic/models",
}


class FakeUpstream:
    """The server; an asynchronous context manager, or see `in_thread`.

    Args:
        host: address to listen on.
        port: 0 chooses a free one.
        api_keys: keys that are let in; None lets everyone in.  Keys are recorded either way.
        model: the name that model lists give.
        tls: serves HTTPS with this context.
        admin_routes: answers `/__admin/…`, for programs that cannot call methods.
    """

    def __init__(
        self,
        *,
        host: str = HOST,
        port: int = 0,
        api_keys: Iterable[str] | None = None,
        model: str = DEFAULT_MODEL,
        tls: ssl.SSLContext | None = None,
        admin_routes: bool = True,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._admin_routes = admin_routes
        self._model = model
        self._journal = Journal()
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._script: deque[Behaviour] = deque()
        self._mode: Behaviour = None
        self._reply = Reply()
        self._numbers = 0
        self._redirect_origin: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stage = Stage(asyncio.Event(), self._open_redirect_target, self._journal.changed)
        self.api_keys = None if api_keys is None else set(api_keys)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        await self.stop()
        if kind is None:
            self._raise_failure()

    @classmethod
    @contextmanager
    def in_thread(cls, **options: Any) -> Iterator[Self]:
        """Run a server in a thread of its own, for synchronous tests and subprocesses."""
        upstream = cls(**options)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="fake-upstream", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(upstream.start(), loop).result()
            yield upstream
            upstream._raise_failure()
        finally:
            asyncio.run_coroutine_threadsafe(upstream.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def start(self) -> None:
        """Listen; afterwards `url` is known."""
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(
            lambda: self._connect(self._serve), self._host, self._port, ssl=self._tls, backlog=4096
        )
        self._servers.append(server)
        self._port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection, also one that was accepted just before."""
        for server in self._servers:
            await stop_listening(server)
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        self._redirect_origin = None

    # What callers point at it.

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI and Anthropic dialects: `url` and `/v1`."""
        return f"{self.url}/v1"

    def base_url_for(self, dialect: str) -> str:
        """Give the base URL for a dialect, or for the family that its name begins with.

        The families: anthropic, bedrock, cohere, gemini, llamacpp, ollama, openai, vertex (Anthropic's
        models there) and watsonx.
        """
        return self.url + _PATHS.get(dialect.partition("-")[0], "")

    # What it shall do.

    def reply(
        self,
        text: str | None = None,
        *,
        chunks: Sequence[str] | None = None,
        reasoning: str | None = None,
        tool_calls: Sequence[ToolUse | tuple[str, Any]] | None = None,
        finish_reason: FinishReason | None = None,
        usage: TokenUsage | None = None,
    ) -> None:
        """Say what good answers say from now on; see `Reply`.  Without arguments: the default."""
        self._reply = Reply(text, chunks, reasoning, tool_calls, finish_reason, usage)

    def script(self, behaviours: Iterable[Behaviour]) -> None:
        """Queue behaviours for the next model requests: a fault's spec, a `Reply`, or None for ok.

        Raises:
            UnknownFaultError: a spec names no fault.
        """
        queue = list(behaviours)
        for behaviour in queue:
            _check(behaviour)
        self._script.extend(queue)

    def mode(self, behaviour: Behaviour) -> None:
        """Give all requests this behaviour that no script or model name gives another; None ends it.

        Raises:
            UnknownFaultError: the spec names no fault.
        """
        _check(behaviour)
        self._mode = behaviour

    def release(self) -> None:
        """Let the requests that play "hold" go on, now and from now on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stage.released.set)

    def reset(self) -> None:
        """Forget everything recorded and told; connections stay."""
        self._journal.clear()
        self._script.clear()
        self._stage.plays.clear()
        self._mode = None
        self._reply = Reply()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stage.released.clear)

    @staticmethod
    def faults() -> dict[str, str]:
        """List every fault: the form of its spec, and what it does."""
        return {fault.usage: fault.description for _, fault in sorted(FAULTS.items())}

    @staticmethod
    def dialects() -> list[str]:
        """List the dialects it speaks."""
        return sorted(DIALECTS)

    # What it saw.

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to a provider's or an unknown path, in order."""
        return self._journal.requests

    @property
    def last_request(self) -> RecordedRequest:
        """The newest request."""
        return self._journal.requests[-1]

    @property
    def connections_opened(self) -> int:
        """How many connections there have been."""
        return self._journal.connections_opened

    @property
    def connections_open(self) -> int:
        """How many connections there are."""
        return self._journal.connections_open

    @property
    def connections_held_back(self) -> int:
        """How many of them wait now for clients that do not read."""
        return self._journal.connections_held_back

    @property
    def redirect_followed(self) -> int:
        """How many requests followed a redirect to the other origin."""
        return self._journal.redirect_followed

    @property
    def redirect_leaks(self) -> list[str]:
        """Names of the credential headers that came along with those."""
        return self._journal.redirect_leaks

    def stats(self) -> dict[str, Any]:
        """Give all counts as JSON-ready data."""
        return self._journal.stats()

    def when(self, is_met: Callable[[], bool]) -> Future[None]:
        """Give a future for a condition on what was seen; for threads: `.result(timeout=5)`."""
        return self._journal.when(is_met)

    async def wait_until(self, is_met: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait for a condition on what was seen; looked at after every change.

        Raises:
            TimeoutError: it was not met in time; the message says what was seen.
        """
        try:
            await asyncio.wait_for(asyncio.wrap_future(self.when(is_met)), timeout_s)
        except TimeoutError:
            msg = f"not within {timeout_s:g} s; the upstream saw {self.stats()}"
            raise TimeoutError(msg) from None

    async def wait_for_requests(self, count: int) -> list[RecordedRequest]:
        """Wait until so many requests have come; give them all."""
        await self.wait_until(lambda: len(self.requests) >= count)
        return self.requests

    async def wait_for_clients_gone(self, count: int = 1) -> list[RecordedRequest]:
        """Wait until the clients of so many requests left before their answers' end; give those."""
        await self.wait_until(lambda: len(self.abandoned()) >= count)
        return self.abandoned()

    async def wait_for_finished(self, count: int) -> None:
        """Wait until so many requests have been answered or abandoned."""
        await self.wait_until(
            lambda: sum(r.finished_s is not None for r in self.requests) >= count
        )

    async def wait_until_closed(self) -> None:
        """Wait until no connection is open."""
        await self.wait_until(lambda: self.connections_open == 0)

    def abandoned(self) -> list[RecordedRequest]:
        """Give the requests whose clients left before the end of the answer."""
        return [r for r in self.requests if r.client_gone_s is not None]

    # How it does it.

    def _raise_failure(self) -> None:
        if self._journal.failures:
            raise self._journal.failures[0]

    def _connect(self, serve: Callable[[Connection], Any]) -> Connection:
        return Connection(serve, self._journal, self._connections)

    async def _serve(self, connection: Connection) -> None:
        served = 0
        while True:
            served += 1
            try:
                request = await http1.read_request(connection, self._numbers + 1, served)
            except http1.MalformedRequestError as exc:
                self._journal.malformed.append(str(exc))
                self._journal.changed()
                lines = [("Content-Length", "0"), ("Connection", "close")]
                await connection.send(http1.head(400, lines))
                return
            if request is None or not await self._answer(connection, request):
                return

    async def _answer(self, connection: Connection, request: RecordedRequest) -> bool:
        """Answer a request; whether the connection serves another."""
        if self._admin_routes and request.path.startswith("/__admin/"):
            await admin.answer(self, connection, request)
            return True
        self._numbers += 1
        request.number = self._numbers
        exchange, play = self._prepare(connection, request)
        self._journal.record(request)
        try:
            await play(exchange)
        except ClientGoneError:
            gone_s = connection.gone_at_s or time.monotonic()
            request.client_gone_s = gone_s - request.received_s
            exchange.keep_alive = False
        finally:
            request.finished_s = time.monotonic() - request.received_s
            self._journal.changed()
        wants_close = request.headers.get("connection", "").lower() == "close"
        return exchange.keep_alive and not wants_close

    def _prepare(
        self, connection: Connection, request: RecordedRequest
    ) -> tuple[Exchange, Callable[[Exchange], Any]]:
        found = find_dialect(request.method, request.path)
        dialect, match = found or (DIALECTS["openai-chat"], None)
        question = admin.no_question(self._model)
        if match is not None:
            question = admin.named(dialect.question(request, match), self._model)
        reply, spec = self._choose(question.model if match is not None else "")
        problem = ""
        try:
            answer = make_answer(question, reply, request.number)
        except SchemaError as exc:
            problem, answer = str(exc), make_answer(admin.no_question(""), reply, request.number)
        exchange = Exchange(
            request=request,
            connection=connection,
            dialect=dialect,
            question=question,
            answer=answer,
            stage=self._stage,
            spec=spec,
        )
        if match is None:
            return exchange, admin.no_route
        if self.api_keys is not None and request.api_key not in self.api_keys:
            return exchange, admin.no_entry
        if problem:
            exchange.args = [problem]
            return exchange, admin.no_schema
        fault, exchange.args = find_fault(spec)
        request.behaviour = spec
        return exchange, fault.play

    def _choose(self, model: str) -> tuple[Reply, str]:
        """Choose what a request gets; a model's name that is no fault is an ordinary name."""
        behaviour = self._mode
        if self._script:
            behaviour = self._script.popleft()
        elif model.startswith("fm:"):
            behaviour = model
        if isinstance(behaviour, Reply):
            return behaviour, "ok"
        return self._reply, (behaviour or "ok").removeprefix("fm:")

    async def _open_redirect_target(self) -> str:
        if self._redirect_origin is None:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: self._connect(self._serve_redirected), self._host, 0
            )
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            self._redirect_origin = f"http://{self._host}:{port}"
        return self._redirect_origin

    async def _serve_redirected(self, connection: Connection) -> None:
        request = await http1.read_request(connection, 0, 1)
        if request is not None:
            self._journal.redirect_followed += 1
            self._journal.redirect_leaks += [n for n in _CREDENTIALS if n in request.headers]
            self._journal.changed()
            lines = [("Content-Length", "2"), ("Connection", "close")]
            await connection.send(http1.head(200, lines) + b"{}")


def _check(behaviour: Behaviour) -> None:
    if isinstance(behaviour, str):
        find_fault(behaviour)


async def _run(host: str, port: int) -> None:
    async with FakeUpstream(host=host, port=port) as upstream:
        sys.stdout.write(f"{upstream.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted; the first line of the output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m faultmaven.testing.upstream")
    parser.add_argument("--host", default=HOST, help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 for a free one")
    parser.add_argument("--list", action="store_true", help="list the faults and leave")
    options = parser.parse_args()
    if options.list:
        for usage, description in FakeUpstream.faults().items():
            sys.stdout.write(f"fm:{usage}\n    {description}\n")
        return
    try:
        asyncio.run(_run(options.host, options.port))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
