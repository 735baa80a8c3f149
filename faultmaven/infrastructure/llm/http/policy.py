"""The settings of one provider's connections."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROW_FIELDS = ("tls_verify", "ca_file", "proxy")
_ROW_LIMITS = ("max_response_bytes",)


def _user_agent() -> str:
    # The root package stands above this layer and is not imported from here; it is loaded anyway.
    return f"faultmaven/{sys.modules['faultmaven'].__version__}"


@dataclass(frozen=True, slots=True)
class TransportPolicy:
    """How connections are made and what is accepted from them.

    Attributes:
        connect_timeout_s: for a place in the pool, DNS, TCP and TLS together.
        keepalive_s: an idle connection older than this is not used again.
        max_connections: at the same time, to all hosts of this provider.
        max_response_bytes: of a plain answer, after decompression.
        max_error_bytes: of the body of an error status; the rest is not read.
        error_body_timeout_s: for the body of an error status; then the status alone is used.
        linger_s: how long the end of a stream's body is awaited after its last event.
        tls_verify: False accepts any certificate, with a warning in the log.
        ca_file: PEM file of the authorities to trust instead of the system's, None for the system's.
        proxy: URL of an HTTP proxy, None for none; the environment's proxies are never used.
        accept_encoding: compression to offer; answers in gzip and deflate are always understood.
        user_agent: how we introduce ourselves.
    """

    connect_timeout_s: float = 5.0
    keepalive_s: float = 15.0
    max_connections: int = 1024
    max_response_bytes: int = 16 * 1024 * 1024
    max_error_bytes: int = 256 * 1024
    error_body_timeout_s: float = 2.0
    linger_s: float = 0.25
    tls_verify: bool = True
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    accept_encoding: str = "identity"
    user_agent: str = field(default_factory=_user_agent)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Take what a row says about connections; the defaults for what it does not."""
        said = {name: row[name] for name in _ROW_FIELDS if row.get(name) is not None}
        limits = row.get("limits") or {}
        return cls(**said, **{name: limits[name] for name in _ROW_LIMITS if name in limits})
