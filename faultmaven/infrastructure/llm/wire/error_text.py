"""Finding message, code and type in the many shapes of an error body."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from faultmaven.infrastructure.llm import codec

MAX_TEXT_BYTES: Final = 2048

_MESSAGE_NAMES: Final = (
    "message",
    "detail",
    "error_message",
    "errorMessage",
    "msg",
    "title",
    "reason",
)
_CODE_NAMES: Final = ("code", "error_code", "errorCode")
_TYPE_NAMES: Final = ("type", "status", "__type")
# Values of `type` that only say that this is an error.
_EMPTY_TYPES: Final = frozenset({"error", "response.failed"})
_MAX_DEPTH: Final = 6
_MAX_LISTED: Final = 5

_TAG: Final = re.compile(r"<[^<>]*>")
_SPACE: Final = re.compile(r"\s+")
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_TRY_AGAIN: Final = re.compile(
    r"try again in ((?:[0-9.]{1,20}(?:ms|s|m|h)){1,4})\b", re.IGNORECASE
)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(slots=True)
class Details:
    """What an error body says.

    Attributes:
        message: the human text as it was sent, at most 2 KB or so.
        code: the provider's code as text.
        error_type: the provider's type or status word.
        reason: Google's `ErrorInfo.reason`, or Azure's inner code.
        extra: a second text, of the provider behind a gateway.
        retry_after_s: seconds that the body asks to wait.
        request_id: where the body names it.
    """

    message: str = ""
    code: str | None = None
    error_type: str | None = None
    reason: str | None = None
    extra: str = ""
    retry_after_s: float | None = None
    request_id: str | None = None


def dig(data: Any) -> Details:
    """Find what an error body says, whatever its shape; a shape without any text gives empty details."""
    levels = list(_levels(data, 0))
    found = Details()
    for level in levels:
        found.message = found.message or _first_text(level, _MESSAGE_NAMES)
        found.code = found.code or _first_scalar(level, _CODE_NAMES)
        found.error_type = found.error_type or _first_word(level)
        found.request_id = found.request_id or _first_scalar(level, ("request_id", "requestId"))
        _add_google(level, found)
        _add_inner(level, found)
    if not found.message:
        found.message = _flatten(data)
    if found.retry_after_s is None and (match := _TRY_AGAIN.search(found.message)):
        found.retry_after_s = parse_duration(match[1])
    return found


def plain_text(text: str) -> str:
    """Take the words out of HTML, or trim plain text; short, on one line."""
    if "<" in text:
        for name in ("script", "style", "head"):
            text = _without_element(text, name)
        text = html.unescape(_TAG.sub(" ", text))
    return _SPACE.sub(" ", text).strip()[:MAX_TEXT_BYTES]


def parse_duration(text: str) -> float | None:
    """Read `17s`, `34.4s`, `1m30s`, `250ms` as seconds; None for anything else, and for none at all."""
    total = math.fsum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(text))
    return total if total > 0 else None


def _levels(data: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Give the objects that may describe the error, the innermost first."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(data, list):
        data = next((item for item in data if isinstance(item, dict)), None)
    if not isinstance(data, dict):
        return
    for name in ("error", "errors", "detail", "response"):
        inner = data.get(name)
        if isinstance(inner, list) and _is_listing(inner):
            yield {"message": _flatten(inner)}
        elif isinstance(inner, dict | list):
            yield from _levels(inner, depth + 1)
    if isinstance(text := data.get("error"), str):
        # Ollama, Venice, xAI: the text itself, code and type beside it.
        yield {"message": text} if not data.get("message") else {"code": text}
    yield data


def _is_listing(items: list[Any]) -> bool:
    """Tell texts, or FastAPI's places in a body, from a list that holds one whole error."""
    return not any(isinstance(item, dict) and "loc" not in item for item in items)


def _first_text(level: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = level.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, dict | list) and (text := _flatten(value)):
            return text
    return ""


def _first_scalar(level: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = level.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            continue
        return str(value)[:200]
    return None


def _first_word(level: Mapping[str, Any]) -> str | None:
    for name in _TYPE_NAMES:
        value = level.get(name)
        if isinstance(value, str) and value and value not in _EMPTY_TYPES:
            return value.rpartition("#")[2][:200]
    return None


def _add_google(level: Mapping[str, Any], found: Details) -> None:
    details = level.get("details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        if isinstance(reason := detail.get("reason"), str):
            found.reason = found.reason or reason
        if isinstance(delay := detail.get("retryDelay"), str):
            found.retry_after_s = found.retry_after_s or parse_duration(delay)


def _add_inner(level: Mapping[str, Any], found: Details) -> None:
    """Read Azure's inner error, and what the provider behind OpenRouter said."""
    inner = level.get("innererror")
    if isinstance(inner, dict):
        found.reason = found.reason or _first_scalar(inner, _CODE_NAMES)
    metadata = level.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if raw and not found.extra:
        found.extra = _text_of_raw(raw)


def _text_of_raw(raw: Any) -> str:
    try:
        value = codec.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        return plain_text(raw[: 4 * MAX_TEXT_BYTES])
    levels = _levels(value, 0)
    return next(
        filter(None, (_first_text(level, _MESSAGE_NAMES) for level in levels)), _flatten(value)
    )


def _flatten(value: Any) -> str:
    """Say a value of unknown shape in a line: FastAPI's `[{loc, msg}]` as `loc: msg; …`."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, map(_flatten_item, value[:_MAX_LISTED])))
    if isinstance(value, dict) and value:
        return codec.dumps(value).decode()[:MAX_TEXT_BYTES]
    return ""


def _flatten_item(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item) if isinstance(item, str | int) else ""
    text = _first_text(item, ("msg", "message", "detail", "error")) or str(item.get("code") or "")
    where = item.get("loc")
    if isinstance(where, list):
        path = ".".join(str(step) for step in where[:20] if step != "body")
        return f"{path}: {text}" if path else text
    return text


def _without_element(text: str, name: str) -> str:
    """Cut an element with all that is in it; what is not closed loses only its tag."""
    lowered = text.lower()
    if len(lowered) != len(text):
        return text
    kept: list[str] = []
    at = 0
    while (start := lowered.find(f"<{name}", at)) >= 0:
        end = lowered.find(f"</{name}", start)
        if end < 0:
            break
        kept.append(text[at:start])
        at = end
    return " ".join([*kept, text[at:]])
