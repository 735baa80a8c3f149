"""Errors as OpenAI's API writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from faultmaven.gateway.faults import Fault, Kind
    from faultmaven.gateway.front import Encoder

_TYPES: Final[dict[Kind, str]] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "insufficient_quota",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "upstream_error",
    "internal": "server_error",
}


def error_body(fault: Fault, request_id: str) -> dict[str, Any]:
    """Give the body of an error."""
    del request_id  # it is in a header
    return {
        "error": {
            "message": fault.message,
            "type": _TYPES[fault.kind],
            "param": fault.param,
            "code": fault.code,
        }
    }


def error_event(fault: Fault, request_id: str, encoder: Encoder | None = None) -> bytes:
    """Give the event that ends a stream in an error."""
    del encoder
    return b"data: %b\n\n" % codec.dumps(error_body(fault, request_id))
