"""The short way: a client's body goes to a provider of the same API, and its bytes come back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from faultmaven.gateway.opened import Whole
from faultmaven.gateway.translate import whole_of
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.http.peeked_reply import PeekedReply
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.wire.body_kind import (
    EVENT_STREAM,
    JSON,
    holds_events,
    holds_json,
)
from faultmaven.infrastructure.llm.wire.errors import parse_error
from faultmaven.infrastructure.llm.wire.estimate import chunk_bytes, said_bytes

if TYPE_CHECKING:
    from faultmaven.gateway.front import Ask, Encoder, FrontEnd
    from faultmaven.gateway.watch import StreamWatch
    from faultmaven.infrastructure.llm.http import Reply, StreamReply
    from faultmaven.infrastructure.llm.providers.call import Forward
    from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
    from faultmaven.infrastructure.llm.types import Usage


async def relay_whole(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, model: str | None, deadline: float | None
) -> Whole:
    """Get a plain answer.

    Raises:
        LLMError: there was none, retries included.
    """
    forward = await _make_forward(front, provider, ask, model, deadline)
    try:
        whole = _read_whole(front, provider, ask, forward, await forward.fetch())
    except LLMError as error:
        attempt = partial(_fetch, front, provider, ask, forward)
        return await provider.retry_forward(forward, error, attempt)
    provider.forward_succeeded()
    return whole


async def open_relay(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, model: str | None, deadline: float | None
) -> RelayedStream:
    """Get a streamed answer up to its first piece.

    Raises:
        LLMError: it did not begin, retries included.
    """
    forward = await _make_forward(front, provider, ask, model, deadline)
    attempt = partial(_open, front, provider, ask, forward)
    try:
        opened = await attempt()
    except LLMError as error:
        return await provider.retry_forward(forward, error, attempt)
    provider.forward_succeeded()
    return opened


async def _make_forward(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, model: str | None, deadline: float | None
) -> Forward:
    forward = await provider.make_forward(
        dict(ask.body), model, deadline=deadline, wire_format=front.wire_format
    )
    if ask.headers:
        forward.headers = {**forward.headers, **ask.headers_for(provider.config.headers)}
    return forward


class RelayedStream:
    """A stream that is passed on; see `Opened`."""

    encoder: Encoder | None = None
    __slots__ = ("_reply", "_watch", "_window_s", "error", "estimated", "first", "model", "route")

    def __init__(
        self, reply: StreamReply | None, watch: StreamWatch, first: bytes, forward: Forward
    ) -> None:
        self._reply = reply
        self._watch = watch
        self._window_s = forward.timeout_s
        self.first = first
        self.model = forward.model
        self.route = forward.route
        self.error: LLMError | None = watch.error
        self.estimated = False

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self._watch.done or self.error is not None

    @property
    def usage(self) -> Usage | None:
        """The token counts as far as the provider has told them."""
        return self._watch.usage

    @property
    def said_bytes(self) -> int:
        """What the model has written so far."""
        return self._watch.said_bytes

    async def next(self) -> bytes:
        """Wait for more; see `Opened.next`."""
        reply, watch = self._reply, self._watch
        if reply is None:
            return b""
        while not watch.is_over:
            try:
                data = await reply.read()
            except LLMError as error:
                self.error = error
                return b""
            if data:
                seen = watch.events
                passed = watch.feed(data)
                if watch.events != seen:
                    reply.expect(self._window_s)
            else:
                passed = watch.finish()
            if passed:
                self.error = watch.error
                return passed
        self.error = watch.error
        return b""

    async def close(self) -> None:
        """Keep the connection after a complete answer, drop it otherwise; twice is fine."""
        if self._reply is None:
            return
        if self._watch.done:
            await self._reply.release()
        else:
            await self._reply.close()


async def _fetch(front: FrontEnd, provider: HTTPProvider, ask: Ask, forward: Forward) -> Whole:
    return _read_whole(front, provider, ask, forward, await forward.fetch())


def _read_whole(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, forward: Forward, reply: Reply
) -> Whole:
    """Check a plain answer, and give what the client gets of it."""
    body = reply.body
    if reply.status != 200:
        _refuse(reply.status, reply, body)
    if body[:1] != b"{" and holds_events(body):
        return _assembled(front, provider, ask, forward, body)
    try:
        data = codec.loads(body)
    except ValueError:
        data = parse_json(body)  # it may begin with a mark, or hold half a surrogate pair
        body = codec.dumps(data)
    usage = front.check_answer(data)
    if front.mend_answer(data, usage):
        body = codec.dumps(data)
    if not reply.headers.get("Content-Type", "").startswith(JSON):
        forward.route.oddity = "content_type"
    whole = Whole(body, usage, forward.route, forward.model)
    if usage is None or not usage.output_tokens:
        whole.said_bytes = said_bytes(data)
    return whole


def _assembled(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, forward: Forward, body: bytes
) -> Whole:
    """Turn a stream that was not asked for into the answer that it amounts to."""
    whole = whole_of(front, ask, provider.read_stream(body), forward.route, forward.model)
    forward.route.oddity = "streamed"
    return whole


async def _open(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, forward: Forward
) -> RelayedStream:
    reply, oddity = await forward.open(), ""
    try:
        if reply.status != 200:
            _refuse(reply.status, reply, await reply.read_all())
        if not reply.headers.get("Content-Type", "").startswith(EVENT_STREAM):
            start = await reply.read()
            reply, oddity = PeekedReply(reply, start), "content_type"
            if holds_json(start):
                return _as_stream(front, provider, ask, await reply.read_all(), forward)
        optional = bool(provider.config.row.get("finish_reason_optional"))
        watch = front.make_watch(ask, finish_optional=optional)
        if provider.max_event_bytes is not None:
            watch.limit_bytes = provider.max_event_bytes
        first = await _first_piece(reply, watch, forward.timeout_s)
    except BaseException:
        await reply.close()
        raise
    forward.route.oddity = oddity
    return RelayedStream(reply, watch, first, forward)


async def _first_piece(reply: StreamReply, watch: StreamWatch, window_s: float) -> bytes:
    """Read up to the first piece of the answer; nothing has been sent to the client until then."""
    held = b""
    while not watch.begun and not watch.is_over:
        data = await reply.read()
        held += watch.feed(data) if data else watch.finish()
    if watch.begun:
        reply.expect(window_s)
        return held
    if not watch.events:
        msg = "the answer is no stream of events"
        raise ResponseFormatError(msg, code="empty_response") from watch.error
    if watch.error is not None:
        watch.error.retryable = watch.error.retryable or watch.error.code == "stream_incomplete"
        raise watch.error
    if watch.finish_reason in (None, "stop", "end_turn"):
        msg = "the stream ended without any content"
        raise ResponseFormatError(msg, code="empty_response")
    return held


def _as_stream(
    front: FrontEnd, provider: HTTPProvider, ask: Ask, body: bytes, forward: Forward
) -> RelayedStream:
    """Turn a whole answer where a stream was asked for into a stream of one piece."""
    chunk = provider.read_whole(body)
    forward.route.oddity = "not_streamed"
    encoder = front.make_encoder(ask, chunk.model or forward.model)
    watch = front.make_watch(ask, finish_optional=True)
    watch.done, watch.usage, watch.said_bytes = True, chunk.usage, chunk_bytes(chunk)
    return RelayedStream(None, watch, encoder.encode(chunk) + encoder.end(), forward)


def _refuse(status: int, reply: Reply | StreamReply, body: bytes) -> None:
    if status >= 300:
        raise parse_error(status, reply.headers, body)
    if not body:
        msg = "the answer has no body"
        raise ResponseFormatError(msg, status=status, code="empty_response")
