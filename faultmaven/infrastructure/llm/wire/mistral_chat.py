"""What Mistral's chat takes otherwise than OpenAI's: ids of calls, documents, audio, nothing unknown.

Source: types of the official client mistralai 3.7 and recorded traffic (read 2026-11).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
_TURN_FIELDS: Final = ("role", "content", "name", "prefix", "tool_call_id")


def messages_to_wire(messages: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say OpenAI-shaped messages as Mistral takes them; those given stay as they are."""
    return [_turn_to_wire(message) for message in messages]


def _turn_to_wire(message: Mapping[str, Any]) -> dict[str, Any]:
    # Fields that it does not know are refused with 422.
    turn = {name: message[name] for name in _TURN_FIELDS if name in message}
    if turn["role"] == "developer":
        turn["role"] = "system"
    if isinstance(turn.get("content"), list):
        turn["content"] = [_part_to_wire(part) for part in turn["content"]]
    if "tool_call_id" in turn:
        turn["tool_call_id"] = call_id_to_wire(str(turn["tool_call_id"]))
    if calls := message.get("tool_calls"):
        turn["tool_calls"] = [
            {
                "id": call_id_to_wire(str(call.get("id"))),
                "type": "function",
                "function": call.get("function"),
            }
            for call in calls
        ]
    return turn


def call_id_to_wire(call_id: str) -> str:
    """Give an id of exactly nine letters and digits: the same one, or always the same in its place."""
    if _ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _part_to_wire(part: dict[str, Any]) -> dict[str, Any]:
    body = part.get(str(part.get("type")))
    if part.get("type") == "file" and isinstance(body, dict):
        document = body.get("file_data")
        if document is None:
            return {"type": "file", "file_id": body.get("file_id")}
        said = {"type": "document_url", "document_url": document}
        return said | ({"document_name": body["filename"]} if "filename" in body else {})
    if part.get("type") == "input_audio" and isinstance(body, dict):
        return {"type": "input_audio", "input_audio": body.get("data")}
    return part
