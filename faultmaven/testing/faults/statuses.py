"""Error statuses, their headers, and odd error bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from faultmaven.testing.dialects.base import dump
from faultmaven.testing.faults.registry import fault, find_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultmaven.testing.exchange import Exchange

_KINDS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is wrong."),
    401: ("authentication_error", "invalid_api_key", "The API key is not valid."),
    402: ("billing_error", "insufficient_balance", "The balance is too low."),
    403: ("permission_error", "permission_denied", "This key may not use this model."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    408: ("timeout_error", "timeout", "The request took too long to arrive."),
    409: ("conflict_error", "conflict", "The request conflicts with another."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    422: ("invalid_request_error", "unprocessable", "The request cannot be processed."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Too many requests, slow down."),
    503: ("overloaded_error", "unavailable", "The service is unavailable."),
    504: ("timeout_error", "timeout", "The answer took too long."),
    529: ("overloaded_error", "overloaded", "Overloaded."),
}
_SERVER = ("server_error", None, "The server had an error.")


def _error(status: int) -> tuple[str, str, str | None]:
    kind, code, message = _KINDS.get(status, _SERVER)
    return message, kind, code


def _headers(args: Sequence[str]) -> list[tuple[str, str]]:
    """Give the headers that `name=value` arguments name; a date is seconds from now."""
    lines = []
    for name, _, value in (arg.partition("=") for arg in args):
        if name == "retry-after-date":
            moment = datetime.now(UTC) + timedelta(seconds=float(value))
            lines.append(("retry-after", format_datetime(moment, usegmt=True)))
        else:
            lines.append((name, value))
    return lines


@fault("status:CODE:HEADER=VALUE")
async def status(x: Exchange) -> None:
    """Answer with an error status in the dialect's own shape.

    Any number of headers may follow: `retry-after=`, `retry-after-ms=`, `x-should-retry=`, and
    `retry-after-date=` with seconds from now.
    """
    code = x.number(0, 500)
    await x.reply_error(code, *_error(code), headers=_headers(x.args[1:]))


@fault("flaky:N:FAULT")
async def flaky(x: Exchange) -> None:
    """Play FAULT for the first N requests that ask for this, then answer well."""
    plays = x.stage.plays.get(x.spec, 0)
    x.stage.plays[x.spec] = plays + 1
    if plays >= x.number(0, 1):
        await x.ok()
        return
    inner, args = find_fault(":".join(x.args[1:]))
    x.args = args
    await inner.play(x)


@fault("quota")
async def quota(x: Exchange) -> None:
    """Answer 429 because the account has no credit; waiting does not help."""
    message = "You exceeded your current quota, please check your plan and billing details."
    await x.reply_error(429, message, "insufficient_quota", "insufficient_quota")


@fault("context-length")
async def context_length(x: Exchange) -> None:
    """Answer 400 because the prompt is longer than the model's window."""
    message = (
        "prompt is too long: 9000 tokens. This model's maximum context length is 8192 tokens."
    )
    await x.reply_error(400, message, "invalid_request_error", "context_length_exceeded")


@fault("auth-echo")
async def auth_echo(x: Exchange) -> None:
    """Answer 401 with the caller's key in the message."""
    message = f"Incorrect API key provided: {x.request.api_key}. Find your key in the settings."
    await x.reply_error(401, message, "authentication_error", "invalid_api_key")


@fault("key-in-stream")
async def key_in_stream(x: Exchange) -> None:
    """Fail inside a good stream, or a body under status 200, with the caller's key in the message."""
    message = f"The key {x.request.api_key} was revoked."
    if not x.is_stream:
        await x.reply(x.error_body(401, message, "authentication_error", "invalid_api_key"))
        return
    error = x.dialect.error_event(401, message, "authentication_error", "invalid_api_key")
    await x.reply_events([*x.events()[:4], error])


_HTML = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0} {1}</h1></body></html>"


@fault("status-html:CODE")
async def status_html(x: Exchange) -> None:
    """Answer with an error page, as proxies do, script included."""
    code = x.number(0, 502)
    page = _HTML.format(code, "<script>alert(1)</script> Bad Gateway")
    await x.reply(page.encode(), code, "text/html; charset=utf-8")


@fault("status-empty:CODE")
async def status_empty(x: Exchange) -> None:
    """Answer with an error status and no body."""
    await x.reply(b"", x.number(0, 500), None)


@fault("status-text:CODE")
async def status_text(x: Exchange) -> None:
    """Answer with an error status and a line of plain text."""
    await x.reply(b"upstream connect error", x.number(0, 503), "text/plain")


@fault("status-huge:CODE:MB")
async def status_huge(x: Exchange) -> None:
    """Answer with an error whose message is MB megabytes long."""
    code = x.number(0, 500)
    body = x.error_body(code, "x" * (x.number(1, 5) * 1024 * 1024))
    await x.reply(body, code)


@fault("200-error")
async def error_in_200(x: Exchange) -> None:
    """Answer 200 with an error as the body."""
    await x.reply(x.error_body(500, "The server had an error.", "server_error"))


@fault("200-html")
async def html_in_200(x: Exchange) -> None:
    """Answer 200 with a web page."""
    await x.reply(_HTML.format(200, "Welcome").encode(), 200, "text/html; charset=utf-8")


@fault("200-empty")
async def empty_200(x: Exchange) -> None:
    """Answer 200 with an empty body."""
    await x.reply(b"")


@fault("204")
async def no_content(x: Exchange) -> None:
    """Answer 204."""
    await x.send_head(204, x.headers()[1:])


@fault("json-array")
async def json_array(x: Exchange) -> None:
    """Answer 200 with the good body inside an array."""
    await x.reply(dump([x.dialect.body(x.question, x.answer)]).encode())


@fault("json-scalar")
async def json_scalar(x: Exchange) -> None:
    """Answer 200 with a number."""
    await x.reply(b"42")
