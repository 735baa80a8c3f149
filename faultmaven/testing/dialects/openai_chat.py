"""OpenAI chat completions, and the older completions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.testing.answers import CREATED, Question, Tool
from faultmaven.testing.dialects.base import (
    DONE,
    EVENT_STREAM,
    Dialect,
    Event,
    as_dict,
    as_list,
    prompt_of,
)

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, TokenUsage
    from faultmaven.testing.journal import RecordedRequest

FINGERPRINT = "fp_fake"


class OpenAIChat(Dialect):
    """`POST …/v1/chat/completions`, and Azure's `/openai/deployments/{model}/chat/completions`.

    Writer's `/v1/chat` is the same under a shorter path, DataRobot's ends in a slash.
    """

    name = "openai-chat"
    pattern = re.compile(
        r"(?:/[^/]+)*/(?:(?:v\d\w*|openai|openai/deployments/(?P<model>[^/]+))/chat/completions/?"
        r"|v1/chat)"
    )
    stream_type: ClassVar[str | None] = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        prompt, last = prompt_of(as_list(body.get("messages")))
        return Question(
            model=str(body.get("model") or path.groupdict().get("model") or ""),
            stream=body.get("stream") is True,
            prompt_text=prompt,
            last_user_text=last,
            tools=openai_tools(body.get("tools")),
            tool_choice=openai_tool_choice(body.get("tool_choice")),
            output_schema=openai_schema(body.get("response_format")),
            wants_reasoning=body.get("reasoning_effort") not in {None, "none", "minimal"},
            include_usage=as_dict(body.get("stream_options")).get("include_usage") is True,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text if answer.chunks or not answer.tool_uses else None,
            "refusal": None,
        }
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.tool_uses:
            message["tool_calls"] = [
                {
                    "id": use.call_id,
                    "type": "function",
                    "function": {"name": use.name, "arguments": use.arguments},
                }
                for use in answer.tool_uses
            ]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        return {
            "id": f"chatcmpl-{answer.answer_id}",
            "object": "chat.completion",
            "created": CREATED,
            "model": answer.model,
            "choices": [choice],
            "usage": openai_usage(answer.usage),
            "system_fingerprint": FINGERPRINT,
        }

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        usage: dict[str, Any] = {"usage": None} if question.include_usage else {}

        def event(delta: dict[str, Any], kind: Any, finish: str | None = None) -> Event:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Event(_chunk(answer, [choice]) | usage, kind)

        events = [event({"role": "assistant", "content": ""}, "start")]
        events += [event({"reasoning_content": c}, "content") for c in answer.reasoning_chunks]
        events += [event({"content": chunk}, "content") for chunk in answer.chunks]
        events += [event({"tool_calls": [d]}, "tool") for d in tool_deltas(answer)]
        events.append(event({}, "finish", answer.finish_reason))
        if question.include_usage:
            last = _chunk(answer, []) | {"usage": openai_usage(answer.usage)}
            events.append(Event(last, "usage"))
        return [*events, Event(DONE, "done")]


class OpenAICompletions(Dialect):
    """`POST …/v1/completions`."""

    name = "openai-completions"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*/completions")
    stream_type = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        prompt = body.get("prompt")
        text = prompt if isinstance(prompt, str) else json.dumps(prompt)
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream") is True,
            prompt_text=text,
            last_user_text=text,
            include_usage=as_dict(body.get("stream_options")).get("include_usage") is True,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return _completion(answer, answer.text, answer.finish_reason) | {
            "usage": openai_usage(answer.usage)
        }

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        events = [Event(_completion(answer, chunk, None)) for chunk in answer.chunks]
        events.append(Event(_completion(answer, "", answer.finish_reason), "finish"))
        if question.include_usage:
            last = _completion(answer, "", None)
            last |= {"choices": [], "usage": openai_usage(answer.usage)}
            events.append(Event(last, "usage"))
        return [*events, Event(DONE, "done")]


def openai_usage(usage: TokenUsage) -> dict[str, Any]:
    """Write usage as chat completions do."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def openai_tools(tools: Any) -> list[Tool]:
    """Read tools in OpenAI's shape, nested or flat."""
    functions = [as_dict(as_dict(tool).get("function", tool)) for tool in as_list(tools)]
    return [Tool(str(f["name"]), as_dict(f.get("parameters"))) for f in functions if "name" in f]


def openai_tool_choice(choice: Any) -> str:
    """Read a tool choice: a word, or the name of the tool that is forced."""
    if isinstance(choice, str):
        return choice.lower()
    if isinstance(choice, dict):
        return str(as_dict(choice.get("function")).get("name") or choice.get("name") or "auto")
    return "auto"


def openai_schema(response_format: Any) -> dict[str, Any] | None:
    """Read the schema that an answer must match, None for text."""
    form = as_dict(response_format)
    if form.get("type") == "json_schema":
        return as_dict(as_dict(form.get("json_schema", form)).get("schema"))
    return {} if form.get("type") == "json_object" else None


def tool_deltas(answer: Answer) -> list[dict[str, Any]]:
    """Write the tool calls as a stream has them: id and name first, then arguments in pieces."""
    deltas: list[dict[str, Any]] = []
    for index, use in enumerate(answer.tool_uses):
        first = {"name": use.name, "arguments": ""}
        deltas.append({"index": index, "id": use.call_id, "type": "function", "function": first})
        deltas += [
            {"index": index, "function": {"arguments": piece}} for piece in pieces(use.arguments)
        ]
    return deltas


def pieces(text: str, size: int = 8) -> list[str]:
    """Cut a text every `size` characters."""
    return [text[i : i + size] for i in range(0, len(text), size)]


def _chunk(answer: Answer, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.answer_id}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    }


def _completion(answer: Answer, text: str, finish: str | None) -> dict[str, Any]:
    return {
        "id": f"cmpl-{answer.answer_id}",
        "object": "text_completion",
        "created": CREATED,
        "model": answer.model,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
    }
