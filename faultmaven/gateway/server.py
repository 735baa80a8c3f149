"""What listens: aiohttp's HTTP server without its application layer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage

# Not from aiohttp.web, which brings its application layer along: 12 ms of the start.
from aiohttp.web_protocol import ERROR, RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_server import Server
from typing_extensions import override

from faultmaven.gateway.answer import WRITE_HIGH_WATER_BYTES
from faultmaven.gateway.crowd import Crowd, room_for_clients
from faultmaven.gateway.faults import Fault
from faultmaven.gateway.listener import Listener, bind
from faultmaven.infrastructure.llm.secret import install_log_redaction

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

    from faultmaven.gateway.app import Gateway

MAX_FIELD_BYTES: Final = 8 * 1024
MAX_FIELDS: Final = 128
SHOW_NUMBERS_S: Final = 0.5


class _Protocol(RequestHandler):
    """One client's connection; what is no HTTP is refused in JSON and never logged."""

    __slots__ = ("_head_has_begun", "gateway")

    _head_has_begun: bool
    gateway: Gateway

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client's connection where there is room; the first request's head must come soon."""
        server = self._manager
        assert isinstance(server, _Server)
        if server.is_full:
            server.crowd.refuse(transport)
            return
        super().connection_made(transport)
        # uvloop's transports are of no class of asyncio's.
        cast("asyncio.WriteTransport", transport).set_write_buffer_limits(WRITE_HIGH_WATER_BYTES)
        self._bound_head()

    @override
    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that begins with a part of its head must bring the rest soon."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is not None:
            if not waiter.done() and not self._head_has_begun:
                self._bound_head()
        elif self._messages:
            self._break_body()

    def _break_body(self) -> None:
        """Tell whoever reads a body that what came is none: aiohttp tells the next request only."""
        message, _ = self._messages[-1]
        reading = self._current_request
        if isinstance(message, RawRequestMessage) or reading is None:
            return
        if not reading.content.is_eof():
            reading.content.set_exception(message.exc)

    def _bound_head(self) -> None:
        """Close the connection in a while, unless a whole head has come by then."""
        self._head_has_begun = True
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            end = self._loop.time() + self.gateway.options.header_timeout_s
            end = min(end, self._next_keepalive_close_time)
            self._next_keepalive_close_time = end
            self._keepalive_handle = self._loop.call_at(end, self._process_keepalive)

    @override
    async def start(self) -> None:
        """Answer the connection's requests, one after the other.

        aiohttp's own makes a task for each request, so that context variables set by one are not seen by
        the next; nothing here sets any that matter.
        """
        while not self._force_close:
            if not self._messages and not await self._wait_for_message():
                break
            message, payload = self._take_message()
            try:
                keeps = await self._serve(message, payload)
            except (asyncio.CancelledError, ConnectionError):
                # Nobody awaits the connection's own task, and as cancelled it would hold its frames.
                self.force_close()
                return
            if not keeps or self._close or self._force_close:
                break
            self._next_keepalive_close_time = close_time = (
                self._loop.time() + self._keepalive_timeout
            )
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(close_time, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _wait_for_message(self) -> bool:
        """Wait for the next request; False where the connection is to be closed instead."""
        if self._is_ending():
            return False
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            # `close` cancels the wait, not the task; it leaves the connection open and deaf.
            if not self._is_ending():
                raise
            return False
        finally:
            self._waiter = None
        return True

    def _is_ending(self) -> bool:
        return bool(self._close or self._force_close)

    def _take_message(self) -> tuple[Any, StreamReader]:
        """Take the next request off the queue, and read on if that had been full."""
        message, payload = self._messages.popleft()
        self._head_has_begun = False
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message, payload

    async def _serve(self, message: Any, payload: StreamReader) -> bool:
        """Answer one request; whether the connection serves another."""
        server = self._manager
        assert isinstance(server, _Server)
        handler, error = server.gateway.handle, None
        if not isinstance(message, RawRequestMessage):
            message, error = ERROR, message
        # The task is the connection's; what writes is an Answer, which needs no writer.
        request = BaseRequest(message, payload, self, None, self._task_handler, self._loop)  # type: ignore[arg-type]  # as said
        self._request_in_progress = True
        self._current_request = request
        try:
            if error is not None:
                answer = self.handle_error(request, error.status, error.exc)
            else:
                answer = await handler(request)
            if self._upgraded:
                # The upgrade was declined: what followed is read as ordinary requests.
                answer, _ = await self.finish_response(request, answer, None)
            elif not answer.prepared:
                await answer.prepare(request)
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        self._keepalive = answer.keep_alive
        if not payload.is_eof():
            await self._linger(payload)
        return bool(self._keepalive)

    async def _linger(self, payload: StreamReader) -> None:
        """Read the rest of a body that nobody wanted, so that the client reads its answer."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except (TimeoutError, RequestPayloadError, HttpProcessingError):
            self.close()
            self._keepalive = False

    @override
    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:
        """Answer what could not be handled; the bytes that were sent stay unsaid."""
        server = self._manager
        assert isinstance(server, _Server)
        fault = _REFUSALS.get(type(exc).__name__, _MALFORMED) if status == 400 else _FAILED
        return server.gateway.fault_answer(fault, server.gateway.make_id({}))


