"""llama.cpp's own routes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.testing.answers import DEFAULT_MODEL, Question
from faultmaven.testing.dialects.base import EVENT_STREAM, Dialect, Event, as_dict

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer
    from faultmaven.testing.journal import RecordedRequest


class LlamaCppCompletion(Dialect):
    """`POST /completion`."""

    name = "llamacpp-completion"
    pattern = re.compile(r"(?:/[^/]+)*/completion")
    stream_type = EVENT_STREAM

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        text = str(body.get("prompt") or "")
        schema = body.get("json_schema")
        return Question(
            model=str(body.get("model") or DEFAULT_MODEL),
            stream=body.get("stream") is True,
            prompt_text=text,
            last_user_text=text,
            output_schema=schema if isinstance(schema, dict) else None,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {"content": answer.text} | _tail(answer)

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        events = [
            Event({"index": 0, "content": chunk, "tokens": [], "stop": False})
            for chunk in answer.chunks
        ]
        return [*events, Event({"content": ""} | _tail(answer), "finish")]


class LlamaCppHealth(Dialect):
    """`GET /health`."""

    name = "llamacpp-health"
    method = "GET"
    pattern = re.compile(r"(?:/v1)?/health")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        return Question()

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {"status": "ok"}


def _tail(answer: Answer) -> dict[str, Any]:
    return {
        "index": 0,
        "model": answer.model,
        "stop": True,
        "stop_type": "limit" if answer.finish_reason == "length" else "eos",
        "stopping_word": "",
        "truncated": False,
        "tokens_cached": answer.usage.cache_read_tokens,
        "tokens_evaluated": answer.usage.input_tokens,
        "tokens_predicted": answer.usage.output_tokens,
        "timings": {
            "prompt_n": answer.usage.input_tokens,
            "predicted_n": answer.usage.output_tokens,
        },
    }
