"""Pictures and files in the results of tools, for APIs whose results are text: the user shows them right after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.types import LLMMessage
from faultmaven.infrastructure.llm.wire import content

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.types import LLMRequest

_SHOWN: Final = frozenset({"file", "image_url", "input_audio"})
_BELOW: Final = "(shown below)"


def with_pictures_apart(request: LLMRequest) -> LLMRequest:
    """Give a request whose tool turns hold no pictures or files; the same object where they do not.

    What they held is in a user's turn behind the round of results that it belongs to.
    """
    if not any(map(_shown_by, request.messages)):
        return request
    turns: list[LLMMessage] = []
    shown: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role != "tool" and shown:
            turns.append(LLMMessage(role="user", content=shown))
            shown = []
        if parts := _shown_by(message):
            said = f"From the result of {message.get('tool_call_id')}:"
            shown += [{"type": "text", "text": said}, *parts]
            rest = [part for part in message.content if part not in parts]
            message = LLMMessage(message, content=rest or _BELOW)  # noqa: PLW2901  # the same turn
        turns.append(message)
    if shown:
        turns.append(LLMMessage(role="user", content=shown))
    return replace(request, messages=turns)


def _shown_by(message: LLMMessage) -> list[dict[str, Any]]:
    if message.role != "tool" or isinstance(message.content, str):
        return []
    return [part for part in content.parts_of(message.content) if part.get("type") in _SHOWN]
