"""Amazon Bedrock's InvokeModel, which passes on what each family of models says: the answers.

Families are told apart by what they send: Anthropic's messages, Nova's (Converse's words), OpenAI's
chat, and plain text.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.event_stream import EventStreamDecoder, EventStreamFrame
from faultmaven.infrastructure.llm.wire import (
    anthropic_messages,
    bedrock_converse,
    openai_chat,
    text_generation,
)
from faultmaven.infrastructure.llm.wire.anthropic_stream import AnthropicStreamReader
from faultmaven.infrastructure.llm.wire.bedrock_stream import ConverseEvents, error_from_frame
from faultmaven.infrastructure.llm.wire.fields import as_object, malformed, object_in
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse


def response_from_wire(data: object) -> LLMResponse:
    """Read a plain answer of any family.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is of no family.
    """
    body = as_object(data, "body")
    if body.get("type") == "message":
        return anthropic_messages.response_from_wire(body)
    if "output" in body:
        return bedrock_converse.response_from_wire(body)
    choices = body.get("choices")
    if isinstance(choices, list) and choices and "message" in as_object(choices[0], "choices"):
        return openai_chat.response_from_wire(body)
    return text_generation.response_from_wire(body)


class InvokeStreamReader(StreamReader[EventStreamFrame]):
    """Reads the frames of `/invoke-with-response-stream`: pieces of any family in base64."""

    def __init__(self) -> None:
        super().__init__(EventStreamDecoder())
        self._anthropic = AnthropicStreamReader()
        self._converse = ConverseEvents(self)
        self._text = text_generation.TextPieces(self.ending)

    @override
    def limit_events(self, limit_bytes: int) -> None:
        super().limit_events(limit_bytes)
        self._anthropic.limit_events(limit_bytes)

    @override
    def _read(self, event: EventStreamFrame) -> Iterator[LLMChunk]:
        if (error := error_from_frame(event)) is not None:
            raise error
        piece = _piece_of(event)
        body = as_object(codec.loads_mended(piece), "piece")
        if "type" in body:
            yield from self._read_anthropic(piece)
        elif kinds := [
            kind for kind in body if kind.startswith(("message", "content", "metadata"))
        ]:
            yield from self._read_converse(kinds[0], object_in(body, kinds[0]))
        else:
            yield from self._text.read(body)
            if self._text.is_complete:
                self.done = True
                yield self._text.end()

    def _read_anthropic(self, piece: bytes) -> Iterator[LLMChunk]:
        yield from self._anthropic.feed(b"data: " + piece + b"\n\n")
        if self._anthropic.error is not None:
            raise self._anthropic.error
        self.skipped = self._anthropic.skipped
        self.done = self._anthropic.done

    def _read_converse(self, kind: str, body: dict[str, Any]) -> Iterator[LLMChunk]:
        yield from self._converse.read(kind, body)
        if self._converse.is_complete:
            self.done = True
            yield from self._converse.end()

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self._converse.is_stopped:
            self.done = True
            yield from self._converse.end()
        elif self._text.is_finished:
            self.done = True
            yield self._text.end()


def _piece_of(frame: EventStreamFrame) -> bytes:
    body = as_object(codec.loads_mended(frame.payload), "frame")
    encoded = body.get("bytes")
    try:
        return base64.b64decode(encoded or "", validate=True)
    except (binascii.Error, TypeError):
        raise malformed(encoded, "bytes", "base64") from None
