"""Anthropic Messages, the gateway's side: answers and streams out, in the API's exact grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import shown_usage
from faultmaven.infrastructure.llm.wire.anthropic_blocks import REASONING_FORMAT
from faultmaven.infrastructure.llm.wire.anthropic_messages import FINISH_REASONS
from faultmaven.infrastructure.llm.wire.anthropic_seal import call_to_wire, is_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import (
        FinishReason,
        LLMChunk,
        LLMResponse,
        ToolCallDelta,
    )

_STOP_REASONS: Final[dict[FinishReason | None, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    None: "end_turn",
}


def response_to_wire(response: LLMResponse) -> dict[str, Any]:
    """Build the body of an answer."""
    blocks = [
        block for d in response.reasoning_details if (block := detail_to_wire(d)) is not None
    ]
    if response.reasoning and not any(block["type"] == "thinking" for block in blocks):
        first: dict[str, Any] = {"type": "thinking", "thinking": response.reasoning}
        if blocks and is_sealed(blocks[0]):
            first["signature"] = blocks.pop(0)["data"]
        blocks.insert(0, {"signature": "", **first})
    if text := response.content + (response.refusal or ""):
        blocks.append({"type": "text", "text": text})
    for call in response.tool_calls:
        if beside := call_to_wire(call):
            blocks.append(beside)
        arguments = content.arguments_object(call.arguments_raw)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return {
        "id": message_id(response.response_id),
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": blocks,
        "stop_reason": stop_reason(response.finish_reason, response.finish_reason_raw),
        "stop_sequence": None,
        "usage": usage_to_wire(shown_usage(response)),
    }


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Give token counts as this API has them: cache reads and writes apart from `input_tokens`."""
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    counts: dict[str, Any] = {
        "input_tokens": max(0, (usage.input_tokens or 0) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


def stop_reason(reason: FinishReason | None, raw: str | None) -> str:
    """Say a finish reason in this API's words; the provider's own where it is one of them."""
    if raw is not None and reason is not None and FINISH_REASONS.get(raw) == reason:
        return raw
    return _STOP_REASONS[reason]


def message_id(response_id: str | None) -> str:
    """Give the id of an answer, which this API's clients expect to begin with `msg_`."""
    if response_id and response_id.startswith("msg_"):
        return response_id
    return f"msg_{response_id or 'unnamed'}"


def detail_to_wire(detail: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the block of one piece of thinking, sealed where only another dialect can read it.

    None is for what is in no form that a client would send back.
    """
    if detail.get("format") not in (None, REASONING_FORMAT):
        if detail.get("type") == "reasoning.text":
            text = str(detail.get("text") or "")
            return {"type": "thinking", "thinking": text, "signature": seal(detail)}
        return {"type": "redacted_thinking", "data": seal(detail)}
    if detail.get("type") == "reasoning.text":
        signature = str(detail.get("signature") or "")
        return {
            "type": "thinking",
            "thinking": str(detail.get("text") or ""),
            "signature": signature,
        }
    if detail.get("type") == "reasoning.encrypted":
        return {"type": "redacted_thinking", "data": detail.get("data")}
    return None


class StreamEncoder:
    """Writes one answer: `encode` each chunk, then `end`, or `error` instead.

    One block is open at a time, as the API has it.  Of several tool calls that come interleaved the first
    is passed on as it comes, and the others when it is complete.

    Args:
        response_id: one for the answer; None takes the first chunk's.
        model: the name that the client is told.
    """

    def __init__(self, response_id: str | None, model: str) -> None:
        self._response_id = response_id
        self._model = model
        self._started = False
        self._index = -1
        self._open: str | None = None
        self._call: int | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._usage = Usage()
        self._reason: FinishReason | None = None
        self._reason_raw: str | None = None

    def encode(self, chunk: LLMChunk) -> bytes:
        """Give the events of one chunk, `b""` where it has none."""
        events: list[bytes] = []
        if not self._started:
            self._start(chunk, events)
        if chunk.reasoning:
            self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""}, events)
            self._delta({"type": "thinking_delta", "thinking": chunk.reasoning}, events)
        for detail in chunk.reasoning_details or ():
            self._detail(detail, events)
        if text := chunk.text + (chunk.refusal or ""):
            self._enter("text", {"type": "text", "text": ""}, events)
            self._delta({"type": "text_delta", "text": text}, events)
        for piece in chunk.tool_calls or ():
            self._tool(piece, events)
        self._usage = chunk.usage or self._usage
        self._reason = chunk.finish_reason or self._reason
        self._reason_raw = chunk.finish_reason_raw or self._reason_raw
        return b"".join(events)

    def end(self) -> bytes:
        """Give the events that end the answer."""
        events: list[bytes] = []
        if not self._started:
            self._start(None, events)
        self._leave(events)
        delta = {"stop_reason": stop_reason(self._reason, self._reason_raw), "stop_sequence": None}
        usage = usage_to_wire(self._usage)
        events.append(_event({"type": "message_delta", "delta": delta, "usage": usage}))
        events.append(_event({"type": "message_stop"}))
        return b"".join(events)

    def _start(self, chunk: LLMChunk | None, events: list[bytes]) -> None:
        self._started = True
        response_id = self._response_id or (chunk.response_id if chunk else None)
        message: dict[str, Any] = {
            "id": message_id(response_id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_to_wire(Usage()),
        }
        events.append(_event({"type": "message_start", "message": message}))

    def _enter(self, kind: str, block: dict[str, Any], events: list[bytes]) -> None:
        """Open a block unless one of its kind is open."""
        if self._open == kind:
            return
        self._leave(events)
        self._open_block(kind, block, events)

    def _open_block(self, kind: str, block: dict[str, Any], events: list[bytes]) -> None:
        self._index += 1
        self._open = kind
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        events.append(_event(start))

    def _delta(self, delta: dict[str, Any], events: list[bytes]) -> None:
        events.append(
            _event({"type": "content_block_delta", "index": self._index, "delta": delta})
        )

    def _close_block(self, events: list[bytes]) -> None:
        if self._open is not None:
            events.append(_event({"type": "content_block_stop", "index": self._index}))
            self._open = None

    def _leave(self, events: list[bytes]) -> None:
        """Close the open block, and write the calls that waited behind it."""
        self._close_block(events)
        self._call = None
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            self._beside(call.beside, events)
            self._open_block("tool_use", call.block, events)
            self._input("".join(call.arguments), events)
            self._close_block(events)

    def _detail(self, detail: dict[str, Any], events: list[bytes]) -> None:
        block = detail_to_wire(detail)
        if block is None:
            return
        if self._open == "thinking" and is_sealed(block):
            self._delta({"type": "signature_delta", "signature": block["data"]}, events)
            self._leave(events)
        elif block["type"] == "redacted_thinking":
            self._leave(events)
            self._open_block("redacted_thinking", block, events)
            self._close_block(events)
        elif block["signature"]:
            # The thinking itself has come as text before; what was left out has its signature only.
            self._enter("thinking", {**block, "thinking": "", "signature": ""}, events)
            self._delta({"type": "signature_delta", "signature": block["signature"]}, events)
            self._leave(events)

    def _tool(self, piece: ToolCallDelta, events: list[bytes]) -> None:
        if self._call == piece.index:
            self._input(piece.arguments, events)
            return
        waiting = self._waiting.get(piece.index)
        if waiting is not None:
            waiting.arguments.append(piece.arguments)
            return
        block: dict[str, Any] = {
            "type": "tool_use",
            "id": piece.id,
            "name": piece.name,
            "input": {},
        }
        beside = call_to_wire(piece)
        if self._call is not None:
            self._waiting[piece.index] = _Waiting(block, piece.arguments, beside)
            return
        self._leave(events)
        self._beside(beside, events)
        self._open_block("tool_use", block, events)
        self._call = piece.index
        self._input(piece.arguments, events)

    def _beside(self, block: dict[str, Any] | None, events: list[bytes]) -> None:
        """Write what belongs to a call in a block before it."""
        if block is not None:
            self._open_block("redacted_thinking", block, events)
            self._close_block(events)

    def _input(self, text: str, events: list[bytes]) -> None:
        if text:
            self._delta({"type": "input_json_delta", "partial_json": text}, events)


class _Waiting:
    """A tool call that came while another was open."""

    __slots__ = ("arguments", "beside", "block")

    def __init__(
        self, block: dict[str, Any], arguments: str, beside: dict[str, Any] | None
    ) -> None:
        self.block = block
        self.arguments = [arguments]
        self.beside = beside


def _event(data: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), codec.dumps(data))
