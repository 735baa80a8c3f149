"""Anthropic Messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.testing.answers import Question, Tool, count_tokens
from faultmaven.testing.dialects.base import (
    EVENT_STREAM,
    Dialect,
    Event,
    as_dict,
    as_list,
    prompt_of,
)
from faultmaven.testing.dialects.openai_chat import pieces

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, TokenUsage
    from faultmaven.testing.journal import RecordedRequest

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages(Dialect):
    """`POST …/v1/messages`."""

    name = "anthropic-messages"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*/messages")
    stream_type: ClassVar[str | None] = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        prompt, last = prompt_of(as_list(body.get("messages")), body.get("system"))
        tools = [as_dict(tool) for tool in as_list(body.get("tools"))]
        form = as_dict(as_dict(body.get("output_config")).get("format"))
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream") is True,
            prompt_text=prompt,
            last_user_text=last,
            tools=[
                Tool(str(t["name"]), as_dict(t.get("input_schema"))) for t in tools if "name" in t
            ],
            tool_choice=_tool_choice(as_dict(body.get("tool_choice"))),
            output_schema=as_dict(form.get("schema")) if form else None,
            wants_reasoning=as_dict(body.get("thinking")).get("type") in ("enabled", "adaptive"),
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return _message(answer, _blocks(answer)) | {
            "stop_reason": _STOP_REASONS[answer.finish_reason],
            "usage": _usage(answer.usage),
        }

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        opened = _message(answer, []) | {"usage": _usage(answer.usage) | {"output_tokens": 1}}
        events = [_event("message_start", "start", message=opened), _event("ping", "start")]
        for index, block in enumerate(_blocks(answer)):
            events += _block_events(answer, index, block)
        delta = {"stop_reason": _STOP_REASONS[answer.finish_reason], "stop_sequence": None}
        usage = _usage(answer.usage)
        events.append(_event("message_delta", "finish", delta=delta, usage=usage))
        return [*events, _event("message_stop", "done")]

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        error = {"type": _ERROR_TYPES.get(status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_fake"}

    @override
    def error_event(self, status: int, message: str, kind: str, code: str | None) -> Event:
        return Event(self.error_body(status, message, kind, code), "content", "error")


class AnthropicCountTokens(AnthropicMessages):
    """`POST …/v1/messages/count_tokens`."""

    name = "anthropic-count-tokens"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*/messages/count_tokens")
    stream_type = None

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {"input_tokens": count_tokens(question.prompt_text)}


def _tool_choice(choice: dict[str, Any]) -> str:
    kind = str(choice.get("type", "auto"))
    return str(choice.get("name", "auto")) if kind == "tool" else kind.replace("any", "required")


def _event(event_type: str, kind: Any, **fields: Any) -> Event:
    return Event({"type": event_type, **fields}, kind, event_type)


def _message(answer: Answer, content: list[Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.answer_id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.reasoning:
        blocks.append(
            {"type": "thinking", "thinking": answer.reasoning, "signature": "ZmFrZS1zaWduYXR1cmU="}
        )
    if answer.chunks or not answer.tool_uses:
        blocks.append({"type": "text", "text": answer.text})
    for use in answer.tool_uses:
        try:
            given = json.loads(use.arguments or "{}")
        except ValueError:
            given = {}
        blocks.append({"type": "tool_use", "id": use.call_id, "name": use.name, "input": given})
    return blocks


def _block_events(answer: Answer, index: int, block: dict[str, Any]) -> list[Event]:
    def delta(kind: Any, **fields: Any) -> Event:
        return _event("content_block_delta", kind, index=index, delta=fields)

    if block["type"] == "text":
        empty = block | {"text": ""}
        deltas = [delta("content", type="text_delta", text=chunk) for chunk in answer.chunks]
    elif block["type"] == "thinking":
        empty = block | {"thinking": "", "signature": ""}
        deltas = [
            delta("content", type="thinking_delta", thinking=c) for c in answer.reasoning_chunks
        ]
        deltas.append(delta("content", type="signature_delta", signature=block["signature"]))
    else:
        empty = block | {"input": {}}
        use = next(u for u in answer.tool_uses if u.call_id == block["id"])
        text = "" if use.arguments == "{}" else use.arguments
        deltas = [
            delta("tool", type="input_json_delta", partial_json=piece) for piece in pieces(text)
        ]
    start = _event("content_block_start", "content", index=index, content_block=empty)
    return [start, *deltas, _event("content_block_stop", "content", index=index)]


def _usage(usage: TokenUsage) -> dict[str, Any]:
    caches = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        # Anthropic counts cache reads and writes outside input_tokens.
        "input_tokens": usage.input_tokens - caches,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    }
