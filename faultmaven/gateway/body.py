"""Bodies of requests: read within bounds of size and time, and parsed strictly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from faultmaven.gateway.faults import Fault, invalid
from faultmaven.gateway.options import options_of
from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.web import BaseRequest

MAX_DEPTH: Final = 64
_MANY_BYTES: Final = 16 * 1024
_JSON: Final = "application/json"
_MAYBE_JSON: Final = (
    "", _JSON, "application/octet-stream", "application/x-www-form-urlencoded",
)  # fmt: skip


async def read_body(request: BaseRequest, most_bytes: int | None = None) -> bytes:
    """Give the whole body.

    Args:
        request: whose it is.
        most_bytes: where that is less than the server's own limit.

    Raises:
        Fault: it is too large, too slow, compressed, or broken.
    """
    headers = request.headers
    if "Content-Encoding" in headers and headers["Content-Encoding"].lower() != "identity":
        message = "Compressed requests are not accepted: send the body as it is."
        raise Fault(415, "invalid_request", "unsupported_encoding", message, close=True)
    content = request.content
    limit_bytes = options_of(request).max_body_bytes
    if most_bytes is not None and most_bytes < limit_bytes:
        limit_bytes = most_bytes
    if content.is_eof() and content.total_bytes <= limit_bytes:
        return content.read_nowait()
    length = request.content_length
    if length is not None and length > limit_bytes:
        raise _too_large(limit_bytes)
    if headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts: list[bytes] = []
    size = 0
    limit_s = options_of(request).body_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            while data := await content.readany():
                parts.append(data)
                size += len(data)
                if size > limit_bytes:
                    raise _too_large(limit_bytes)
    except TimeoutError:
        message = f"The request's body did not come within {limit_s:g} s."
        raise Fault(408, "timeout", "request_timeout", message, close=True) from None
    except (RequestPayloadError, HttpProcessingError):
        message = "The request's body is not valid HTTP."
        raise Fault(400, "invalid_request", "malformed_body", message, close=True) from None
    return b"".join(parts)


def check_type(headers: Mapping[str, str]) -> None:
    """See that a body is meant as JSON.

    A body without a type may be JSON, and so may one of the types that curl and others give to any data.

    Raises:
        Fault: it says that it is something else.
    """
    said = headers.get("Content-Type")
    if said is None or said == _JSON:
        return
    kind = said.partition(";")[0].strip().lower()
    if kind not in _MAYBE_JSON and not kind.endswith("+json"):
        message = "The body must be JSON: send it with `Content-Type: application/json`."
        raise invalid(message, code="unsupported_content_type")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a body that must be one JSON object.

    Raises:
        Fault: it is not strict JSON, has a key twice, or is something else.
    """
    try:
        data = codec.loads(raw)
        again = codec.dumps(data)
    except (ValueError, TypeError, RecursionError) as exc:
        raise invalid(_explained(raw, exc), code="invalid_json") from None
    if type(data) is not dict:
        msg = "The body must be a JSON object."
        raise invalid(msg, code="invalid_json")
    # Most clients write it as we do, and what we write has no key twice.
    if again != raw and _may_have_dropped_a_key(raw, again):
        _check_slowly(raw)
    # To look at what was parsed is quicker than at many bytes, of which a few strings are the most.
    if len(raw) > _MANY_BYTES or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(data)
    return data


def _may_have_dropped_a_key(raw: bytes, again: bytes) -> bool:
    r"""Tell whether a key may be in a body twice, by the body and what was written of it anew.

    Each key and string has two quotes: as many go out as came in, unless a key was dropped for a later
    one of the same name (or a quote was written as \u0022).
    """
    if raw.count(b'"') != again.count(b'"'):
        return True
    return b"\\" in raw and b"\\u0022" in raw  # the first finds nothing much sooner


def _check_slowly(raw: bytes) -> None:
    import json

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            double = next(name for name in names if names.count(name) > 1)
            msg = f"The key {double[:80]!r} is there twice."
            raise invalid(msg, code="duplicate_key")
        return found

    try:
        json.loads(raw, object_pairs_hook=once)
    except RecursionError:
        msg = "The body is nested too deep."
        raise invalid(msg, code="invalid_json") from None
    except ValueError as exc:
        raise invalid(_explained(raw, exc), code="invalid_json") from None


def _check_depth(data: Any) -> None:
    """Refuse what is nested deeper than any request is."""
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if type(value) is dict else value)
            if type(inner) in (dict, list) and inner
        ]
        if not level:
            return
    message = f"The body is nested deeper than {MAX_DEPTH} levels."
    raise invalid(message, code="invalid_json")


def _explained(raw: bytes, exc: Exception) -> str:
    if not raw.strip():
        return "The body is empty; a JSON object is expected."
    place = getattr(exc, "pos", None)
    where = f" (at character {place})" if isinstance(place, int) else ""
    what = str(getattr(exc, "msg", "")) or "it is nested too deep or holds what JSON cannot"
    return f"The body is not valid JSON{where}: {what.partition(':')[0]}."


def deadline_of(
    headers: Mapping[str, str], default_s: float | None, most_s: float | None
) -> float | None:
    """Give the monotonic instant that no try of a call may pass; None for none.

    Args:
        headers: the client's; `x-request-timeout` is its own bound in seconds.
        default_s: for clients that say nothing.
        most_s: for all of them.

    Raises:
        Fault: the client's bound is not a number of seconds.
    """
    seconds = _timeout_of(headers)
    if seconds is None:
        seconds = default_s
    if most_s is not None:
        seconds = most_s if seconds is None else min(seconds, most_s)
    return None if seconds is None else time.monotonic() + seconds


def _timeout_of(headers: Mapping[str, str]) -> float | None:
    text = headers.get("x-request-timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        message = "x-request-timeout must be a number of seconds above 0."
        raise invalid(message, "x-request-timeout")
    return seconds


def _too_large(limit_bytes: int) -> Fault:
    message = f"The body is larger than {limit_bytes} bytes."
    return Fault(413, "too_large", "request_too_large", message, close=True)
