"""OpenAI Responses, with the whole grammar of its stream."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.testing.answers import CREATED, Question
from faultmaven.testing.dialects.base import (
    EVENT_STREAM,
    Dialect,
    Event,
    EventKind,
    as_dict,
    as_list,
    prompt_of,
)
from faultmaven.testing.dialects.openai_chat import (
    openai_schema,
    openai_tool_choice,
    openai_tools,
    pieces,
)

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, TokenUsage
    from faultmaven.testing.journal import RecordedRequest


class OpenAIResponses(Dialect):
    """`POST …/v1/responses`."""

    name = "openai-responses"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*/responses")
    stream_type = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        given = body.get("input")
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else as_list(given)
        prompt, last = prompt_of(turns, body.get("instructions"))
        effort = as_dict(body.get("reasoning")).get("effort")
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream") is True,
            prompt_text=prompt,
            last_user_text=last,
            tools=openai_tools(body.get("tools")),
            tool_choice=openai_tool_choice(body.get("tool_choice")),
            output_schema=openai_schema(as_dict(body.get("text")).get("format")),
            wants_reasoning=effort not in {None, "none", "minimal"},
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return _response(answer, _status(answer), _items(answer))

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        return _Writer(answer).write()

    @override
    def error_event(self, status: int, message: str, kind: str, code: str | None) -> Event:
        data = {"type": "error", "code": code or kind, "message": message, "param": None}
        return Event(data, "content", "error")


class _Writer:
    """Numbers the events of one stream."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._events: list[Event] = []

    def write(self) -> list[Event]:
        answer, items = self._answer, _items(self._answer)
        opened = _response(answer, "in_progress", []) | {"usage": None}
        self._add("response.created", "start", response=opened)
        self._add("response.in_progress", "start", response=opened)
        for index, item in enumerate(items):
            self._item(index, item)
        status = _status(answer)
        response = _response(answer, status, items)
        self._add(f"response.{status}", "finish", response=response)
        return self._events

    def _add(self, event_type: str, kind: EventKind = "content", **fields: Any) -> None:
        data = {"type": event_type, "sequence_number": len(self._events), **fields}
        self._events.append(Event(data, kind, event_type))

    def _item(self, index: int, item: dict[str, Any]) -> None:
        place: dict[str, Any] = {"output_index": index}
        started: dict[str, Any] = item | {"status": "in_progress"} | _EMPTY[item["type"]]
        self._add("response.output_item.added", item=started, **place)
        place_in_item = place | {"item_id": item["id"]}
        if item["type"] == "message":
            self._message(item, place_in_item | {"content_index": 0})
        elif item["type"] == "reasoning":
            self._reasoning(item, place_in_item | {"summary_index": 0})
        else:
            for piece in pieces(item["arguments"]):
                self._add(
                    "response.function_call_arguments.delta", "tool", delta=piece, **place_in_item
                )
            done = {"name": item["name"], "arguments": item["arguments"]}
            self._add("response.function_call_arguments.done", "tool", **done, **place_in_item)
        self._add("response.output_item.done", item=item, **place)

    def _message(self, item: dict[str, Any], place: dict[str, Any]) -> None:
        part = item["content"][0]
        self._add("response.content_part.added", part=part | {"text": ""}, **place)
        for chunk in self._answer.chunks:
            self._add("response.output_text.delta", delta=chunk, logprobs=[], **place)
        self._add("response.output_text.done", text=part["text"], logprobs=[], **place)
        self._add("response.content_part.done", part=part, **place)

    def _reasoning(self, item: dict[str, Any], place: dict[str, Any]) -> None:
        part = item["summary"][0]
        self._add("response.reasoning_summary_part.added", part=part | {"text": ""}, **place)
        for chunk in self._answer.reasoning_chunks:
            self._add("response.reasoning_summary_text.delta", delta=chunk, **place)
        self._add("response.reasoning_summary_text.done", text=part["text"], **place)
        self._add("response.reasoning_summary_part.done", part=part, **place)


_EMPTY: dict[str, dict[str, Any]] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
}


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish_reason in {"length", "content_filter"} else "completed"


def _items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.reasoning:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        item = {"id": f"rs_{answer.answer_id}", "type": "reasoning", "summary": summary}
        # What a client without a store sends back; OpenAI gives it where `include` asks.
        items.append(item | {"encrypted_content": "ZmFrZS1zaWduYXR1cmU="})
    if answer.chunks or not answer.tool_uses:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        items.append(
            {
                "id": f"msg_{answer.answer_id}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    items += [
        {
            "id": f"fc_{answer.answer_id}_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": use.call_id,
            "name": use.name,
            "arguments": use.arguments,
        }
        for index, use in enumerate(answer.tool_uses)
    ]
    return items


def _response(answer: Answer, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish_reason) if status == "incomplete" else None
    return {
        "id": f"resp_{answer.answer_id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": json.loads(json.dumps(output)),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _usage(answer.usage),
    }


def _usage(usage: TokenUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
