"""What browsers are told: which other sites' pages may call the gateway.  Off unless origins are named.

Source: the Fetch standard, section "CORS protocol", read 2026-11-21.  Keys come in headers that a page
must set by itself and never as cookies, so that credentials are not allowed and never said to be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MAX_AGE_S: Final = 600
_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?"
)
# Names of this machine that nobody else's name server can point here.
_HOME: Final = re.compile(
    r"(localhost|[a-z0-9-]+\.localhost|127(\.[0-9]{1,3}){3}|\[::1\])?(:[0-9]{1,5})?", re.IGNORECASE
)
_NAMES: Final = re.compile(r"[A-Za-z0-9, _-]{0,1024}")
_SHOWN: Final = (
    "retry-after, x-request-id, x-should-retry, x-faultmaven-attempts, x-faultmaven-cost-usd, "
    "x-faultmaven-model, x-faultmaven-provider, x-faultmaven-route, x-faultmaven-unsupported, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    "idempotent-replayed"
)


def wrong_origins(origins: Iterable[str]) -> list[str]:
    """Give those that are no origin as a browser writes it: scheme, host, and port if unusual."""
    return [origin for origin in origins if _ORIGIN.fullmatch(origin) is None]


def origin_fields(origins: Collection[str], headers: Mapping[str, str]) -> str:
    """Give the header lines of any answer to a request with these headers."""
    origin = headers.get("Origin")
    if origin is None or origin not in origins:
        return "vary: Origin\r\n"
    return (
        f"vary: Origin\r\naccess-control-allow-origin: {origin}\r\n"
        f"access-control-expose-headers: {_SHOWN}\r\n"
    )


def is_foreign(headers: Mapping[str, str], origins: Collection[str], *, at_home: bool) -> bool:
    """Tell whether a page of another site may be behind a request, in a browser that runs here.

    A browser sends what any page wants to the machine that it runs on, and a site can have its own name
    point there: without a key, only Origin and Host tell.

    Args:
        headers: of the request.
        origins: those that may call.
        at_home: the gateway is reached by names of this machine alone.
    """
    host = headers.get("Host", "")
    if at_home and _HOME.fullmatch(host) is None:
        return True
    origin = headers.get("Origin")
    return origin is not None and origin not in origins and origin.partition("://")[2] != host


def is_preflight(method: str, origins: Collection[str], headers: Mapping[str, str]) -> bool:
    """Tell whether a browser asks before it calls, for a page that may."""
    return (
        method == "OPTIONS"
        and headers.get("Origin") in origins
        and "Access-Control-Request-Method" in headers
    )


def preflight_fields(headers: Mapping[str, str]) -> str:
    """Give the header lines that let the page call; whether it has a key is seen when it does."""
    names = headers.get("Access-Control-Request-Headers", "")
    fields = (
        f"access-control-max-age: {MAX_AGE_S}\r\n"
        "access-control-allow-methods: GET, POST, DELETE\r\n"
    )
    if names and _NAMES.fullmatch(names):
        fields += f"access-control-allow-headers: {names}\r\n"
    return fields
