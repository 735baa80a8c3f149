"""What a provider says went wrong, in whatever shape, as one `LLMError`.

The status decides first; the provider's code and type where a status has several meanings; patterns in
the message only where those are silent.  The shapes are OpenAI's, Anthropic's, Google's (also in a list),
AWS's (type in a header), Cohere's, Ollama's plain string, FastAPI's `detail`, lists of errors,
OpenRouter's JSON text inside `metadata.raw`, HTML, plain text and nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.retry import apply_retry_headers
from faultmaven.infrastructure.llm.secret import redact
from faultmaven.infrastructure.llm.wire.error_class import choose_class
from faultmaven.infrastructure.llm.wire.error_text import MAX_TEXT_BYTES, Details, dig, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.errors import LLMError

# A body that is larger is read as text: no provider explains itself in a megabyte.
MAX_JSON_BYTES: Final = 1024 * 1024
# Bodies are cut to this before markup is taken out of them.
MAX_MARKUP_BYTES: Final = 32 * 1024

_REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "cf-ray",
)


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
    """Build the error that a refused call means; the caller adds provider, model and remedy.

    Args:
        status: the HTTP status.
        headers: of the reply, names in any case.
        body: of the reply, possibly cut off, possibly empty.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    return _build(status, lowered, _read(body))


def parse_error_object(
    data: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> LLMError:
    """Build the error that a JSON value means: a body under HTTP 200, or an event of a stream.

    A numeric code in the object that is an HTTP status takes the place of `status`.
    """
    details = dig(data)
    code = details.code or ""
    if status < 400 and code.isdecimal() and 400 <= int(code) <= 599:
        status = int(code)
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    return _build(status, lowered, details)


def _read(body: bytes) -> Details:
    if len(body) <= MAX_JSON_BYTES:
        try:
            return dig(codec.loads(_event_data(body)))
        except ValueError:
            pass
    text = body[:MAX_MARKUP_BYTES].decode("utf-8", "replace")
    return Details(message=plain_text(text))


def _event_data(body: bytes) -> bytes:
    """Take the data out of an error that was sent as a server-sent event."""
    stripped = body.strip().removeprefix(b"\xef\xbb\xbf")
    if stripped.startswith((b"data:", b"event:")):
        for line in stripped.splitlines():
            if line.startswith(b"data:"):
                return line[5:].strip()
    return stripped


def _build(status: int, headers: Mapping[str, str], details: Details) -> LLMError:
    aws_type = headers.get("x-amzn-errortype", "").partition(":")[0]
    error_type = details.error_type or aws_type.rpartition("#")[2] or None
    names = {n.lower() for n in (details.code, error_type, details.reason) if n}
    kind = choose_class(status, names, f"{details.message} {details.extra}".strip())
    text = _cut(redact(details.message))
    error = kind(
        _sentence(status, text, _cut(redact(details.extra))),
        status=status,
        code=details.code,
        error_type=error_type,
        retryable=False if status in _NOT_RETRYABLE else None,
        retry_after_s=details.retry_after_s,
        request_id=_request_id(headers, details),
        upstream_message=text or None,
    )
    return apply_retry_headers(error, headers)


# 501 says that it never will; 424 is Bedrock's word for a model that failed on this input.
_NOT_RETRYABLE: Final = frozenset({424, 501})


def _request_id(headers: Mapping[str, str], details: Details) -> str | None:
    named = (headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name))
    return next(named, details.request_id)


def _sentence(status: int, text: str, extra: str) -> str:
    if not text:
        try:
            text = f"{HTTPStatus(status).phrase}, without an explanation"
        except ValueError:
            text = "without an explanation"
    return f"HTTP {status}: {text} ({extra})" if extra else f"HTTP {status}: {text}"


def _cut(text: str) -> str:
    """Keep at most 2 KB of UTF-8, without half a character at the end."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_TEXT_BYTES:
        return data.decode()
    return data[: MAX_TEXT_BYTES - 4].decode("utf-8", "ignore") + "…"
