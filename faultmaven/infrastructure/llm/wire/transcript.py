"""A conversation as one text, for classes that take a prompt and no messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.wire.content import (
    SYSTEM_ROLES,
    is_text,
    parts_of,
    refuse_part,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def transcript_of(
    messages: Iterable[Mapping[str, Any]], system_prompt: str | None, taker: str
) -> str:
    """Write a conversation as text: what the system says, then the question, or who said what.

    Args:
        messages: in order.
        system_prompt: comes first.
        taker: who takes text only, for the error.

    Raises:
        UnsupportedParameterError: a message has an image or a file.
    """
    system = [system_prompt] if system_prompt else []
    turns: list[tuple[str, str]] = []
    for message in messages:
        role, content = str(message.get("role")), message.get("content")
        for part in parts_of(content):
            if not is_text(part):
                raise refuse_part(str(part.get("type")), taker, "Send text.")
        if role in SYSTEM_ROLES:
            system.append(text_of(content))
        else:
            turns.append((role, text_of(content)))
    if len(turns) == 1 and turns[0][0] == "user":
        talk = turns[0][1]
    else:
        said = [f"{role.capitalize()}: {text}" for role, text in turns if text]
        talk = "\n\n".join([*said, "Assistant:"])
    return "\n\n".join(filter(None, [*system, talk]))
