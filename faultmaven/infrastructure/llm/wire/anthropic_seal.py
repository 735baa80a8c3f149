"""What another dialect wants to have back, in a field that Anthropic's clients return as it was.

They send thinking blocks back untouched, so a signature or the data of a redacted block can hold it.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Mapping

# No signature of Anthropic's has a full stop in it: they are base64.
SEAL: Final = "fm1."


def seal(kept: Mapping[str, Any]) -> str:
    """Put a value into text."""
    return SEAL + base64.urlsafe_b64encode(codec.dumps(dict(kept))).decode("ascii")


def open_sealed(text: object) -> dict[str, Any] | None:
    """Give the value that `seal` has put in; None for anything else."""
    if not isinstance(text, str) or not text.startswith(SEAL):
        return None
    try:
        opened = codec.loads(base64.urlsafe_b64decode(text[len(SEAL) :]))
    except (binascii.Error, ValueError):
        return None
    return opened if isinstance(opened, dict) else None


def is_sealed(block: Mapping[str, Any]) -> bool:
    """Tell whether a block is redacted and holds a value of ours."""
    return block["type"] == "redacted_thinking" and str(block["data"]).startswith(SEAL)


def call_to_wire(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the block for what a dialect has written beside a tool call; None where that is nothing."""
    beside = call.get("extra_content")
    if not beside:
        return None
    return {"type": "redacted_thinking", "data": seal({"call": call["id"], "beside": beside})}
