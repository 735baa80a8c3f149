"""The system prompt of a model that takes none: it goes before the first message of the user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.types import LLMMessage
from faultmaven.infrastructure.llm.wire.content import SYSTEM_ROLES, parts_of, split_system

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest


def has_system(request: LLMRequest) -> bool:
    """Tell whether a request has a system prompt, as an option or as a message."""
    return bool(request.system_prompt) or any(
        m.get("role") in SYSTEM_ROLES for m in request.messages
    )


def fold_system(request: LLMRequest) -> LLMRequest:
    """Give a request whose system prompt is the beginning of the user's first message."""
    if not has_system(request):
        return request
    texts, rest = split_system(request)
    prompt = "\n\n".join(filter(None, texts))
    messages = [LLMMessage(m) for m in rest]
    first = next((n for n, m in enumerate(messages) if m.role == "user"), None)
    if first is None:
        messages.insert(0, LLMMessage(role="user", content=prompt))
    else:
        messages[first] = LLMMessage(
            {**messages[first], "content": _led_by(prompt, messages[first])}
        )
    return replace(request, system_prompt=None, messages=messages)


def _led_by(prompt: str, message: LLMMessage) -> object:
    content = message.content
    if isinstance(content, str):
        return f"{prompt}\n\n{content}" if content else prompt
    return [{"type": "text", "text": prompt}, *parts_of(content)]
