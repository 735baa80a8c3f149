"""Answers as bytes: a head made once for each kind of answer, and what follows it.

aiohttp's own responses cost more than everything else that is done for a relayed request, so the
server hands its transport whole answers.  `Answer` has what its protocol asks of a response.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp.helpers import rfc822_formatted_time

from faultmaven.gateway.cors import origin_fields
from faultmaven.gateway.options import options_of

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"
# Of one client's answer, no more than this waits in the process before the provider is held back.
WRITE_HIGH_WATER_BYTES: Final = 32 * 1024

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Answer:
    """One answer, whole, or the record of one that was streamed.

    Attributes:
        status: the HTTP status.
        keep_alive: whether the connection serves another request.
        body: b"" for a stream.
    """

    __slots__ = ("_fields", "_is_sent", "body", "content_type", "keep_alive", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = JSON,
        fields: str = "",
        *,
        close: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.keep_alive = not close
        self._fields = fields
        self._is_sent = False

    @property
    def prepared(self) -> bool:
        """Tell whether the head has been sent."""
        return self._is_sent

    @property
    def fields(self) -> str:
        """Give the header lines that are its own, each ended by CR LF."""
        return self._fields

    def mark_sent(self) -> None:
        """Say that a stream has been written."""
        self._is_sent = True

    async def prepare(self, request: BaseRequest) -> None:
        """Write the answer; called by the server."""
        if self._is_sent:
            return
        self._is_sent = True
        transport = request.transport
        if transport is None or transport.is_closing():
            return
        self.keep_alive = self.keep_alive and request.keep_alive
        length = f"content-length: {len(self.body)}\r\n"
        head = make_head(self.status, self.content_type, self._fields + length, request, self)
        transport.write(head if request.method == "HEAD" else head + self.body)
        if request.protocol.writing_paused:
            await drain(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: the answer has been written in one piece."""


def make_head(
    status: int, content_type: str, fields: str, request: BaseRequest, answer: Answer
) -> bytes:
    """Give status line and headers."""
    origins = options_of(request).cors_origins
    if origins:
        fields += origin_fields(origins, request.headers)
    if not answer.keep_alive:
        fields += "connection: close\r\n"
    elif request.version < (1, 1):
        fields += "connection: keep-alive\r\n"
    text = (
        f"content-type: {content_type}\r\nx-content-type-options: nosniff\r\n"
        f"date: {rfc822_formatted_time()}\r\n{fields}\r\n"
    )
    return _STATUS_LINES[status] + text.encode("latin-1")


async def drain(request: BaseRequest) -> None:
    """Wait until the client has taken what was written.

    Raises:
        ConnectionError: it is gone, or has taken nothing for `write_timeout_s`.
    """
    try:
        async with asyncio.timeout(options_of(request).write_timeout_s):
            await request.protocol._drain_helper()  # noqa: SLF001  # aiohttp has no other way
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        msg = "the client has stopped reading"
        raise ConnectionResetError(msg) from None


class StreamedAnswer:
    """Writes one stream of events to a client.

    Args:
        request: whom it answers.
        answer: what the server is told of it.
        fields: header lines, each ended by CR LF.
    """

    __slots__ = ("_answer", "_chunked", "_head", "_request", "_transport", "begun")

    def __init__(self, request: BaseRequest, answer: Answer, fields: str) -> None:
        self._request = request
        self._transport = request.transport
        self._answer = answer
        self._chunked = request.version >= (1, 1)
        answer.keep_alive = answer.keep_alive and request.keep_alive and self._chunked
        if self._chunked:
            fields += "transfer-encoding: chunked\r\n"
        self._head = make_head(
            answer.status, EVENTS, f"cache-control: no-cache\r\n{fields}", request, answer
        )
        self.begun = False

    @property
    def is_paused(self) -> bool:
        """Tell whether the client is slower than the stream."""
        return self._request.protocol.writing_paused

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Write bytes of the body, with the head before the first and the end after the last.

        Raises:
            ConnectionResetError: the client is gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            msg = "the client has left"
            raise ConnectionResetError(msg)
        if self._chunked:
            end = _LAST_CHUNK if last else b""
            data = b"%x\r\n%b\r\n%b" % (len(data), data, end) if data else end
        if not self.begun:
            self.begun = True
            self._answer.mark_sent()
            data = self._head + data
        transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken what was written; see `drain`."""
        await drain(self._request)
