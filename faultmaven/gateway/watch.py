"""Looks at a relayed stream: whole events go on as they are, and what they say is noted.

Bytes are passed on in the pieces in which they came, cut at the ends of events.  Each piece is parsed
in one go, all of its events as one JSON array, which costs a microsecond an event and keeps what is not
JSON from reaching the client.  Whatever is unusual (other line ends, comments, names of events where
there should be none, several data lines, broken UTF-8) is decoded by the book and written anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.sse import (
    MAX_EVENT_BYTES,
    ServerSentEvent,
    SSEDecoder,
    StreamDecodeError,
)

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import Usage

_END: Final = b"\n\n"


class StreamWatch(ABC):
    """Takes a stream's bytes and gives those that the client may have.

    Attributes:
        begun: a part of the answer has come; until then nothing must be sent.
        done: the answer is complete.
        error: what is wrong; None while all is well.
        finish_reason: the provider's word for why the answer ended, None before.
        usage: the token counts, None while nothing was said of them.
        events: all events so far.
        said_bytes: what the model has written so far.
        limit_bytes: the size of the largest event; another one may be set before the first byte.
    """

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self.error: LLMError | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.events = 0
        self.said_bytes = 0
        self.limit_bytes = MAX_EVENT_BYTES
        # What has come of an event whose end has not; no piece is empty.
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._decoder: SSEDecoder | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing more to come."""
        return self.done or self.error is not None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; give those to pass on."""
        if self.is_over:
            return b""
        if self._decoder is not None or b"\r" in data:
            return self._decoded(self._take_tail(data))
        tail = self._tail
        if tail:
            if _END not in data and not (data[:1] == b"\n" and tail[-1].endswith(b"\n")):
                self._keep(data)
                return b""
            data = self._take_tail(data)
        if not data.endswith(_END):
            cut = data.rfind(_END) + 2
            if cut < 2:
                self._keep(data)
                return b""
            tail.append(data[cut:])
            self._tail_bytes = len(data) - cut
            data = data[:cut]
        if len(data) > self.limit_bytes and self._holds_too_large(data):
            return self._one_by_one(data)
        try:
            passed = self._read_block(data)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, LLMError):
            passed = None
        return self._one_by_one(data) if passed is None else passed

    def finish(self) -> bytes:
        """Take the end of the body; give what is still to be passed on, or set `error`."""
        if self.is_over:
            return b""
        passed = b""
        if self._decoder is None:
            self._decoder = SSEDecoder(self.limit_bytes)
            passed = self._read_by(self._decoder, self._take_tail(b""))
        self._end_decoding(self._decoder)
        if self.done or self.error is not None:
            return passed
        # An unterminated event is cut off; only the mark of the end needs no more, and says no more
        # than the end of the body does.
        if self._close():
            return passed + self._ending()
        self.error = StreamInterruptedError(
            "the stream ended before the answer was complete", code="stream_incomplete"
        )
        return passed

    @abstractmethod
    def _read_block(self, block: bytes) -> bytes | None:
        """Note what whole, ordinary events say and give them back; None for anything unusual.

        It may raise what reading an unexpected shape raises; nothing may be noted then.
        """

    @abstractmethod
    def _read_event(self, event: ServerSentEvent, packet: dict[str, Any]) -> bytes:
        """Note what one event says; give it as it is to be passed on, b"" for not at all.

        Raises:
            LLMError: it reports a failure, or is none of this API's.
        """

    def _is_end(self, event: ServerSentEvent) -> bool:
        """Tell whether an event without JSON ends the stream."""
        del event
        return False

    def _ending(self) -> bytes:
        """Give what a complete stream ends with and may have been left out."""
        return b""

    def _close(self) -> bool:
        """Tell whether an answer that ends here is complete; sets `done` then."""
        return False

    def _holds_too_large(self, block: bytes) -> bool:
        return max(map(len, block.split(_END))) > self.limit_bytes

    def _take_tail(self, data: bytes) -> bytes:
        """Give what was kept with the bytes that follow it."""
        whole = b"".join([*self._tail, data])
        self._tail.clear()
        self._tail_bytes = 0
        return whole

    def _keep(self, data: bytes) -> None:
        """Keep bytes that end no event, unless there are too many of them."""
        if data:
            self._tail.append(data)
            self._tail_bytes += len(data)
        if self._tail_bytes > self.limit_bytes:
            self._tail.clear()
            msg = "an event of the stream is too large"
            self.error = ResponseFormatError(msg, code="event_too_large")

    def _decoded(self, data: bytes) -> bytes:
        """Take bytes of a stream that is not written in the ordinary way."""
        if self._decoder is None:
            self._decoder = SSEDecoder(self.limit_bytes)
        return self._read_by(self._decoder, data)

    def _one_by_one(self, block: bytes) -> bytes:
        decoder = SSEDecoder(self.limit_bytes)
        passed = self._read_by(decoder, block)
        self._end_decoding(decoder)
        return passed

    def _read_by(self, decoder: SSEDecoder, data: bytes) -> bytes:
        try:
            return self._events(decoder.feed(data))
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)
            return b""

    def _end_decoding(self, decoder: SSEDecoder) -> None:
        """Refuse an event that is too large and came along with good ones."""
        if self.is_over:
            return
        try:
            decoder.finish()
        except StreamDecodeError as exc:
            self.error = ResponseFormatError(str(exc), code=exc.code)

    def _events(self, events: list[ServerSentEvent]) -> bytes:
        passed = []
        for event in events:
            self.events += 1
            try:
                passed.append(self._read_one(event))
            except LLMError as error:
                self.error = error
            except (ValueError, TypeError, AttributeError, KeyError, IndexError):
                msg = "an event of the stream cannot be read"
                self.error = ResponseFormatError(msg, code="malformed_event")
            if self.is_over:
                break
        return b"".join(passed)

    def _read_one(self, event: ServerSentEvent) -> bytes:
        if self._is_end(event):
            self._finish_at_mark()
            return self._ending() if self.done else b""
        packet = codec.loads_mended(event.data)
        if type(packet) is not dict:
            msg = "an event of the stream is not a JSON object"
            raise ResponseFormatError(msg, code="not_an_object")
        return self._read_event(event, packet)

    def _finish_at_mark(self) -> None:
        if not self._close():
            self.error = StreamInterruptedError(
                "the stream ended without a finish reason", code="stream_incomplete"
            )


def data_event(event: ServerSentEvent, packet: dict[str, Any], *, named: bool = False) -> bytes:
    """Write an event anew, on one data line."""
    data = event.data
    if b"\n" in data or b"\\ud" in data.lower():
        data = codec.dumps(packet)
    if named:
        # Some hosts leave the name out, by which clients tell events apart.
        name = event.event if event.event != "message" else packet.get("type", "message")
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    return b"data: %b\n\n" % data
