"""Cohere v2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.testing.answers import Question, count_tokens
from faultmaven.testing.dialects.base import (
    EVENT_STREAM,
    Dialect,
    Event,
    EventKind,
    as_dict,
    as_list,
    prompt_of,
)
from faultmaven.testing.dialects.embeddings import vector_of
from faultmaven.testing.dialects.openai_chat import openai_tools, pieces

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, TokenUsage, ToolUse
    from faultmaven.testing.journal import RecordedRequest

_FINISH = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}


class CohereChat(Dialect):
    """`POST …/v2/chat`."""

    name = "cohere-chat"
    pattern = re.compile(r"(?:/[^/]+)*/v2/chat")
    stream_type: ClassVar[str | None] = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        prompt, last = prompt_of(as_list(body.get("messages")))
        form = as_dict(body.get("response_format"))
        schema = as_dict(form.get("json_schema") or form.get("schema"))
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream") is True,
            prompt_text=prompt,
            last_user_text=last,
            tools=openai_tools(body.get("tools")),
            tool_choice=str(body.get("tool_choice") or "auto").lower(),
            output_schema=schema if form.get("type") == "json_object" else None,
            wants_reasoning=as_dict(body.get("thinking")).get("type") == "enabled",
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        message: dict[str, Any] = {"role": "assistant"}
        content = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning})
        if answer.chunks or not answer.tool_uses:
            content.append({"type": "text", "text": answer.text})
        if content:
            message["content"] = content
        if answer.tool_uses:
            message["tool_calls"] = [_call(use, use.arguments) for use in answer.tool_uses]
        return {
            "id": answer.answer_id,
            "finish_reason": _FINISH[answer.finish_reason],
            "message": message,
            "usage": _usage(answer.usage),
        }

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        start = {"delta": {"message": {"role": "assistant", "content": []}}}
        events = [_event("message-start", "start", id=answer.answer_id, **start)]
        blocks = [("thinking", answer.reasoning_chunks), ("text", answer.chunks)]
        for index, (kind, chunks) in enumerate([block for block in blocks if block[1]]):
            events.append(_content("content-start", index, {"type": kind, kind: ""}))
            events += [_content("content-delta", index, {kind: chunk}) for chunk in chunks]
            events.append(_event("content-end", index=index))
        for index, use in enumerate(answer.tool_uses):
            events += _call_events(index, use)
        end = {"finish_reason": _FINISH[answer.finish_reason], "usage": _usage(answer.usage)}
        return [*events, _event("message-end", "finish", delta=end)]

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        return {"id": "fake-error", "message": message}


class CohereEmbed(CohereChat):
    """`POST …/v2/embed`."""

    name = "cohere-embed"
    pattern = re.compile(r"(?:/[^/]+)*/v2/embed")
    stream_type = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        size = body.get("output_dimension")
        return Question(
            model=str(body.get("model") or ""),
            texts=[str(text) for text in as_list(body.get("texts"))],
            dimensions=size if isinstance(size, int) else 8,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        tokens = sum(count_tokens(text) for text in question.texts)
        return {
            "id": answer.answer_id,
            "texts": list(question.texts),
            "embeddings": {"float": [vector_of(t, question.dimensions) for t in question.texts]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
            "response_type": "embeddings_by_type",
        }


def _event(event_type: str, kind: EventKind = "content", **fields: Any) -> Event:
    return Event({"type": event_type, **fields}, kind, event_type)


def _content(event_type: str, index: int, content: dict[str, Any]) -> Event:
    return _event(event_type, index=index, delta={"message": {"content": content}})


def _call(use: ToolUse, arguments: str) -> dict[str, Any]:
    function = {"name": use.name, "arguments": arguments}
    return {"id": use.call_id, "type": "function", "function": function}


def _call_events(index: int, use: ToolUse) -> list[Event]:
    def event(event_type: str, calls: dict[str, Any]) -> Event:
        delta = {"message": {"tool_calls": calls}}
        return _event(event_type, "tool", index=index, delta=delta)

    return [
        event("tool-call-start", _call(use, "")),
        *(
            event("tool-call-delta", {"function": {"arguments": piece}})
            for piece in pieces(use.arguments)
        ),
        _event("tool-call-end", "tool", index=index),
    ]


def _usage(usage: TokenUsage) -> dict[str, Any]:
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": usage.cache_read_tokens}
