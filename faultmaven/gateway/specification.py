"""`/openapi.json`: what this gateway serves, as OpenAPI 3.1 says it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from faultmaven import __version__
from faultmaven.gateway.answer import Answer
from faultmaven.gateway.described_bodies import MODEL, SCHEMAS, TEXT
from faultmaven.gateway.pages import id_field
from faultmaven.gateway.paging import MAX_PAGE
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.described_bodies import Schema
    from faultmaven.gateway.routes import Visit

_KEYS: Final[list[Schema]] = [{"bearer": []}, {"apiKey": []}, {"googleKey": []}]
_FOR_ADMINISTRATORS: Final[Schema] = {
    "description": "From the gateway's own machine without a key, while none is an administrator's.",
    "security": [{}, *_KEYS],
}
# OpenAPI 3.1 has no schema for events; tools hold them against one that is given.
_EVENTS: Final[Schema] = {"text/event-stream": {}}


class Specification:
    """Serves the document."""

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the path."""
        yield "/openapi.json", Route({"GET": self.show}, access="open")

    async def show(self, visit: Visit) -> Answer:
        """Give the document."""
        return Answer(200, _encoded(), fields=id_field(visit))


@cache
def _encoded() -> bytes:
    return codec.dumps(make_specification())


def make_specification() -> Schema:
    """Build the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FaultMaven gateway",
            "version": __version__,
            "description": "OpenAI's and Anthropic's APIs in front of every configured provider.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": _KEYS,
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "googleKey": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
            },
            "schemas": SCHEMAS,
        },
    }


def _paths() -> Schema:
    return {
        **_openai_and_anthropic_paths(),
        **_gemini_paths(),
        **_passed_paths(),
        "/chat": {"post": _call("chat", "ServiceRequest", "ServiceAnswer")},
        "/models": {"get": _read("listServiceModels", "ServiceModels")},
        "/command": {"post": _quick_call("command", "Command", "Any")},
        **_operators_paths(),
    }


def _openai_and_anthropic_paths() -> Schema:
    return {
        "/v1/chat/completions": {"post": _call("createChatCompletion", "ChatRequest", "Chat")},
        "/v1/completions": {"post": _call("createCompletion", "CompletionRequest", "Completion")},
        "/v1/responses": {"post": _call("createResponse", "ResponsesRequest", "Response")},
        "/v1/embeddings": {
            "post": _call("createEmbeddings", "EmbeddingsRequest", "Embeddings", streams=False)
        },
        "/v1/messages": {
            "post": _call("createMessage", "MessagesRequest", "Message", "AnthropicError")
        },
        "/v1/messages/count_tokens": {
            "post": _quick_call("countTokens", "CountRequest", "TokenCount", "AnthropicError")
        },
        "/v1/models": {
            # Errors are in the shape of who asks, too.
            "get": _read("listModels", "ModelList", "Any")
            | {
                "parameters": [
                    _page_parameter("limit", "Anthropic's clients: at most so many.", _PAGE_SIZE),
                    _page_parameter("after_id", "Anthropic's clients: those behind this one."),
                    _page_parameter("before_id", "Anthropic's clients: those before this one."),
                    *_GEMINI_PAGES,
                ]
            }
        },
        "/v1/models/{id}": {
            "get": _read("showModel", "Model", "Any")
            | {
                "parameters": [
                    _path_parameter("id", "A model's name; it may hold slashes.", MODEL)
                ]
            }
        },
        "/v1/responses/{id}": {
            method: {
                "operationId": f"{method}StoredResponse",
                "summary": "Declined: no answers are stored.",
                "parameters": [_path_parameter("id", "An answer's id.")],
                "responses": _errors("Error"),
            }
            for method in ("get", "delete")
        },
    }


def _gemini_paths() -> Schema:
    model = _path_parameter("model", "A model's name; it may hold slashes.", MODEL)
    alt = {"name": "alt", "in": "query", "required": True, "schema": {"const": "sse"}}
    verbs = {
        "generateContent": ("GenerateRequest", "Generated", [model]),
        "streamGenerateContent": ("GenerateRequest", "", [model, alt]),
        "countTokens": ("GenerateRequest", "GeminiTokenCount", [model]),
        "batchEmbedContents": ("GeminiBatch", "GeminiEmbeddings", [model]),
        "embedContent": ("GeminiEmbedRequest", "GeminiEmbedding", [model]),
    }
    paths: Schema = {
        "/v1beta/models": {
            "get": _read("listGeminiModels", "GeminiModels", "GeminiError")
            | {"parameters": _GEMINI_PAGES}
        },
        "/v1beta/models/{model}": {
            "get": _read("showGeminiModel", "GeminiModel", "GeminiError") | {"parameters": [model]}
        },
    }
    for verb, (request, answer, parameters) in verbs.items():
        for version in ("v1", "v1beta"):
            # A wrong key is told in the shape that most of the path's clients know.
            error = "GeminiError" if version == "v1beta" else "Any"
            make = _quick_call if verb == "countTokens" else _call
            call = make(f"{verb}_{version}", request, answer or "Any", error)
            call["parameters"] += parameters
            content = {"application/json": {"schema": _ref(answer)}} if answer else _EVENTS
            call["responses"]["200"]["content"] = content
            paths[f"/{version}/models/{{model}}:{verb}"] = {"post": call}
    return paths


def _passed_paths() -> Schema:
    return {
        "/p/{provider}/{path}": {
            method: {
                "operationId": f"{method}Passed",
                "summary": "Another endpoint of a provider, with its key in place of the client's.",
                "parameters": [
                    _path_parameter("provider", "A configured provider."),
                    _path_parameter("path", "What follows the provider's address."),
                ],
                "responses": {"default": {"description": "The provider's own answer."}},
            }
            for method in ("delete", "get", "patch", "post", "put")
        },
    }


def _operators_paths() -> Schema:
    return {
        "/health": {"get": _read("health", "Any", is_open=True, unwell=True)},
        "/health/live": {"get": _read("live", "Any", is_open=True)},
        "/health/ready": {"get": _read("ready", "Any", is_open=True, unwell=True)},
        "/health/providers": {"get": _read("providers", "Any") | _FOR_ADMINISTRATORS},
        "/metrics": {
            "get": {
                "operationId": "metrics",
                **_FOR_ADMINISTRATORS,
                "responses": {
                    "200": {
                        "description": "Numbers in Prometheus' text form.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    **_errors("Error"),
                },
            }
        },
        "/openapi.json": {"get": _read("openapi", "Any", is_open=True)},
        "/": {"get": _home()},
        "/dashboard/numbers": {"get": _read("dashboardNumbers", "Any") | _FOR_ADMINISTRATORS},
        "/dashboard/page.css": {"get": _page("dashboardStyle", "text/css")},
        "/dashboard/page.js": {"get": _page("dashboardScript", "text/javascript")},
    }


def _call(
    name: str, request: str, answer: str, error: str = "Error", *, streams: bool = True
) -> Schema:
    content: Schema = {"application/json": {"schema": _ref(answer)}}
    if streams:
        content |= _EVENTS
    body = {"required": True, "content": {"application/json": {"schema": _ref(request)}}}
    return {
        "operationId": name,
        "parameters": [
            {
                "name": "x-request-timeout",
                "in": "header",
                "description": "Seconds for the whole call, all tries included.",
                "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 86400},
            }
        ],
        "requestBody": body,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **_errors(error),
        },
    }


def _quick_call(name: str, request: str, answer: str, error: str = "Error") -> Schema:
    """Describe a call that asks no model for an answer, so that its time is not bounded."""
    return _call(name, request, answer, error, streams=False) | {"parameters": []}


def _read(
    name: str, answer: str, error: str = "Error", *, is_open: bool = False, unwell: bool = False
) -> Schema:
    described: Schema = {
        "operationId": name,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {"application/json": {"schema": _ref(answer)}},
            },
            **_errors("Any" if unwell else error),
        },
    }
    if is_open:
        described["security"] = []
    return described


def _home() -> Schema:
    """Describe the front door: JSON for programs, a page for browsers."""
    described = _read("home", "Any", is_open=True)
    described["responses"]["200"]["content"]["text/html"] = {"schema": {"type": "string"}}
    return described


def _page(name: str, kind: str) -> Schema:
    content = {kind: {"schema": {"type": "string"}}}
    return {
        "operationId": name,
        "security": [],
        "responses": {
            "200": {"description": "A file of the dashboard.", "content": content},
            **_errors("Any"),
        },
    }


def _errors(schema: str) -> Schema:
    error = {
        "description": "An error; `x-should-retry` says whether it is worth trying again.",
        "content": {"application/json": {"schema": _ref(schema)}},
    }
    return {"4XX": error, "5XX": error}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _path_parameter(name: str, text: str, schema: Schema = TEXT) -> Schema:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _page_parameter(name: str, text: str, schema: Schema = TEXT) -> Schema:
    return {"name": name, "in": "query", "description": text, "schema": schema}


_PAGE_SIZE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
_GEMINI_PAGES: Final = [
    _page_parameter(
        "pageSize", "Google's clients: at most so many; 0 is all.", _PAGE_SIZE | {"minimum": 0}
    ),
    _page_parameter("pageToken", "Google's clients: what `nextPageToken` said."),
]
