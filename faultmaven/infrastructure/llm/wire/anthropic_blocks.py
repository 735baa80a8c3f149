"""Conversations as Anthropic's turns of content blocks.

Facts of the wire: system texts stand apart from the turns, turns of one role are joined, a tool's result
is a block of a user turn, thinking goes back first and with its signature, empty texts are refused
(API reference, read 2026-11-20).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.wire import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

# What `reasoning_details` says of blocks that only Anthropic's models can read.
REASONING_FORMAT: Final = "anthropic-claude-v1"

_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")
# Parts of canonical messages; any other is a block of this dialect, old or new, and goes as it is.
_TRANSLATED_PARTS: Final = frozenset({"file", "image_url", "input_audio"})


def system_to_wire(request: LLMRequest) -> str | list[dict[str, Any]] | None:
    """Give the system field: text, or blocks where one of them carries a cache mark; None for none."""
    blocks = _text_blocks(request.system_prompt)
    for message in request.messages:
        if message.get("role") in content.SYSTEM_ROLES:
            blocks += _with_cache_mark(_text_blocks(message.get("content")), message)
    if any(len(block) > 2 for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks) or None


def turns_to_wire(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the turns: user and assistant alternate, and no turn is empty."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in content.SYSTEM_ROLES:
            continue
        sender = "assistant" if role == "assistant" else "user"
        blocks = _blocks_of(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == sender:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": sender, "content": blocks})
    for turn in turns:
        turn["content"] = _short(turn["content"])
    return turns


def _blocks_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    role = message.get("role")
    if role == "tool":
        return [_result_block(message)]
    blocks: list[dict[str, Any]] = []
    if role == "assistant":
        blocks += _thinking_blocks(message)
    blocks += [
        block for part in content.parts_of(message.get("content")) if (block := _block(part))
    ]
    if role == "assistant":
        blocks += [_call_block(call) for call in message.get("tool_calls") or ()]
    return _with_cache_mark(blocks, message)


def _block(part: dict[str, Any]) -> dict[str, Any] | None:
    """Give the block of one part; None for an empty text."""
    kind = part.get("type")
    if content.is_text(part) or kind == "refusal":
        text = str(part.get("text") or part.get("refusal") or "")
        block = {"type": "text", "text": text} if text.strip() else None
    elif kind not in _TRANSLATED_PARTS:
        return part
    else:
        block = _attachment_block(part)
    if block and part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _attachment_block(part: dict[str, Any]) -> dict[str, Any]:
    found = content.attachment_of(part)
    if found.kind == "audio":
        remedy = "Send its transcript as text."
        raise content.refuse_part(found.kind, "Anthropic Messages", remedy)
    inline = found.inline
    is_image = found.kind == "image" or (
        inline is not None and inline.media_type.startswith("image/")
    )
    if found.file_id:
        source = {"type": "file", "file_id": found.file_id}
    elif inline is None:
        source = {"type": "url", "url": str(found.url)}
    elif inline.media_type.startswith("text/"):
        # Text documents travel as text; the API knows base64 for PDF and images only.
        text = base64.b64decode(inline.data).decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        source = {"type": "base64", "media_type": inline.media_type, "data": inline.data}
    block: dict[str, Any] = {"type": "image" if is_image else "document", "source": source}
    if found.name and not is_image:
        block["title"] = found.name
    return block


def _thinking_blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the thinking that can go back: signed, or encrypted, by this dialect's models."""
    blocks: list[dict[str, Any]] = []
    for detail in message.get("reasoning_details") or ():
        if detail.get("format") not in (None, REASONING_FORMAT):
            continue
        if detail.get("type") == "reasoning.text" and detail.get("signature"):
            text = str(detail.get("text") or "")
            block = {"type": "thinking", "thinking": text, "signature": detail["signature"]}
            blocks.append(block)
        elif detail.get("type") == "reasoning.encrypted" and detail.get("data"):
            blocks.append({"type": "redacted_thinking", "data": detail["data"]})
    return blocks


def _call_block(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": _safe_id(call.get("id")),
        "name": str(function.get("name") or ""),
        "input": content.arguments_object(function.get("arguments")),
    }


def _result_block(message: Mapping[str, Any]) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": _safe_id(message.get("tool_call_id")),
    }
    parts = content.parts_of(message.get("content"))
    if blocks := [made for part in parts if (made := _block(part))]:
        block["content"] = _short(blocks)
    if message.get("is_error"):
        block["is_error"] = True
    if message.get("cache_control"):
        block["cache_control"] = message["cache_control"]
    return block


def _safe_id(value: object) -> str:
    """Give an id that this API takes, from one that another provider made."""
    return _NOT_IN_IDS.sub("_", str(value))


def _text_blocks(value: object) -> list[dict[str, Any]]:
    return [
        block
        for part in content.parts_of(value)
        if content.is_text(part) and (block := _block(part))
    ]


def _with_cache_mark(
    blocks: list[dict[str, Any]], message: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Put a message's own `cache_control` on its last block."""
    if blocks and message.get("cache_control"):
        blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
    return blocks


def _short(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Write one plain text as a string."""
    if len(blocks) == 1 and blocks[0].get("type") == "text" and len(blocks[0]) == 2:
        return str(blocks[0]["text"])
    return blocks
