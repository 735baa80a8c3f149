"""`POST /v1/messages/count_tokens`: asked of the provider where it can count, else estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultmaven.gateway.app import Route
from faultmaven.gateway.body import parse_object, read_body
from faultmaven.gateway.faults import fault_of
from faultmaven.gateway.fronts.anthropic_messages import error_body, read_messages
from faultmaven.gateway.pages import json_answer
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.wire.anthropic_front import request_from_wire
from faultmaven.infrastructure.llm.wire.estimate import estimate_prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.app import Gateway, Visit
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMRequest

_NOTHING_THERE: Final = (404, 405, 501)


class TokenCount:
    """Counts the tokens of Anthropic's requests."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the path."""
        route = Route({"POST": self.count}, error_body=error_body)
        yield "/v1/messages/count_tokens", route

    async def count(self, visit: Visit) -> Answer:
        """Count a request that is not sent."""
        raw = await read_body(visit.request)
        ask = read_messages(parse_object(raw))
        try:
            target = self._gateway.plan_for(ask.model, visit.caller).targets[0]
            provider = self._gateway.get_provider(target.provider)
            request = request_from_wire(ask.body)
            request.model = target.model
            tokens = await count_or_estimate(provider, request)
        except LLMError as error:
            raise fault_of(error) from error
        return json_answer({"input_tokens": tokens}, visit)


async def count_or_estimate(provider: BaseLLMProvider, request: LLMRequest) -> int:
    """Ask the provider; estimate where its host has the API but nothing at this path."""
    try:
        return await provider.count_tokens(request)
    except LLMError as error:
        if error.status not in _NOTHING_THERE:
            raise
        return estimate_prompt_tokens(request)
