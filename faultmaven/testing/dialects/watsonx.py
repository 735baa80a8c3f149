"""IBM watsonx.ai: chat and embeddings, OpenAI's in most things, and its list of models."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.testing.answers import Question, count_tokens
from faultmaven.testing.dialects.base import EVENT_STREAM, Dialect, Event, as_dict
from faultmaven.testing.dialects.embeddings import inputs_of, vector_of
from faultmaven.testing.dialects.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from faultmaven.testing.answers import Answer
    from faultmaven.testing.journal import RecordedRequest

_CODES = {
    400: "invalid_request_entity",
    401: "authentication_token_not_valid",
    403: "authorization_rejected",
    404: "model_not_supported",
    429: "rate_limit_reached_requests",
}


class WatsonxErrors(Dialect):
    """How watsonx.ai says that something failed."""

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        error = {"code": _CODES.get(status, "internal_error"), "message": message}
        return {"errors": [error], "trace": "fake-trace", "status_code": status}

    @override
    def error_event(self, status: int, message: str, kind: str, code: str | None) -> Event:
        return Event(self.error_body(status, message, kind, code), "content", "error")


class WatsonxChat(WatsonxErrors, OpenAIChat):
    """`POST /ml/v1/text/chat`."""

    name = "watsonx-chat"
    pattern = re.compile(r"/ml/v1/text/chat")
    stream_type: ClassVar[str | None] = None

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        asked = super().question(request, path)
        return replace(
            asked,
            model=str(body.get("model_id") or ""),
            stream=self.stream_type is not None,
            tool_choice=str(body.get("tool_choice_option") or asked.tool_choice),
            include_usage=True,
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return _renamed(super().body(question, answer))

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        # No word says the end; that of the body does.
        return [
            Event(_renamed(event.data), event.kind, "message")
            for event in super().events(question, answer)
            if event.kind != "done"
        ]


class WatsonxChatStream(WatsonxChat):
    """`POST /ml/v1/text/chat_stream`."""

    name = "watsonx-chat-stream"
    pattern = re.compile(r"/ml/v1/text/chat_stream")
    stream_type = EVENT_STREAM


class WatsonxEmbeddings(WatsonxErrors):
    """`POST /ml/v1/text/embeddings`."""

    name = "watsonx-embeddings"
    pattern = re.compile(r"/ml/v1/text/embeddings")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        texts = inputs_of(body.get("inputs"))
        return Question(model=str(body.get("model_id") or ""), texts=texts)

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {
            "model_id": question.model,
            "results": [{"embedding": vector_of(text)} for text in question.texts],
            "input_token_count": sum(count_tokens(text) for text in question.texts),
        }


class WatsonxModels(WatsonxErrors):
    """`GET /ml/v1/foundation_model_specs`."""

    name = "watsonx-models"
    method = "GET"
    pattern = re.compile(r"/ml/v1/foundation_model_specs")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        return Question()

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        models = [{"model_id": question.model, "label": "fake", "provider": "fake"}]
        return {"total_count": 1, "limit": 200, "resources": models}


def _renamed(data: dict[str, Any]) -> dict[str, Any]:
    """Give an object of OpenAI's with what watsonx calls otherwise, and without what it has not."""
    unknown = {"model", "system_fingerprint"}
    kept = {k: v for k, v in data.items() if k not in unknown and (k, v) != ("usage", None)}
    return {**kept, "model_id": data["model"]}
