"""Token counts where nobody has counted: from bytes, for budgets and for checks before sending.

English text is about four bytes of UTF-8 to a token; code has fewer, and so have other scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
# What an image or a file costs depends on its size in pixels, which is not looked at.
TOKENS_PER_ATTACHMENT = 800


def estimate_usage(request: LLMRequest, response: LLMResponse) -> Usage:
    """Estimate what a call used that reported nothing."""
    said = [response.content, response.reasoning, *(c.arguments_raw for c in response.tool_calls)]
    return Usage(estimate_prompt_tokens(request), estimate_tokens(said))


def estimate_prompt_tokens(request: LLMRequest) -> int:
    """Estimate the tokens of a request's messages and tools."""
    total = estimate_tokens([request.system_prompt or ""])
    for message in request.messages:
        total += TOKENS_PER_MESSAGE + _content_tokens(message.content)
        for call in message.get("tool_calls") or ():
            total += estimate_tokens([str(call)])
    if request.tools:
        total += estimate_tokens([str(request.tools)])
    return total


def estimate_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of some texts together."""
    return -(-sum(len(text.encode("utf-8", "replace")) for text in texts) // BYTES_PER_TOKEN)


def _content_tokens(content: Any) -> int:
    if isinstance(content, str):
        return estimate_tokens([content])
    if not isinstance(content, list):
        return 0
    return sum(_part_tokens(part) for part in content)


def _part_tokens(part: Mapping[str, Any]) -> int:
    text = part.get("text")
    return estimate_tokens([text]) if isinstance(text, str) else TOKENS_PER_ATTACHMENT
