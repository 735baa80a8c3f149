"""What a client is told when something went wrong, before it is put into the client's API.

A `Fault` is a status, a code and a sentence.  Every `LLMError` has one: what an upstream did wrong is
502, 503 or 504 here, never a 401 or 500 that would blame the client or us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from faultmaven.infrastructure.llm import errors as llm
from faultmaven.infrastructure.llm.circuit import COOLING_DOWN
from faultmaven.infrastructure.llm.secret import redact

Kind = Literal[
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "quota",
    "overloaded",
    "timeout",
    "upstream",
    "internal",
]

MAX_MESSAGE_CHARS: Final = 2000
# The code of a provider's refusal that is the gateway's own: nothing was tried there.
LOCAL_LIMIT: Final = "local_rate_limit"
_ADDRESS: Final = re.compile(r"\b(?:the address )?https?://[^\s,;)'\"]+")
# Waiting longer than this is the client's own decision.
RETRY_AFTER_UNKNOWN_S: Final = 1


@dataclass(slots=True, eq=False)
class Fault(Exception):  # noqa: N818  # what a client is told, not what went wrong
    """An answer that is an error.

    Attributes:
        status: the HTTP status.
        kind: what each API has its own `type` for.
        code: one word for programs.
        message: one sentence for people, secrets redacted.
        param: the parameter that is wrong, None where none is.
        retry_after_s: whole seconds to wait, None for nothing to say.
        should_retry: what `x-should-retry` says; None leaves it out.
        close: the connection cannot be used again.
        error: what went wrong upstream, None where nothing did.
        attempts: tries made at providers, None where none was.
        fields: further header lines, each ended by CR LF.
    """

    status: int
    kind: Kind
    code: str
    message: str
    param: str | None = None
    retry_after_s: int | None = None
    should_retry: bool | None = None
    close: bool = False
    error: llm.LLMError | None = None
    attempts: int | None = None
    fields: str = ""

    def __str__(self) -> str:
        return self.message


def fault_of(error: llm.LLMError) -> Fault:
    """Say what a failed call means to the client."""
    if isinstance(error, llm.AllProvidersFailedError) and error.errors:
        fault = fault_of(error.errors[-1])
        fault.message = _text(error)
        fault.error = error
        return fault
    status, kind, code = _meaning(error)
    fault = Fault(status, kind, code, _text(error), error=error, should_retry=False)
    if isinstance(error, llm.InvalidRequestError):
        fault.param = _parameter(error)
        fault.should_retry = None
    if error.code in (LOCAL_LIMIT, COOLING_DOWN):
        fault.should_retry = None
    if error.retry_after_s is not None:
        fault.retry_after_s = max(1, ceil(min(error.retry_after_s, 86400)))
    elif status == 503:
        fault.retry_after_s = RETRY_AFTER_UNKNOWN_S
    return fault


def invalid(message: str, param: str | None = None, code: str | None = None) -> Fault:
    """Make the fault of a request that is wrong."""
    return Fault(400, "invalid_request", code or "invalid_request_error", message, param)


def _meaning(error: llm.LLMError) -> tuple[int, Kind, str]:
    found = next((row for row in _MEANINGS if isinstance(error, row[0])), None)
    _, status, kind, code = found or _UPSTREAM
    upstream = error.status or 0
    if error.code == "pool_timeout":
        return 503, "overloaded", "overloaded"  # it has not been asked, so it was not late
    if error.code in _CLIENTS_OWN and isinstance(error, llm.ConfigurationError):
        return 400, "invalid_request", error.code
    if isinstance(error, llm.BudgetExceededError) and upstream in (402, 403):
        return 502, "upstream", "upstream_auth_error"
    if isinstance(error, llm.InvalidRequestError) and upstream in (404, 409, 413, 422):
        status = upstream
    if isinstance(error, llm.ModelNotFoundError) and upstream == 400:
        status = upstream
    if isinstance(error, llm.ServerError) and upstream in (503, 504):
        return (503, "overloaded", code) if upstream == 503 else (504, "timeout", code)
    return status, kind, _OWN_CODES.get(error.code or "", code)


_MEANINGS: Final[tuple[tuple[type[llm.LLMError], int, Kind, str], ...]] = (
    (llm.UnknownProviderError, 404, "not_found", "model_not_found"),
    (llm.ProviderNotConfiguredError, 503, "upstream", "provider_not_configured"),
    (llm.ConfigurationError, 503, "upstream", "configuration_error"),
    (llm.AuthenticationError, 502, "upstream", "upstream_auth_error"),
    (llm.PermissionDeniedError, 502, "upstream", "upstream_auth_error"),
    (llm.ModelNotFoundError, 404, "not_found", "model_not_found"),
    (llm.ContextLengthError, 400, "invalid_request", "context_length_exceeded"),
    (llm.UnsupportedParameterError, 400, "invalid_request", "unsupported_parameter"),
    (llm.InvalidRequestError, 400, "invalid_request", "invalid_request_error"),
    (llm.ContentFilterError, 400, "invalid_request", "content_filter"),
    (llm.BudgetExceededError, 429, "quota", "insufficient_quota"),
    (llm.RateLimitError, 429, "rate_limit", "rate_limit_exceeded"),
    (llm.OverloadedError, 503, "overloaded", "overloaded"),
    (llm.LLMTimeoutError, 504, "timeout", "upstream_timeout"),
    (llm.LLMConnectionError, 502, "upstream", "upstream_unreachable"),
    (llm.StreamInterruptedError, 502, "upstream", "stream_incomplete"),
    (llm.ResponseFormatError, 502, "upstream", "upstream_protocol_error"),
)

_UPSTREAM: Final[tuple[type[llm.LLMError], int, Kind, str]] = (
    llm.LLMError, 502, "upstream", "upstream_error",
)  # fmt: skip

# What no configuration of the gateway mends.
_CLIENTS_OWN: Final = frozenset({"invalid_schema", "no_embeddings"})
# Codes of ours that say more than the class does.
_OWN_CODES: Final = {
    "circuit_open": "upstream_unavailable",
    "answer_cut_off": "upstream_protocol_error",
    "no_embeddings": "no_embeddings",
    "response_too_large": "response_too_large",
    "stream_incomplete": "stream_incomplete",
    "tls_error": "upstream_tls_error",
    "unexpected_redirect": "unexpected_redirect",
}


def _parameter(error: llm.InvalidRequestError) -> str | None:
    if isinstance(error, llm.UnsupportedParameterError):
        return error.parameter
    return getattr(error, "parameter", None)


def _text(error: llm.LLMError) -> str:
    text = redact(error.message)
    if "://" in text:
        # Where a provider is reached is nothing for clients: it may be in a private network.
        text = _ADDRESS.sub("its address", text)
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}…"
