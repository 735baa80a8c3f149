"""What a client is told: answers of each API that the gateway speaks, read by the book and by nothing of ours.

Whoever reads a stream here also holds it against the API's grammar; what breaks it is an `AssertionError`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """An answer in the words of `LLMResponse`, whichever API it came by.

    Attributes:
        calls: id, name and the arguments as they came, text or object.
        finish: in OpenAI's words; None where the API's word for it has no counterpart.
        error: the API's error object, of an answer that is one or of a stream that ended in one.
        turn: what a client sends back of it in the next request: messages, items or contents.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    error: dict[str, Any] | None = None
    turn: list[dict[str, Any]] = field(default_factory=list)


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """Give the events of a stream: name, and data as JSON or as the text that is none."""
    blocks = text.split("\n\n")
    assert blocks.pop() == "", "the last event has no end"
    # A host's own empty lines and comments are passed on.
    found = [block.lstrip("\n") for block in blocks]
    return [_event(block) for block in found if block and not block.startswith(":")]


def _event(block: str) -> tuple[str | None, Any]:
    name, data = None, None
    for line in block.split("\n"):
        kind, _, value = line.partition(": ")
        assert kind in ("event", "data"), f"a line of an event is {line[:60]!r}"
        if kind == "event":
            name = value
        else:
            assert data is None, "an event has two lines of data"
            data = value
    assert data is not None, "an event has no data"
    return name, data if data == "[DONE]" else json.loads(data)
