"""What a model thought, and how its provider sees that it came back signed as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faultmaven.testing import RecordedRequest

THOUGHT = "Two cities."
SIGNATURE = "ZmFrZS1zaWduYXR1cmU="


def signatures_in(request: RecordedRequest) -> list[Any]:
    """Give the signatures of a request's thoughts, in the order of its turns."""
    body = request.json
    if "contents" in body:
        parts = [part for turn in body["contents"] for part in turn["parts"]]
        return [part.get("thoughtSignature") for part in parts if "functionCall" in part]
    if "input" in body:
        items = [item for item in body["input"] if item.get("type") == "reasoning"]
        return [item["encrypted_content"] for item in items]
    turns = [turn for turn in body["messages"] if isinstance(turn["content"], list)]
    blocks = [block for turn in turns for block in turn["content"]]
    thoughts = [block for block in blocks if block["type"] == "thinking"]
    assert all(block["thinking"] == THOUGHT for block in thoughts)
    return [block["signature"] for block in thoughts]


def signatures_wanted(model: str) -> list[str]:
    """Give what a provider wants back after two parallel calls that were thought over."""
    wanted = {
        "up-messages": [SIGNATURE],
        "up-gemini": [SIGNATURE] * 2,
        "up-responses": [SIGNATURE],
    }
    return wanted.get(model.partition("/")[0], [])
