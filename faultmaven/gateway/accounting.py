"""What an answer has cost: its tokens and its money, noted in the record of the request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faultmaven.gateway.faults import Fault
from faultmaven.gateway.fronts.openai_embeddings import EmbeddingsFront
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.types import Usage
from faultmaven.infrastructure.llm.wire.estimate import (
    estimate_prompt_tokens,
    estimate_tokens,
    tokens_of_bytes,
)

if TYPE_CHECKING:
    from faultmaven.gateway.front import Ask, FrontEnd
    from faultmaven.gateway.opened import Opened, Whole
    from faultmaven.gateway.record import Record
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider


def account(
    provider: BaseLLMProvider, found: Whole | Opened, record: Record, front: FrontEnd, ask: Ask
) -> None:
    """Note tokens and money; what the provider has not told is estimated, and said to be."""
    usage, record.estimated = found.usage, found.estimated
    if (
        usage is None
        or not usage.input_tokens
        or not (usage.output_tokens or (usage.output_tokens == 0 and not found.said_bytes))
    ):
        usage, record.estimated = _completed(usage or Usage(), found, front, ask), True
    record.usage = usage
    record.cost_usd = provider.price(found.model, usage).usd


def _completed(usage: Usage, found: Whole | Opened, front: FrontEnd, ask: Ask) -> Usage:
    """Fill in what is missing, or cannot be: a prompt of no tokens, a text of no tokens."""
    return replace(
        usage,
        input_tokens=usage.input_tokens or _prompt_tokens(front, ask),
        output_tokens=usage.output_tokens or tokens_of_bytes(found.said_bytes),
    )


def _prompt_tokens(front: FrontEnd, ask: Ask) -> int:
    if isinstance(front, EmbeddingsFront):
        return _given_tokens(ask.body["input"])
    try:
        return estimate_prompt_tokens(front.make_request(ask))
    except (LLMError, Fault):
        # The provider has understood what we do not.
        return tokens_of_bytes(len(codec.dumps(ask.body)))


def _given_tokens(given: str | list[str] | list[int] | list[list[int]]) -> int:
    """Estimate the tokens of what is to be embedded: a text, tokens, or a list of either."""
    if isinstance(given, str):
        return estimate_tokens([given])
    texts = [item for item in given if isinstance(item, str)]
    counted = sum(len(item) if isinstance(item, list) else 1 for item in given) - len(texts)
    return estimate_tokens(texts) + counted
