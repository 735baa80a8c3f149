"""Answers in OpenAI's words, where hosts that call themselves compatible have words of their own.

Content is text and reasoning beside it, the finish reason is one that clients know, and token counts are
where clients look for them.  What is so already is passed on untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.wire.openai_chat import finish_reason, split_content

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import Usage

KNOWN_REASONS: Final = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "function_call"}
)


def mend_content(message: dict[str, Any]) -> bool:
    """Put the content of a message or delta right, in place; whether anything was wrong."""
    content = message.get("content")
    if content is None or type(content) is str:
        return False
    text, reasoning = split_content(content)
    message["content"] = text
    if reasoning:
        message["reasoning_content"] = reasoning
    return True


def mend_reason(choice: dict[str, Any], *, is_whole: bool) -> bool:
    """Say why an answer ended as clients know it, in place; whether anything was wrong.

    Args:
        choice: of an answer or a chunk.
        is_whole: nothing follows, so that there must be a reason.
    """
    raw = choice.get("finish_reason")
    if raw in KNOWN_REASONS or not (raw or is_whole):
        return False
    message = choice.get("message") or {}
    reason = finish_reason(raw, has_calls=bool(message.get("tool_calls")))
    if reason is None and raw:
        return False
    choice["finish_reason"] = reason or "stop"
    return True


def is_usual(usage: Any, counted: Usage | None) -> bool:
    """Tell whether token counts are where clients look for them.

    Args:
        usage: as the provider has sent it.
        counted: what it says; None for nothing that can be true.
    """
    if counted is None:
        return True
    if counted.output_tokens != usage.get("completion_tokens"):
        return False
    if not counted.cache_read_tokens:
        return True
    inward = usage.get("prompt_tokens_details")
    return type(inward) is dict and "cached_tokens" in inward


def mend_usage(usage: dict[str, Any], counted: Usage | None) -> bool:
    """Put token counts where clients look for them, in place; whether they were anywhere else."""
    if counted is None or is_usual(usage, counted):
        return False
    usage["completion_tokens"] = counted.output_tokens
    if counted.cache_read_tokens:
        inward = usage.get("prompt_tokens_details") or {}
        usage["prompt_tokens_details"] = {**inward, "cached_tokens": counted.cache_read_tokens}
    return True
