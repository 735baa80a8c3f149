"""`/v1beta/models/…` (and `/v1/models/…`): Google's Gemini API, model and verb in the path."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from typing_extensions import override

from faultmaven.gateway.body import check_type, parse_object, read_body
from faultmaven.gateway.faults import Fault, fault_of, invalid
from faultmaven.gateway.front import AsItIs, Ask
from faultmaven.gateway.fronts.openai_embeddings import EmbeddingsFront
from faultmaven.gateway.model_call import EmbeddingCall, ModelCall
from faultmaven.gateway.offered import offered_names
from faultmaven.gateway.pages import json_answer
from faultmaven.gateway.paging import page_by_token
from faultmaven.gateway.routes import Route
from faultmaven.gateway.token_count import count_or_estimate
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.wire.gemini_encoder import (
    GeminiStreamEncoder,
    response_to_wire,
)
from faultmaven.infrastructure.llm.wire.gemini_front import (
    field,
    request_from_wire,
    texts_to_embed,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.faults import Kind
    from faultmaven.gateway.front import Encoder
    from faultmaven.gateway.opened import Whole
    from faultmaven.gateway.routes import Visit
    from faultmaven.gateway.watch import StreamWatch
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse, Usage

    Verb = Callable[[Visit, str], Awaitable[Answer]]

_STATUS: Final[dict[Kind, str]] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "too_large": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "upstream": "UNAVAILABLE",
    "internal": "INTERNAL",
}
_METHODS: Final = ["generateContent", "streamGenerateContent", "countTokens", "batchEmbedContents"]


def error_body(fault: Fault, request_id: str) -> dict[str, Any]:
    """Give the body of an error, which is also its event in a stream."""
    del request_id  # it is in a header
    return {
        "error": {"code": fault.status, "message": fault.message, "status": _STATUS[fault.kind]}
    }


def describe_model(name: str) -> dict[str, Any]:
    """Give a model as this API lists it."""
    return {
        "name": f"models/{name}",
        "displayName": name,
        "supportedGenerationMethods": _METHODS,
    }


def describe_models(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """Give the page of a list of models that was asked for.

    Raises:
        Fault: there is no such page.
    """
    page, token = page_by_token(names, query)
    listed: dict[str, Any] = {"models": [describe_model(name) for name in page]}
    return listed | {"nextPageToken": token} if token else listed


class GeminiPages:
    """Serves the verbs of the API's models."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._verbs: dict[str, Verb] = {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "countTokens": self._count,
            "embedContent": self._embed_one,
            "batchEmbedContents": self._embed,
        }

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths; those under `/v1` are served with OpenAI's models."""
        yield "/v1beta/models", Route({"GET": self.list_models}, error_body=error_body)
        pages = {"GET": self.show_model, "POST": self.call}
        route = Route(pages, error_body=error_body, front="gemini_generate")
        yield "/v1beta/models/*", route
        # The AI SDK takes a name with a slash for one that says its collection by itself.
        yield "/v1beta/*", route

    async def list_models(self, visit: Visit) -> Answer:
        """List the models that the caller may use."""
        names = offered_names(self._gateway, visit.caller)
        return json_answer(describe_models(names, visit.request.query), visit)

    async def show_model(self, visit: Visit) -> Answer:
        """Describe one model."""
        name = unquote(visit.rest)
        try:
            self._gateway.plan_for(name, visit.caller)
        except LLMError as error:
            raise fault_of(error) from None
        return json_answer(describe_model(name), visit)

    async def call(self, visit: Visit) -> Answer:
        """Do what the path's verb says, and say errors in this API's shape under any path."""
        model, _, verb = unquote(visit.rest).rpartition(":")
        try:
            return await self._verbs.get(verb, self._refuse)(visit, model)
        except Fault as fault:
            return self._gateway.fault_answer(fault, visit.request_id, _ERRORS)

    def _refused(self, visit: Visit, fault: Fault) -> Fault:
        self._gateway.note_refusal(fault, visit, _CALLS)
        return fault

    async def _refuse(self, visit: Visit, _model: str) -> Answer:
        message = f"A path of a model ends in one of {', '.join(self._verbs)}."
        raise self._refused(visit, Fault(404, "not_found", "not_found", message))

    async def _generate(self, visit: Visit, model: str) -> Answer:
        return await ModelCall(self._gateway, GeminiFront(model, stream=False))(visit)

    async def _stream(self, visit: Visit, model: str) -> Answer:
        if visit.request.query.get("alt") != "sse":
            message = "A stream comes as server-sent events: add ?alt=sse."
            raise self._refused(visit, invalid(message, "alt"))
        return await ModelCall(self._gateway, GeminiFront(model, stream=True))(visit)

    async def _embed(self, visit: Visit, model: str) -> Answer:
        return await EmbeddingCall(self._gateway, GeminiEmbedFront(model, is_batch=True))(visit)

    async def _embed_one(self, visit: Visit, model: str) -> Answer:
        return await EmbeddingCall(self._gateway, GeminiEmbedFront(model, is_batch=False))(visit)

    async def _count(self, visit: Visit, model: str) -> Answer:
        bounds = self._gateway.admission.of_key(visit.caller.name)
        check_type(visit.request.headers)
        raw = await read_body(visit.request, bounds.max_body_bytes)
        body = parse_object(raw)
        try:
            target = self._gateway.plan_for(model, visit.caller).targets[0]
            provider = self._gateway.get_provider(target.provider)
            request = request_from_wire(field(body, "generateContentRequest") or body)
            counted = await count_or_estimate(provider, replace(request, model=target.model))
        except LLMError as error:
            raise fault_of(error) from error
        return json_answer({"totalTokens": counted.tokens}, visit, fields=counted.field)


