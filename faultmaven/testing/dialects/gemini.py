"""Google's Gemini API; Vertex AI has the same bodies under longer paths."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.testing.answers import Question, Tool, count_tokens
from faultmaven.testing.dialects.base import (
    EVENT_STREAM,
    JSON_TYPE,
    Dialect,
    Event,
    as_dict,
    as_list,
    prompt_of,
)
from faultmaven.testing.dialects.embeddings import vector_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faultmaven.testing.answers import Answer, TokenUsage
    from faultmaven.testing.journal import RecordedRequest

_FINISH = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    # Gemini says STOP where tools are called, too.
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GeminiGenerate(Dialect):
    """`POST …/v1beta/models/{model}:generateContent`."""

    name = "gemini-generate"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*(?:/[^/]+)*/models/(?P<model>.+):generateContent")

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        turns = [
            {"role": as_dict(turn).get("role", "user"), "content": as_dict(turn).get("parts")}
            for turn in as_list(body.get("contents"))
        ]
        prompt, last = prompt_of(turns, as_dict(_get(body, "systemInstruction")).get("parts"))
        config = as_dict(_get(body, "generationConfig"))
        thinking = as_dict(_get(config, "thinkingConfig"))
        is_json = _get(config, "responseMimeType") == JSON_TYPE
        schema = _get(config, "responseJsonSchema") or _get(config, "responseSchema")
        return Question(
            model=path["model"],
            stream=self.stream_type is not None,
            prompt_text=prompt,
            last_user_text=last,
            tools=_tools(body),
            tool_choice=_tool_choice(body),
            output_schema=_lower_types(as_dict(schema)) if is_json else None,
            wants_reasoning=bool(_get(thinking, "includeThoughts")),
            include_usage=request.query.get("alt") == "sse",
            streams_arguments=bool(_get(_calling(body), "streamFunctionCallArguments")),
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        parts: list[Any] = []
        if answer.reasoning:
            parts.append({"text": answer.reasoning, "thought": True})
        if answer.chunks or not answer.tool_uses:
            parts.append({"text": answer.text})
        return _response(answer, parts + _calls(answer), is_last=True)

    @override
    def events(self, question: Question, answer: Answer) -> list[Event]:
        thoughts = [{"text": chunk, "thought": True} for chunk in answer.reasoning_chunks]
        texts = [{"text": chunk} for chunk in answer.chunks]
        calls = [_calls(answer)] if answer.tool_uses else []
        if question.streams_arguments:
            calls = [[part] for whole in _calls(answer) for part in call_pieces(whole)]
        events = [
            Event(_response(answer, [part], is_last=False), "content") for part in thoughts + texts
        ]
        events += [Event(_response(answer, parts, is_last=False), "tool") for parts in calls]
        last: list[Any] = [{"text": ""}]
        return [*events, Event(_response(answer, last, is_last=True), "finish")]

    @override
    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        details: list[Any] = []
        if status in {400, 401} and kind == "authentication_error":
            reason = "type.googleapis.com/google.rpc.ErrorInfo"
            details.append({"@type": reason, "reason": "API_KEY_INVALID"})
        word = _STATUS.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": word, "details": details}}


class GeminiStream(GeminiGenerate):
    """`POST …/v1beta/models/{model}:streamGenerateContent`, SSE with `alt=sse`, else an array."""

    name = "gemini-stream"
    pattern = re.compile(
        r"(?:/[^/]+)*/v\d\w*(?:/[^/]+)*/models/(?P<model>.+):streamGenerateContent"
    )
    stream_type = EVENT_STREAM

    @override
    def frames(self, question: Question, events: Iterable[Event]) -> list[bytes]:
        if question.include_usage:
            return [self.frame(event) for event in events]
        texts = [event.text for event in events]
        opened = [("[" if index == 0 else ",\r\n") + text for index, text in enumerate(texts)]
        return [text.encode() for text in [*opened, "]"]]


class GeminiEmbed(GeminiGenerate):
    """`POST …/v1beta/models/{model}:embedContent` and `:batchEmbedContents`."""

    name = "gemini-embed"
    pattern = re.compile(
        r"(?:/[^/]+)*/v\d\w*(?:/[^/]+)*/models/(?P<model>.+):(?P<verb>embedContent|batchEmbedContents)"
    )

    @override
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        body = as_dict(request.json)
        is_batch = path["verb"] == "batchEmbedContents"
        items = as_list(body.get("requests")) if is_batch else [body]
        sizes = [_get(as_dict(item), "outputDimensionality") for item in items]
        return Question(
            model=path["model"],
            texts=[
                " ".join(
                    str(as_dict(part).get("text", ""))
                    for part in as_list(as_dict(as_dict(item).get("content")).get("parts"))
                )
                for item in items
            ],
            dimensions=next((size for size in sizes if isinstance(size, int)), 8),
            embedding_format=path["verb"],
        )

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        vectors = [{"values": vector_of(t, question.dimensions)} for t in question.texts]
        if question.embedding_format == "embedContent":
            return {"embedding": vectors[0]}
        return {"embeddings": vectors}


class GeminiCountTokens(GeminiGenerate):
    """`POST …/v1beta/models/{model}:countTokens`."""

    name = "gemini-count-tokens"
    pattern = re.compile(r"(?:/[^/]+)*/v\d\w*(?:/[^/]+)*/models/(?P<model>.+):countTokens")

    @override
    def body(self, question: Question, answer: Answer) -> Any:
        return {"totalTokens": count_tokens(question.prompt_text)}


def _get(data: dict[str, Any], camel: str) -> Any:
    """Read a field by its name, or its name in snake case, which Gemini takes as well."""
    snake = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", camel)
    return data.get(camel, data.get(snake))


def _tools(body: dict[str, Any]) -> list[Tool]:
    declared = [
        as_dict(function)
        for tool in as_list(body.get("tools"))
        for function in as_list(_get(as_dict(tool), "functionDeclarations"))
    ]
    return [
        Tool(
            str(f["name"]),
            _lower_types(as_dict(_get(f, "parametersJsonSchema") or f.get("parameters"))),
        )
        for f in declared
        if "name" in f
    ]


def _calling(body: dict[str, Any]) -> dict[str, Any]:
    return as_dict(_get(as_dict(_get(body, "toolConfig")), "functionCallingConfig"))


def _tool_choice(body: dict[str, Any]) -> str:
    config = _calling(body)
    mode = str(config.get("mode", "AUTO"))
    allowed = as_list(_get(config, "allowedFunctionNames"))
    if mode == "ANY":
        return str(allowed[0]) if len(allowed) == 1 else "required"
    return mode.lower()


def _lower_types(schema: Any) -> Any:
    """Give a schema whose types may be written in capitals in JSON Schema's words."""
    if isinstance(schema, list):
        return [_lower_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else _lower_types(value)
        for key, value in schema.items()
    }


