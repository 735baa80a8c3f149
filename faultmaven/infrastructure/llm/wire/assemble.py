"""A whole answer from the chunks of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.types import LLMResponse, Route, ToolCall
from faultmaven.infrastructure.llm.wire.openai_chat import mark_cut_off_call, set_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta


def assemble(chunks: Iterable[LLMChunk]) -> LLMResponse:
    """Join the chunks of one answer."""
    assembly = Assembly()
    for chunk in chunks:
        assembly.add(chunk)
    return assembly.response()


class Assembly:
    """Collects chunks as they come; `response()` may be asked at any time."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._arguments: dict[int, list[str]] = {}
        self._last = LLMResponse("", 0.0, "", "", 0, 0, input_tokens=None, output_tokens=None)

    @property
    def text(self) -> str:
        """The visible text so far."""
        return "".join(self._text)

    def add(self, chunk: LLMChunk) -> None:
        """Take the next chunk."""
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        if chunk.refusal:
            self._refusal.append(chunk.refusal)
        for delta in chunk.tool_calls or ():
            self._add_call(delta)
        last = self._last
        if chunk.reasoning_details:
            last.reasoning_details.extend(chunk.reasoning_details)
        if chunk.media:
            last.media.extend(chunk.media)
        if chunk.usage is not None:
            set_usage(last, chunk.usage)
        if chunk.unsupported:
            last.route = last.route or Route()
            last.route.unsupported = list(chunk.unsupported)
        last.model = chunk.model or last.model
        last.response_id = chunk.response_id or last.response_id
        last.finish_reason = chunk.finish_reason or last.finish_reason
        last.finish_reason_raw = chunk.finish_reason_raw or last.finish_reason_raw

    def response(self) -> LLMResponse:
        """Give the answer as far as it has come."""
        response = self._last
        response.content = self.text
        response.reasoning = "".join(self._reasoning)
        response.refusal = "".join(self._refusal) or None
        for index, call in self._calls.items():
            call["function"]["arguments"] = "".join(self._arguments[index])
        response.tool_calls = [self._calls[index] for index in sorted(self._calls)]
        mark_cut_off_call(response)
        return response

    def _add_call(self, delta: ToolCallDelta) -> None:
        index = delta.index
        if index not in self._calls:
            call = ToolCall.make(delta.id or f"call_{index}", delta.name or "", "")
            call.update(
                {k: v for k, v in delta.items() if k not in ("index", "id", "type", "function")}
            )
            self._calls[index] = call
            self._arguments[index] = []
        elif "extra_content" in delta:
            # A signature may come behind the first piece.
            self._calls[index]["extra_content"] = delta["extra_content"]
        self._arguments[index].append(delta.arguments)
