"""What the clients' tests ask, and what the scripted upstream answers."""

from __future__ import annotations

from faultmaven.testing import ToolUse

IMAGE_DATA = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
IMAGE = f"data:image/png;base64,{IMAGE_DATA}"
DOCUMENT_DATA = "JVBERi0xLjQK"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
TWO_CALLS = [
    ToolUse("call_a", "get_weather", '{"city":"Paris"}'),
    ToolUse("call_b", "get_weather", '{"city":"Oslo"}'),
]