def _calls(answer: Answer) -> list[Any]:
    parts: list[Any] = []
    for use in answer.tool_uses:
        try:
            args = json.loads(use.arguments or "{}")
        except ValueError:
            args = {}
        call = {"id": use.call_id, "name": use.name, "args": args}
        parts.append({"functionCall": call, "thoughtSignature": "ZmFrZS1zaWduYXR1cmU="})
    return parts


def call_pieces(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a call as Vertex AI does: its name, its values one by one, and mostly an empty call as the end.

    Values that are neither text nor a number, true, false or null have no piece of their own.
    """
    call = whole["functionCall"]
    pieces = [piece for path, value in _leaves(call["args"], "$") for piece in _cut(path, value)]
    if not pieces:
        name = {"id": call["id"], "name": call["name"]}
        return [{**whole, "functionCall": name}]
    begun = {"id": call["id"], "name": call["name"], "willContinue": True}
    parts = [{"functionCall": {"partialArgs": [p], "willContinue": True}} for p in pieces]
    if "stringValue" in pieces[-1]:
        parts.append({"functionCall": {}})
    else:
        del parts[-1]["functionCall"]["willContinue"]
    return [{**whole, "functionCall": begun}, *parts]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            is_plain = re.fullmatch(r"\w+", name)
            step = f".{name}" if is_plain else f"[{json.dumps(name, ensure_ascii=False)}]"
            yield from _leaves(item, path + step)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _cut(path: str, value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        half = (len(value) + 1) // 2
        return [
            {"jsonPath": path, "stringValue": value[:half], "willContinue": True},
            {"jsonPath": path, "stringValue": value[half:]},
        ]
    if value is None:
        return [{"jsonPath": path, "nullValue": None}]
    kind = "boolValue" if isinstance(value, bool) else "numberValue"
    return [{"jsonPath": path, kind: value}]


def _response(answer: Answer, parts: list[Any], *, is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if is_last:
        candidate["finishReason"] = _FINISH[answer.finish_reason]
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(answer.usage),
        "modelVersion": answer.model,
        "responseId": answer.answer_id,
    }


def _usage(usage: TokenUsage) -> dict[str, Any]:
    counts = {
        "promptTokenCount": usage.input_tokens,
        # Gemini counts thoughts outside candidates.
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cache_read_tokens:
        counts["cachedContentTokenCount"] = usage.cache_read_tokens
    return counts
