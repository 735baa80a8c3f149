"""Anthropic Messages as two clouds pass them on: Vertex AI by its addresses, Bedrock by frames."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from faultmaven.testing.dialects.anthropic import AnthropicCountTokens, AnthropicMessages
from faultmaven.testing.dialects.base import EVENT_STREAM, Event, dump
from faultmaven.testing.dialects.bedrock import AMAZON_STREAM, AmazonErrors, event_frame

if TYPE_CHECKING:
    from faultmaven.testing.answers import Question
    from faultmaven.testing.journal import RecordedRequest

_VERTEX = r"(?:/[^/]+)*/publishers/anthropic/models"


class BedrockInvoke(AmazonErrors, AnthropicMessages):
    """`POST /model/{model}/invoke`."""

    name = "bedrock-invoke"
    pattern = re.compile(r"/model/(?P<model>.+)/invoke")
    stream_type: ClassVar[str | None] = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        asked = super().question(request, path)
        return replace(asked, model=path["model"], stream=self.stream_type is not None)


class BedrockInvokeStream(BedrockInvoke):
    """`POST /model/{model}/invoke-with-response-stream`."""

    name = "bedrock-invoke-stream"
    pattern = re.compile(r"/model/(?P<model>.+)/invoke-with-response-stream")
    stream_type = AMAZON_STREAM

    @override
    def frame(self, event: Event) -> bytes:
        if (event.name or "").endswith("Exception"):
            return event_frame(event)
        piece = {"bytes": base64.b64encode(event.text.encode()).decode(), "p": "abcdefgh"}
        return event_frame(Event(dump(piece), event.kind, "chunk"))

    @override
    def comment(self) -> bytes:
        return self.frame(Event({"type": "ping"}))


class VertexAnthropic(AnthropicMessages):
    """`POST …/publishers/anthropic/models/{model}:rawPredict`."""

    name = "vertex-anthropic"
    pattern = re.compile(_VERTEX + r"/(?!count-tokens:)(?P<model>.+):rawPredict")
    stream_type: ClassVar[str | None] = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        asked = super().question(request, path)
        return replace(asked, model=path["model"], stream=self.stream_type is not None)


class VertexAnthropicCountTokens(AnthropicCountTokens):
    """`POST …/publishers/anthropic/models/count-tokens:rawPredict`."""

    name = "vertex-anthropic-count-tokens"
    pattern = re.compile(_VERTEX + r"/count-tokens:rawPredict")


class VertexAnthropicStream(VertexAnthropic):
    """`POST …/publishers/anthropic/models/{model}:streamRawPredict`."""

    name = "vertex-anthropic-stream"
    pattern = re.compile(_VERTEX + r"/(?P<model>.+):streamRawPredict")
    stream_type = EVENT_STREAM
