"""One request being answered: what a fault has in its hands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faultmaven.testing import http1
from faultmaven.testing.answers import with_text
from faultmaven.testing.dialects.base import JSON_TYPE, Event, dump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from faultmaven.testing.answers import Answer, Question
    from faultmaven.testing.connection import Connection
    from faultmaven.testing.dialects.base import Dialect
    from faultmaven.testing.journal import RecordedRequest


@dataclass(slots=True)
class Stage:
    """What the exchanges of one server share.

    Attributes:
        released: set while requests that play "hold" may go on.
        plays: how often each behaviour was played.
        open_redirect_target: opens the other origin that redirects point at, gives its URL.
        changed: to be called when something that tests wait for has changed.
    """

    released: asyncio.Event
    open_redirect_target: Callable[[], Awaitable[str]]
    changed: Callable[[], None]
    plays: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """A request, the answer it would get, and the connection to get it.

    Attributes:
        args: the fault's arguments, the parts after its name.
        spec: the fault as asked for, arguments included.
        keep_alive: whether the connection serves another request afterwards.
    """

    request: RecordedRequest
    connection: Connection
    dialect: Dialect
    question: Question
    answer: Answer
    stage: Stage
    spec: str = "ok"
    args: Sequence[str] = ()
    keep_alive: bool = True

    @property
    def is_stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.question.stream and self.dialect.stream_type is not None

    def number(self, index: int, default: int) -> int:
        """Give an argument as a number."""
        return int(self.args[index]) if index < len(self.args) else default

    def seconds(self, index: int, default_ms: int) -> float:
        """Give an argument in milliseconds as seconds."""
        return self.number(index, default_ms) / 1000

    def say(self, chunks: Sequence[str]) -> None:
        """Let the answer have another text."""
        self.answer = with_text(self.answer, chunks)

    def events(self) -> list[Event]:
        """Give the stream's events; for a plain answer its body as the only event."""
        if self.is_stream:
            return list(self.dialect.events(self.question, self.answer))
        return [Event(self.dialect.body(self.question, self.answer))]

    def render(self, events: Iterable[Event]) -> list[bytes]:
        """Put events, or the only one of a plain answer, into bytes."""
        if self.is_stream:
            return self.dialect.frames(self.question, events)
        return [event.text.encode() for event in events]

    def parts(self) -> list[bytes]:
        """Give the answer as bytes: one part an event, or one for a plain answer."""
        return self.render(self.events())

    def comment(self) -> bytes:
        """Give bytes that keep a stream alive without saying anything."""
        return self.dialect.comment()

    def error_body(
        self, status: int, message: str, kind: str = "server_error", code: str | None = None
    ) -> bytes:
        """Write an error in the caller's dialect."""
        return dump(self.dialect.error_body(status, message, kind, code)).encode()

    def content_type(self) -> str:
        """Give the content type of a good answer."""
        if not self.is_stream:
            return JSON_TYPE
        is_array = self.dialect.name == "gemini-stream" and not self.question.include_usage
        return JSON_TYPE if is_array else str(self.dialect.stream_type)

    def headers(self, content_type: str | None = None) -> list[tuple[str, str]]:
        """Give the headers of a good answer, without its length."""
        return [
            ("Content-Type", content_type or self.content_type()),
            ("x-request-id", f"req_{self.request.number}"),
            ("request-id", f"req_{self.request.number}"),
            ("x-mock-text-sha256", self.answer.text_sha256),
        ]

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        await self.connection.send(data)
        self.request.bytes_sent += len(data)
        self.request.blocked_s = self.connection.blocked_s

    async def send_head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Write a status line and headers, exactly those given."""
        await self.send(http1.head(status, headers))

    async def reply(
        self,
        body: bytes,
        status: int = 200,
        content_type: str | None = JSON_TYPE,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Write a whole answer with its length."""
        lines = [line for line in self.headers() if line[0] != "Content-Type"]
        if content_type is not None:
            lines.append(("Content-Type", content_type))
        await self.send_head(status, [*lines, *headers, ("Content-Length", str(len(body)))])
        await self.send(body)

    async def reply_error(
        self,
        status: int,
        message: str,
        kind: str = "server_error",
        code: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Write an error answer in the caller's dialect."""
        body = self.error_body(status, message, kind, code)
        await self.reply(body, status, headers=[*self.dialect.error_headers(status), *headers])

    async def open_stream(self, *extra: tuple[str, str], content_type: str | None = None) -> None:
        """Write the head of a chunked answer."""
        lines = [*self.headers(content_type), *extra, ("Transfer-Encoding", "chunked")]
        await self.send_head(200, lines)

    async def write(self, part: bytes) -> None:
        """Write one part of a chunked answer."""
        if part:
            await self.send(http1.chunk(part))

    async def write_event(self, part: bytes) -> None:
        """Write one event of a stream, and count it."""
        await self.write(part)
        self.request.events_sent += 1
        self.stage.changed()

    async def close_stream(self) -> None:
        """End a chunked answer in good order."""
        await self.send(http1.chunk(b""))

    async def reply_parts(self, parts: Sequence[bytes], *extra: tuple[str, str]) -> None:
        """Write a good answer made of the given bytes, streamed or whole as was asked."""
        if not self.is_stream:
            await self.reply(b"".join(parts), headers=extra)
            return
        await self.open_stream(*extra)
        for part in parts:
            await self.write_event(part)
        await self.close_stream()

    async def reply_events(self, events: Iterable[Event]) -> None:
        """Write a good answer made of the given events."""
        await self.reply_parts(self.render(events))

    async def ok(self) -> None:
        """Write the good answer."""
        await self.reply_parts(self.parts())

    async def start_events(self, count: int) -> list[bytes]:
        """Open a stream and write its first events; give the others."""
        await self.open_stream()
        parts = self.parts()
        for part in parts[:count]:
            await self.write_event(part)
        return parts[count:]

    async def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.keep_alive = False
        await self.connection.reset()

    def close(self) -> None:
        """End the connection in good order."""
        self.keep_alive = False
        self.connection.close()

    def extra_field(
        self, events: Sequence[Event], value: Any, name: str = "x_extra"
    ) -> list[Event]:
        """Give the events with a further field in the first that is an object and has content."""
        edited = list(events)
        index = next((i for i, e in enumerate(edited) if e.kind == "content"), 0)
        if isinstance(edited[index].data, dict):
            data = {**edited[index].data, name: value}
            edited[index] = Event(data, edited[index].kind, edited[index].name)
        return edited
