"""AWS Signature Version 4 for requests whose whole body is at hand: pure, nothing but hmac and sha256.

Source: AWS General Reference, "Create a signed AWS API request", and AWS's published test suite (read
2026-11-21).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from urllib.parse import SplitResult

ALGORITHM: Final = "AWS4-HMAC-SHA256"

# Added or changed on the way, so that no signature may depend on them.
_UNSIGNED: Final = frozenset({
    "accept-encoding", "authorization", "connection", "content-length", "expect",
    "transfer-encoding", "user-agent", "x-amzn-trace-id",
})  # fmt: skip
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SPACES: Final = re.compile(r" +")
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class AWSCredentials:
    """What a request is signed with.

    Attributes:
        access_key: the id, which is sent.
        secret_key: the secret, which never is.
        session_token: sent along where the credentials are temporary.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SigningScope:
    """For which region and service a signature counts."""

    region: str
    service: str


def sign_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    credentials: AWSCredentials,
    scope: SigningScope,
    now: datetime,
) -> dict[str, str]:
    """Give the headers with those that sign the request: `X-Amz-Date` and `Authorization`.

    Args:
        method: in upper case.
        url: complete, exactly as it will be sent.
        headers: what will be sent; all of them are signed but those that a proxy may change.
        body: what will be sent; None for nothing.
        credentials: whose signature it is.
        scope: the region and the service's name for signing ("bedrock").
        now: the time of day in UTC; AWS allows five minutes of difference.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "X-Amz-Date": stamp}
    if credentials.session_token:
        signed["X-Amz-Security-Token"] = credentials.session_token
    lines = _header_lines({"host": _host(parts), **signed})
    names = ";".join(lines)
    canonical = "\n".join((
        method,
        _canonical_path(parts.path),
        _canonical_query(parts.query),
        *(f"{name}:{value}" for name, value in lines.items()),
        "",
        names,
        hashlib.sha256(body or b"").hexdigest(),
    ))  # fmt: skip
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{stamp}\n{place}\n{digest}"
    key = _signing_key(credentials.secret_key, stamp[:8], scope)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    signed["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{place}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, date: str, scope: SigningScope) -> bytes:
    """Derive the key of one day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for step in (date, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    has_own_port = parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme)
    return f"{host}:{parts.port}" if has_own_port else host


def _header_lines(headers: Mapping[str, str]) -> dict[str, str]:
    lines = {name.lower(): _SPACES.sub(" ", value.strip()) for name, value in headers.items()}
    return {name: lines[name] for name in sorted(lines) if name not in _UNSIGNED}


def _canonical_path(path: str) -> str:
    """Encode the path once more than it is, as every service but S3 does."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{slash}", safe=f"/{_UNRESERVED}")


def _canonical_query(query: str) -> str:
    pairs = (item.partition("=") for item in query.split("&") if item)
    return "&".join(sorted(f"{_encode(name)}={_encode(value)}" for name, _, value in pairs))


def _encode(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)
