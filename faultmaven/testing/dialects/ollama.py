"""Ollama's own API."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.testing.answers import Question, count_tokens
from faultmaven.testing.dialects.base import Dialect, Event, as_dict, as_list, prompt_of
from faultmaven.testing.dialects.embeddings import inputs_of, vector_of
from faultmaven.testing.dialects.openai_chat import openai_tools

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer, ToolUse
    from faultmaven.testing.journal import RecordedRequest

_CREATED_AT = "2026-01-01T00:00:00Z"


class OllamaChat(Dialect):
    """`POST /api/chat`."""

    name = "ollama-chat"
    pattern = re.compile(r"(?:/[^/]+)*/api/chat")
    stream_type: ClassVar[str | None] = "application/x-ndjson"

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        form = body.get("format")
        prompt, last = prompt_of(as_list(body.get("messages")))
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream", True) is True,
            prompt_text=prompt,
            last_user_text=last,
            tools=openai_tools(body.get("tools")),
            output_schema={} if form == "json" else (form if isinstance(form, dict) else None),
            wants_reasoning=bool(body.get("think")),
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return (
            _head(answer)
            | self._content(answer.text, answer.reasoning, answer.tool_uses)
            | _tail(answer)
        )

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        head = _head(answer)
        going = {"done": False}
        events = [
            Event(head | self._content("", chunk, ()) | going) for chunk in answer.reasoning_chunks
        ]
        events += [Event(head | self._content(chunk, "", ()) | going) for chunk in answer.chunks]
        if answer.tool_uses:
            events.append(Event(head | self._content("", "", answer.tool_uses) | going, "tool"))
        return [*events, Event(head | self._content("", "", ()) | _tail(answer), "finish")]

    @override
    def frame(self, event: Event) -> bytes:
        return f"{event.text}\n".encode()

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        return {"error": message}

    def _content(self, text: str, reasoning: str, tool_uses: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reasoning:
            message["thinking"] = reasoning
        if tool_uses:
            message["tool_calls"] = [{"function": _function(use)} for use in tool_uses]
        return {"message": message}


class OllamaGenerate(OllamaChat):
    """`POST /api/generate`."""

    name = "ollama-generate"
    pattern = re.compile(r"(?:/[^/]+)*/api/generate")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        text = str(body.get("prompt") or "")
        form = body.get("format")
        return Question(
            model=str(body.get("model") or ""),
            stream=body.get("stream", True) is True,
            prompt_text="\n".join(filter(None, [str(body.get("system") or ""), text])),
            last_user_text=text,
            output_schema={} if form == "json" else (form if isinstance(form, dict) else None),
            wants_reasoning=bool(body.get("think")),
        )

    @override
    def _content(self, text: str, reasoning: str, tool_uses: Any) -> dict[str, Any]:
        return {"response": text} | ({"thinking": reasoning} if reasoning else {})


class OllamaEmbed(OllamaChat):
    """`POST /api/embed`."""

    name = "ollama-embed"
    pattern = re.compile(r"(?:/[^/]+)*/api/embed")
    stream_type = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        return Question(model=str(body.get("model") or ""), texts=inputs_of(body.get("input")))

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {
            "model": question.model,
            "embeddings": [vector_of(text) for text in question.texts],
            "total_duration": 1_000_000,
            "load_duration": 0,
            "prompt_eval_count": sum(count_tokens(text) for text in question.texts),
        }


class OllamaTags(OllamaChat):
    """`GET /api/tags`."""

    name = "ollama-tags"
    method = "GET"
    pattern = re.compile(r"(?:/[^/]+)*/api/tags")
    stream_type = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        return Question()

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        details = {"format": "gguf", "family": "fake", "parameter_size": "1B"}
        model = {"name": question.model, "model": question.model, "details": details}
        return {"models": [model | {"modified_at": _CREATED_AT, "size": 1, "digest": "0" * 64}]}


class OllamaVersion(OllamaTags):
    """`GET /api/version`."""

    name = "ollama-version"
    pattern = re.compile(r"(?:/[^/]+)*/api/version")

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {"version": "0.0.0-fake"}


def _function(use: ToolUse) -> dict[str, Any]:
    try:
        return {"name": use.name, "arguments": json.loads(use.arguments or "{}")}
    except ValueError:
        return {"name": use.name, "arguments": use.arguments}


def _head(answer: Answer) -> dict[str, Any]:
    return {"model": answer.model, "created_at": _CREATED_AT}


def _tail(answer: Answer) -> dict[str, Any]:
    return {
        "done": True,
        # Ollama says "stop" where tools are called, too.
        "done_reason": "length" if answer.finish_reason == "length" else "stop",
        "total_duration": 3_000_000,
        "load_duration": 0,
        "prompt_eval_count": answer.usage.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": answer.usage.output_tokens,
        "eval_duration": 2_000_000,
    }
