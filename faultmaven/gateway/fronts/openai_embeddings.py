"""`POST /v1/embeddings`: relayed to hosts of OpenAI's API, else made anew."""

from __future__ import annotations

import base64
from array import array
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import invalid
from faultmaven.gateway.front import AsItIs, Ask
from faultmaven.gateway.fronts import openai_error
from faultmaven.gateway.fronts.openai_chat import check_kinds
from faultmaven.gateway.opened import Whole
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    InvalidRequestError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import Attempt, LLMRequest, LLMResponse, Route, Usage
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import count
from faultmaven.infrastructure.llm.wire.shapes import as_integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.front import Encoder
    from faultmaven.gateway.watch import StreamWatch
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import EmbeddingResponse

_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "dimensions": ((int,), "an integer"),
    "encoding_format": ((str,), "float or base64"),
    "input": ((str, list), "a text or a list of texts"),
    "model": ((str,), "the name of a model"),
}


class EmbeddingsFront(AsItIs):
    """OpenAI embeddings."""

    name = "openai_embeddings"
    wire_format: str | None = "openai_embeddings"
    passed_headers: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = ()
    error_body = staticmethod(openai_error.error_body)
    error_event = staticmethod(openai_error.error_event)

    def read(self, body: dict[str, Any]) -> Ask:
        """Check types, and that there is something to embed; see `FrontEnd.read`."""
        check_kinds(body, _KINDS)
        model = body.get("model")
        if not model:
            msg = "model is missing: name a model."
            raise invalid(msg, "model")
        given = body.get("input")
        if not given or (isinstance(given, list) and not all(_is_embeddable(g) for g in given)):
            msg = "input must be a text or a list of texts, none of them empty."
            raise invalid(msg, "input")
        if body.get("encoding_format") not in (None, "float", "base64"):
            msg = "encoding_format must be float or base64."
            raise invalid(msg, "encoding_format")
        return Ask(model, stream=False, body=body)

    async def embed(self, provider: BaseLLMProvider, ask: Ask, model: str | None) -> Whole:
        """Have the texts embedded by a provider of another API.

        Raises:
            LLMError: it has no embeddings, takes texts only, or failed.
        """
        given = ask.body["input"]
        texts = [given] if isinstance(given, str) else given
        if not all(isinstance(text, str) for text in texts):
            msg = f"{provider.provider_name} takes texts only, no tokens."
            raise InvalidRequestError(msg, code="input")
        length = as_integer(ask.body.get("dimensions"))
        # A class of somebody's own may know no length.
        sized = () if length is None else (length,)
        answer = await provider.embed(texts, model, *sized)
        if length is not None and any(len(vector) != length for vector in answer.vectors):
            msg = f"{provider.provider_name} chooses the length of its vectors; drop dimensions."
            raise UnsupportedParameterError(
                msg, code="unsupported_parameter", parameter="dimensions"
            )
        usage = Usage(answer.input_tokens, 0) if answer.input_tokens is not None else None
        asked = model or answer.model
        route = Route(attempts=[Attempt(provider.provider_name, asked, "ok")])
        return Whole(codec.dumps(_to_wire(answer, ask)), usage, route, asked)

    def check_answer(self, data: Any) -> Usage | None:
        """Look at a relayed answer; see `FrontEnd.check_answer`."""
        if type(data) is not dict or type(data.get("data")) is not list:
            if type(data) is dict and data.get("error"):
                raise parse_error_object(data)
            msg = "the answer has no vectors"
            raise ResponseFormatError(msg, code="malformed_response")
        usage = data.get("usage")
        tokens = count(usage.get("prompt_tokens")) if type(usage) is dict else None
        return None if tokens is None else Usage(tokens, 0)

    def make_request(self, ask: Ask) -> LLMRequest:
        """Never asked: texts to embed are no conversation."""
        raise NotImplementedError(ask)

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Never asked, see `make_request`."""
        raise NotImplementedError(response, ask)

    def make_encoder(self, ask: Ask, model: str) -> Encoder:
        """Never asked: vectors are not streamed."""
        raise NotImplementedError(ask, model)

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Never asked: vectors are not streamed."""
        raise NotImplementedError(ask, finish_optional)


def _is_embeddable(item: Any) -> bool:
    """Tell whether an item is a text, a token, or a list of tokens."""
    if type(item) is list:
        return bool(item) and all(type(token) is int for token in item)
    return type(item) is int or (type(item) is str and bool(item))


def _to_wire(answer: EmbeddingResponse, ask: Ask) -> dict[str, Any]:
    packed = ask.body.get("encoding_format") == "base64"
    tokens = answer.input_tokens or 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": n, "embedding": _packed(v) if packed else v}
            for n, v in enumerate(answer.vectors)
        ],
        "model": answer.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _packed(vector: list[float]) -> str:
    return base64.b64encode(array("f", vector).tobytes()).decode()