class GeminiFront(AsItIs):
    """Gemini's generateContent for the model of one path.

    Args:
        model: the name in the path.
        stream: whether the path's verb is the one that streams.
    """

    name = "gemini_generate"
    wire_format: str | None = None
    passed_headers: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = tuple(
        f"{section}.{name}"
        for section in ("generationConfig", "generation_config")
        for name in ("maxOutputTokens", "max_output_tokens")
    )
    error_body = staticmethod(error_body)

    def __init__(self, model: str, *, stream: bool) -> None:
        self._model = model
        self._stream = stream

    def read(self, body: dict[str, Any]) -> Ask:
        """Check that something is said; see `FrontEnd.read`."""
        if not body.get("contents"):
            message = "contents must have at least one turn."
            raise invalid(message, "contents")
        return Ask(self._model, self._stream, body)

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms; see `FrontEnd.make_request`."""
        return request_from_wire(ask.body)

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer; see `FrontEnd.write_answer`."""
        response.response_id = response.response_id or ask.request_id
        return codec.dumps(response_to_wire(response))

    def make_encoder(self, ask: Ask, model: str) -> GeminiStreamEncoder:
        """Make what writes a streamed answer; see `FrontEnd.make_encoder`."""
        return GeminiStreamEncoder(ask.request_id, model)

    def check_answer(self, data: Any) -> Usage | None:
        """Never asked: this API is not relayed."""
        raise NotImplementedError(data)

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Never asked: this API is not relayed."""
        raise NotImplementedError(ask, finish_optional)

    def error_event(self, fault: Fault, request_id: str, encoder: Encoder | None = None) -> bytes:
        """Give the event that ends a stream in an error."""
        del encoder
        return b"data: %b\n\n" % codec.dumps(error_body(fault, request_id))


class GeminiEmbedFront(EmbeddingsFront):
    """Gemini's embeddings for the model of one path.

    Args:
        model: the name in the path.
        is_batch: whether several vectors are asked for.
    """

    name = "gemini_embeddings"
    wire_format: str | None = None

    def __init__(self, model: str, *, is_batch: bool) -> None:
        self._model = model
        self._is_batch = is_batch

    @override
    def read(self, body: dict[str, Any]) -> Ask:
        """Say the request as OpenAI's; see `FrontEnd.read`."""
        try:
            texts, length = texts_to_embed(body)
        except LLMError as error:
            raise fault_of(error) from error
        asked: dict[str, Any] = {"model": self._model, "input": texts}
        return super().read(asked if length is None else {**asked, "dimensions": length})

    @override
    async def embed(self, provider: BaseLLMProvider, ask: Ask, model: str | None) -> Whole:
        """Have the texts embedded; see `EmbeddingsFront.embed`."""
        whole = await super().embed(provider, ask, model)
        vectors = [{"values": entry["embedding"]} for entry in codec.loads(whole.body)["data"]]
        found = {"embeddings": vectors} if self._is_batch else {"embedding": vectors[0]}
        whole.body = codec.dumps(found)
        return whole


_ERRORS: Final = Route({}, error_body=error_body)
_CALLS: Final = Route({}, error_body=error_body, front="gemini_generate")
