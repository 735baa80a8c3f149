"""What a body is by its first bytes, for hosts whose content types say something else."""

from __future__ import annotations

from typing import Final

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

_FILLERS: Final = b"\xef\xbb\xbf \t\r\n"
_FIELDS: Final = (b":", b"data:", b"event:", b"id:", b"retry:")
_LONGEST: Final = max(map(len, _FIELDS))


def holds_json(start: bytes) -> bool:
    """Tell whether a body begins as a JSON object or array."""
    return start.lstrip(_FILLERS).startswith((b"{", b"["))


def holds_events(start: bytes) -> bool:
    """Tell whether a body begins as server-sent events; a part of a field's name will do."""
    start = start.lstrip(_FILLERS)
    if start.startswith(_FIELDS):
        return True
    return 0 < len(start) < _LONGEST and any(field.startswith(start) for field in _FIELDS)
