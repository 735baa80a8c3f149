"""`POST /v1/messages/count_tokens`: asked of the provider where it can count, else estimated."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.body import check_type, parse_object, read_body
from faultmaven.gateway.faults import fault_of
from faultmaven.gateway.fronts.anthropic_messages import (
    ID_HEADER,
    MessagesFront,
    error_body,
    read_messages,
)
from faultmaven.gateway.pages import id_field
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers.anthropic_provider import COUNT_FORMAT
from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.tokens import count_prompt_tokens
from faultmaven.infrastructure.llm.wire.anthropic_front import request_from_wire
from faultmaven.infrastructure.llm.wire.anthropic_messages import token_count_from_wire
from faultmaven.infrastructure.llm.wire.errors import parse_error
from faultmaven.infrastructure.llm.wire.estimate import estimate_prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.front import Ask
    from faultmaven.gateway.routes import Visit
    from faultmaven.infrastructure.llm.providers.call import Forward
    from faultmaven.infrastructure.llm.types import LLMRequest

_NOTHING_THERE: Final = (404, 405, 501)


class Count(NamedTuple):
    """Tokens of a prompt.

    Attributes:
        tokens: how many.
        source: who counted: `provider`, `tokenizer` (ours, exact for text), or `estimate`.
    """

    tokens: int
    source: str

    @property
    def field(self) -> str:
        """Give the header line that says who counted."""
        return f"x-faultmaven-token-count: {self.source}\r\n"


class TokenCount:
    """Counts the tokens of Anthropic's requests."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the path."""
        route = Route({"POST": self.count}, error_body=error_body, id_header=ID_HEADER)
        yield "/v1/messages/count_tokens", route

    async def count(self, visit: Visit) -> Answer:
        """Count a request that is not sent."""
        bounds = self._gateway.admission.of_key(visit.caller.name)
        check_type(visit.request.headers)
        raw = await read_body(visit.request, bounds.max_body_bytes)
        ask = read_messages(parse_object(raw))
        headers = visit.request.headers
        ask.headers = {n: headers[n] for n in MessagesFront.passed_headers if n in headers}
        try:
            body, counted = await self._count(visit, ask)
        except LLMError as error:
            raise fault_of(error) from error
        fields = f"{id_field(visit)}{ID_HEADER}: {visit.request_id}\r\n{counted.field}"
        return Answer(200, body, fields=fields)

    async def _count(self, visit: Visit, ask: Ask) -> tuple[bytes, Count]:
        target = self._gateway.plan_for(ask.model, visit.caller).targets[0]
        provider = self._gateway.get_provider(target.provider)
        request = request_from_wire(ask.body)
        request.model = target.model
        if isinstance(provider, HTTPProvider) and provider.can_forward(COUNT_FORMAT, ask.body):
            try:
                return await _relay(provider, ask, target.model)
            except LLMError as error:
                counted = _estimate_instead(error, request)
        else:
            counted = await count_or_estimate(provider, request)
        return codec.dumps({"input_tokens": counted.tokens}), counted


async def count_or_estimate(provider: BaseLLMProvider, request: LLMRequest) -> Count:
    """Ask the provider; count or estimate here where it cannot."""
    if type(provider).count_tokens is BaseLLMProvider.count_tokens:
        model = provider.get_effective_model(request.model) or ""
        tokens = await asyncio.to_thread(count_prompt_tokens, request, model)
        return _estimate(request) if tokens is None else Count(tokens, "tokenizer")
    try:
        return Count(await provider.count_tokens(request), "provider")
    except LLMError as error:
        return _estimate_instead(error, request)


async def _relay(provider: HTTPProvider, ask: Ask, model: str | None) -> tuple[bytes, Count]:
    """Have a provider of the same API count the body as the client wrote it."""
    forward = await provider.make_forward(
        dict(ask.body), model, deadline=None, wire_format=COUNT_FORMAT
    )
    forward.headers = {**forward.headers, **ask.headers_for(provider.config.headers)}
    try:
        return await _fetch(forward)
    except LLMError as error:
        if error.status in _NOTHING_THERE:
            raise
        return await provider.retry_forward(forward, error, partial(_fetch, forward))


async def _fetch(forward: Forward) -> tuple[bytes, Count]:
    reply = await forward.fetch()
    if reply.status >= 300:
        raise parse_error(reply.status, reply.headers, reply.body)
    return reply.body, Count(token_count_from_wire(parse_json(reply.body)), "provider")


def _estimate_instead(error: LLMError, request: LLMRequest) -> Count:
    """Estimate where the provider's host has the API but nothing at this path."""
    if error.status not in _NOTHING_THERE:
        raise error
    return _estimate(request)


def _estimate(request: LLMRequest) -> Count:
    return Count(estimate_prompt_tokens(request), "estimate")