class _Server(Server):
    """Makes the protocols, each of which brings its requests to the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.crowd = Crowd(gateway.meter.tally, room_for_clients(), partial(gateway.make_id, {}))
        self._options: dict[str, Any] = {
            "access_log": None,
            "max_field_size": MAX_FIELD_BYTES,
            "max_line_size": MAX_FIELD_BYTES,
            "max_headers": MAX_FIELDS,
            "lingering_time": 2.0,
            "auto_decompress": False,
        }
        super().__init__(
            gateway.handle,  # type: ignore[arg-type]  # an Answer has all that is asked of a response
            handler_cancellation=True,
        )

    @property
    def is_full(self) -> bool:
        """Tell whether one more client is one too many."""
        return len(self._connections) >= self.crowd.most

    @override
    def __call__(self) -> RequestHandler:
        keepalive_s = self.gateway.options.keepalive_s
        protocol = _Protocol(self, loop=self._loop, keepalive_timeout=keepalive_s, **self._options)
        protocol.gateway = self.gateway
        return protocol


# How often connections without a request are closed while the others are waited for.
CLOSE_IDLE_EVERY_S: Final = 0.1


class GatewayServer:
    """A gateway that listens.

    Args:
        gateway: what answers.
        sock: a bound socket; None binds the options' address.
    """

    def __init__(self, gateway: Gateway, sock: socket.socket | None = None) -> None:
        self._gateway = gateway
        self._socket = sock
        self._listener: Listener | None = None
        self._front: _Server | None = None
        self._ticker: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return self._listener.port

    @property
    def connections(self) -> list[RequestHandler]:
        """The clients' connections."""
        return [] if self._front is None else self._front.connections

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        install_log_redaction()
        self._gateway.books.start()
        self._front = _Server(self._gateway)
        options = self._gateway.options
        self._listener = Listener(self._socket or bind(options.host, options.port), self._front)
        self._listener.start()
        self._ticker = asyncio.create_task(self._show_numbers())

    async def stop(self, drain_s: float = 0.0, ready_delay_s: float = 0.0) -> None:
        """Stop listening, let running requests end, then end them.

        Args:
            drain_s: what running requests have, from when the gateway listens no more.
            ready_delay_s: how long it listens on, while it says of itself that it is not ready.
        """
        assert self._listener is not None
        assert self._front is not None
        self._gateway.is_draining = True
        if ready_delay_s:
            await asyncio.sleep(ready_delay_s)
        await self._listener.stop()
        await self._wait_idle(drain_s)
        await self._end_streams()
        await self._front.shutdown(0.5)
        if self._ticker is not None:
            self._ticker.cancel()
        self._gateway.show_numbers()
        await self._gateway.close()

    async def _wait_idle(self, drain_s: float) -> None:
        """Wait for the running requests, and close every connection that has none.

        More than once: one that was accepted just before has not begun to wait for its first request,
        and would be left open and unanswered.
        """
        assert self._front is not None
        self._gateway.idle = idle = asyncio.Event()
        self._front.pre_shutdown()
        end = asyncio.get_running_loop().time() + drain_s
        while self._gateway.meter.in_flight:
            left_s = end - asyncio.get_running_loop().time()
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(idle.wait(), min(left_s, CLOSE_IDLE_EVERY_S))
            self._front.pre_shutdown()

    async def _end_streams(self) -> None:
        """End the streams that are left, each with an error that its client can read."""
        left = set(self._gateway.streams)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)

    async def _show_numbers(self) -> None:
        while True:
            await asyncio.sleep(SHOW_NUMBERS_S)
            self._gateway.show_numbers()


_MALFORMED: Final = Fault(
    400, "invalid_request", "malformed_http", "The request is not valid HTTP/1.1.", close=True
)
_TOO_LONG: Final = Fault(
    431, "invalid_request", "header_too_large", "A header or the path is too long.", close=True
)
_FAILED: Final = Fault(500, "internal", "internal_error", "The gateway failed.", close=True)
_REFUSALS: Final = {"LineTooLong": _TOO_LONG}
