"""The bodies that `/openapi.json` describes: what the gateway takes, and what it answers."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string", "minLength": 1}
MODEL: Final[Schema] = {"type": "string", "pattern": "^[!-~][ -~]{0,255}$"}
_NUMBER: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": ["integer", "null"]}
_FLAG: Final[Schema] = {"type": ["boolean", "null"]}
_OBJECT: Final[Schema] = {"type": "object"}
_TEXT_OR_LIST: Final[Schema] = {"type": ["string", "array", "null"]}
_MESSAGES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
            "content": {"type": ["string", "array", "null"], "items": _OBJECT},
        },
    },
}
_TURNS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"enum": ["user", "assistant", "system"]},
            "content": {"type": ["string", "array"], "items": _OBJECT},
        },
    },
}
_TEXT_OR_LIST_OF: Final[Schema] = {"type": ["string", "array"], "minLength": 1, "minItems": 1}
_TOOLS: Final[Schema] = {"type": ["array", "null"], "items": _OBJECT}
_CONTENT: Final[Schema] = _OBJECT | {
    "required": ["parts"],
    "properties": {
        "role": {"enum": ["user", "model"]},
        "parts": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "minProperties": 1, "properties": {"text": TEXT}},
        },
    },
}


def _request(required: list[str], **fields: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": fields}


def _answer(**fields: Schema) -> Schema:
    return {"type": "object", "required": list(fields), "properties": fields}


_SAMPLING: Final[dict[str, Schema]] = {
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "stream": _FLAG,
}
SCHEMAS: Final[dict[str, Schema]] = {
    "Any": _OBJECT,
    "ChatRequest": _request(
        ["model", "messages"],
        model=MODEL,
        messages=_MESSAGES,
        max_tokens=_COUNT,
        max_completion_tokens=_COUNT,
        stop=_TEXT_OR_LIST,
        seed=_COUNT,
        tools=_TOOLS,
        tool_choice={"type": ["string", "object", "null"]},
        response_format={"type": ["object", "null"]},
        stream_options={"type": ["object", "null"]},
        **_SAMPLING,
    ),
    "Chat": _answer(id=TEXT, object={"const": "chat.completion"}, choices={"type": "array"}),
    "CompletionRequest": _request(
        ["model", "prompt"],
        model=MODEL,
        prompt=_TEXT_OR_LIST_OF | {"maxItems": 1, "items": TEXT},
        max_tokens=_COUNT,
        stop=_TEXT_OR_LIST,
        seed=_COUNT,
        **_SAMPLING,
    ),
    "Completion": _answer(id=TEXT, object={"const": "text_completion"}, choices={"type": "array"}),
    "ResponsesRequest": _request(
        ["model", "input"],
        model=MODEL,
        input=_TEXT_OR_LIST_OF | {"items": {"type": "object"}},
        instructions={"type": ["string", "null"]},
        max_output_tokens=_COUNT,
        tools=_TOOLS,
        **_SAMPLING,
    ),
    "Response": _answer(id=TEXT, object={"const": "response"}, output={"type": "array"}),
    "EmbeddingsRequest": _request(
        ["model", "input"],
        model=MODEL,
        input=_TEXT_OR_LIST_OF
        | {"items": {"type": ["string", "integer", "array"], "minLength": 1, "minItems": 1}},
        dimensions=_COUNT,
        encoding_format={"enum": ["float", "base64", None]},
    ),
    "Embeddings": _answer(object={"const": "list"}, data={"type": "array"}),
    "MessagesRequest": _request(
        ["model", "messages", "max_tokens"],
        model=MODEL,
        messages=_TURNS,
        max_tokens={"type": "integer"},
        system=_TEXT_OR_LIST,
        tools=_TOOLS,
        tool_choice={"type": ["object", "null"]},
        thinking={"type": ["object", "null"]},
        **_SAMPLING,
    ),
    "Message": _answer(id=TEXT, type={"const": "message"}, content={"type": "array"}),
    "CountRequest": _request(
        ["model", "messages"],
        model=MODEL,
        messages=_TURNS,
        system=_TEXT_OR_LIST,
    ),
    "TokenCount": _answer(input_tokens={"type": "integer", "minimum": 0}),
    # In Gemini's shape for those who send its key's header.
    "ModelList": {"type": "object", "anyOf": [{"required": ["data"]}, {"required": ["models"]}]},
    "Model": {"type": "object", "anyOf": [{"required": ["id"]}, {"required": ["name"]}]},
    "GenerateRequest": _request(
        ["contents"],
        contents={"type": "array", "minItems": 1, "items": _CONTENT},
        systemInstruction=_CONTENT,
        generationConfig=_request(
            [],
            temperature=_NUMBER,
            topP=_NUMBER,
            maxOutputTokens=_COUNT,
            seed=_COUNT,
            stopSequences={"type": "array", "items": {"type": "string"}},
        ),
    ),
    "Generated": _answer(candidates={"type": "array"}, usageMetadata=_OBJECT, modelVersion=TEXT),
    "GeminiTokenCount": _answer(totalTokens={"type": "integer", "minimum": 0}),
    "GeminiEmbedRequest": _request(["content"], content=_CONTENT),
    "GeminiBatch": _request(
        ["requests"],
        requests={
            "type": "array",
            "minItems": 1,
            "items": _request(["content"], content=_CONTENT),
        },
    ),
    "GeminiEmbedding": _answer(embedding=_OBJECT),
    "GeminiEmbeddings": _answer(embeddings={"type": "array"}),
    "GeminiModels": _answer(models={"type": "array"}),
    "GeminiModel": _answer(name=TEXT),
    "GeminiError": _answer(error=_answer(code={"type": "integer"}, message=TEXT, status=TEXT)),
    "ServiceRequest": _request(
        ["messages"],
        messages=_MESSAGES,
        model={"type": ["string", "null"]},
        max_tokens=_COUNT,
        **_SAMPLING,
    ),
    "ServiceAnswer": _answer(content={"type": "string"}, provider=TEXT, usage=_OBJECT),
    "ServiceModels": _answer(models={"type": "array"}, default={"type": "string"}),
    "Command": {
        "anyOf": [
            _request(["command"], command={"enum": ["help", "reload", "status"]}),
            _request(["command", "model"], command={"const": "set_model"}, model=MODEL),
        ]
    },
    "Error": _answer(error=_answer(message=TEXT, type=TEXT) | {"description": "What went wrong."}),
    "AnthropicError": _answer(type={"const": "error"}, error=_answer(type=TEXT, message=TEXT)),
}
