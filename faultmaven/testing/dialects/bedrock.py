"""Amazon Bedrock Converse, with its binary event stream."""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.testing.answers import Question, Tool
from faultmaven.testing.dialects.base import Dialect, Event, EventKind, as_dict, as_list, prompt_of
from faultmaven.testing.dialects.openai_chat import pieces

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, TokenUsage
    from faultmaven.testing.journal import RecordedRequest

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_STRING_TYPE = 7
AMAZON_STREAM = "application/vnd.amazon.eventstream"


class AmazonErrors(Dialect):
    """How Amazon says that something failed."""

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        return {"message": message}

    @override
    def error_headers(self, status: int) -> list[tuple[str, str]]:
        return [("x-amzn-ErrorType", _EXCEPTIONS.get(status, "InternalServerException"))]

    @override
    def error_event(self, status: int, message: str, kind: str, code: str | None) -> Event:
        name = _EXCEPTIONS.get(status, "InternalServerException")
        return Event({"message": message}, "content", name[0].lower() + name[1:])


class BedrockConverse(AmazonErrors):
    """`POST /model/{model}/converse`."""

    name = "bedrock-converse"
    pattern = re.compile(r"/model/(?P<model>.+)/converse")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        config = as_dict(body.get("toolConfig"))
        extra = as_dict(body.get("additionalModelRequestFields"))
        prompt, last = prompt_of(as_list(body.get("messages")), body.get("system"))
        return Question(
            model=path["model"],
            stream=self.stream_type is not None,
            prompt_text=prompt,
            last_user_text=last,
            tools=_tools(config),
            tool_choice=_tool_choice(as_dict(config.get("toolChoice"))),
            output_schema=_schema(body),
            wants_reasoning="thinking" in extra or "reasoning_config" in extra,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {
            "output": {"message": {"role": "assistant", "content": _blocks(answer)}},
            "stopReason": _STOP_REASONS[answer.finish_reason],
            "usage": _usage(answer.usage),
            "metrics": {"latencyMs": 1},
        }

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        events = [_event("messageStart", "start", role="assistant")]
        for index, block in enumerate(_blocks(answer)):
            events += _block_events(answer, index, block)
        reason = _STOP_REASONS[answer.finish_reason]
        events.append(_event("messageStop", "finish", stopReason=reason))
        end = {"usage": _usage(answer.usage), "metrics": {"latencyMs": 1}}
        return [*events, _event("metadata", "usage", **end)]

    @override
    def frame(self, event: Event) -> bytes:
        return event_frame(event)

    @override
    def comment(self) -> bytes:
        return self.frame(Event({}, "content", "keepAlive"))


class BedrockConverseStream(BedrockConverse):
    """`POST /model/{model}/converse-stream`."""

    name = "bedrock-converse-stream"
    pattern = re.compile(r"/model/(?P<model>.+)/converse-stream")
    stream_type = AMAZON_STREAM


def event_frame(event: Event) -> bytes:
    """Write an event, or an exception in the place of one, as a frame."""
    kind = "exception" if (event.name or "").endswith("Exception") else "event"
    headers = {
        f":{kind}-type": event.name or "chunk",
        ":content-type": "application/json",
        ":message-type": kind,
    }
    return event_stream_frame(headers, event.text.encode())


def event_stream_frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Write one frame of an AWS event stream, both checksums included."""
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return frame + struct.pack("!I", zlib.crc32(frame))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack("!BH", _STRING_TYPE, len(value)) + value


def _tools(config: dict[str, Any]) -> list[Tool]:
    specs = [as_dict(as_dict(tool).get("toolSpec")) for tool in as_list(config.get("tools"))]
    return [
        Tool(str(spec["name"]), as_dict(as_dict(spec.get("inputSchema")).get("json")))
        for spec in specs
        if "name" in spec
    ]


def _tool_choice(choice: dict[str, Any]) -> str:
    if "tool" in choice:
        return str(as_dict(choice["tool"]).get("name"))
    return "required" if "any" in choice else "auto"


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    form = as_dict(as_dict(body.get("outputConfig")).get("textFormat"))
    text = as_dict(as_dict(form.get("structure")).get("jsonSchema")).get("schema")
    return as_dict(json.loads(text)) if isinstance(text, str) else None


def _event(name: str, kind: EventKind = "content", **fields: Any) -> Event:
    return Event(fields, kind, name)


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.reasoning:
        text = {"text": answer.reasoning, "signature": "ZmFrZS1zaWduYXR1cmU="}
        blocks.append({"reasoningContent": {"reasoningText": text}})
    if answer.chunks or not answer.tool_uses:
        blocks.append({"text": answer.text})
    for use in answer.tool_uses:
        try:
            given = json.loads(use.arguments or "{}")
        except ValueError:
            given = {}
        blocks.append({"toolUse": {"toolUseId": use.call_id, "name": use.name, "input": given}})
    return blocks


def _block_events(answer: Answer, index: int, block: dict[str, Any]) -> list[Event]:
    place = {"contentBlockIndex": index}

    def delta(kind: EventKind, **fields: Any) -> Event:
        return _event("contentBlockDelta", kind, delta=fields, **place)

    events: list[Event] = []
    if "text" in block:
        events = [delta("content", text=chunk) for chunk in answer.chunks]
    elif "reasoningContent" in block:
        signature = block["reasoningContent"]["reasoningText"]["signature"]
        events = [delta("content", reasoningContent={"text": c}) for c in answer.reasoning_chunks]
        events.append(delta("content", reasoningContent={"signature": signature}))
    else:
        use = next(u for u in answer.tool_uses if u.call_id == block["toolUse"]["toolUseId"])
        start = {"toolUse": {"toolUseId": use.call_id, "name": use.name}}
        events = [_event("contentBlockStart", "tool", start=start, **place)]
        events += [delta("tool", toolUse={"input": piece}) for piece in pieces(use.arguments)]
    return [*events, _event("contentBlockStop", "content", **place)]


def _usage(usage: TokenUsage) -> dict[str, Any]:
    caches = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        # Bedrock counts cache reads and writes outside inputTokens.
        "inputTokens": usage.input_tokens - caches,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }
