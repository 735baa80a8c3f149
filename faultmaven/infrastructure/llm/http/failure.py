"""What aiohttp raises, as an `LLMError` that says what happened and what to do; import it late.

Messages name the provider and never a host or header, and causes are replaced where aiohttp's own
exception carries the request's headers or the proxy's password.
"""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
)


class Failure(NamedTuple):
    """One kind of failure.

    Attributes:
        kind: class of the error.
        code: ours, in snake case.
        text: follows the provider's name.
        retryable: None leaves it to the class.
    """

    kind: type[LLMError]
    code: str
    text: str
    retryable: bool | None = None

    def error(self, provider: str, status: int | None = None) -> LLMError:
        """Make the exception."""
        return self.kind(
            f"{provider}: {self.text}",
            provider=provider,
            status=status,
            code=self.code,
            retryable=self.retryable,
        )


CLOSED = Failure(
    LLMConnectionError,
    "connection_closed",
    "the server closed the connection before the answer was whole; try again",
)
_RESET = Failure(
    LLMConnectionError,
    "connection_reset",
    "the connection was reset before the answer was whole; try again",
)
_REFUSED = Failure(
    LLMConnectionError,
    "connect_refused",
    "the connection was refused; check that the server runs and that the base URL is right",
)
_UNREACHABLE = Failure(
    LLMConnectionError,
    "connect_failed",
    "no connection could be made; check the network and the base URL",
)
_PROXY = Failure(
    LLMConnectionError,
    "proxy_unreachable",
    "the configured proxy did not connect us; check `proxy` in the row",
)
_DNS = Failure(
    LLMConnectionError,
    "dns_failure",
    "the host name of the base URL was not found; check its spelling and the network",
)
_CERTIFICATE = Failure(
    LLMConnectionError,
    "tls_error",
    "the server's TLS certificate is not trusted; check the base URL's host, or name the"
    " authority with `ca_file` in the row",
    retryable=False,
)
_HANDSHAKE = Failure(
    LLMConnectionError,
    "tls_handshake_failed",
    "the TLS handshake failed; check that the base URL's scheme and port are right",
)
_CONNECT_TIMEOUT = Failure(
    LLMTimeoutError,
    "connect_timeout",
    "no connection within the connect timeout; check the network and the base URL",
)
_ENCODING = Failure(
    ResponseFormatError,
    "bad_encoding",
    "the answer's compression is broken or unknown; try again, or report it to the provider",
)
_PROTOCOL = Failure(
    ResponseFormatError,
    "protocol_error",
    "the answer is not valid HTTP; check that the base URL points to the provider's API",
)
_URL = Failure(
    ConfigurationError,
    "invalid_url",
    "the URL cannot be used; check the base URL",
    retryable=False,
)
_HEADER = Failure(
    ConfigurationError,
    "invalid_header",
    "a header cannot be sent; check the key and the extra headers for line breaks",
    retryable=False,
)
_REDIRECT = Failure(
    ResponseFormatError,
    "unexpected_redirect",
    "the server redirects, and redirects are not followed; set the base URL to its target",
    retryable=False,
)
TOO_LARGE = Failure(
    ResponseFormatError,
    "response_too_large",
    "the answer is larger than is accepted and was not read to its end",
    retryable=False,
)
_POOL_TIMEOUT = Failure(
    LLMTimeoutError,
    "pool_timeout",
    "all connections to it are in use; make fewer calls at the same time",
)

_DECODED = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"})


def explain(exc: BaseException, provider: str, *, is_full: bool = False) -> LLMError | None:
    """Give the error that says what an exception means, None for one that must pass through."""
    if isinstance(exc, LLMError):
        return exc
    if not isinstance(exc, Exception):
        return None
    error = describe(exc, pool_is_full=is_full).error(provider)
    error.__cause__ = safe_cause(exc)
    return error


def describe(exc: BaseException, *, pool_is_full: bool = False) -> Failure:
    """Find out which kind of failure an exception is."""
    if isinstance(exc, aiohttp.ClientPayloadError):
        return _describe_payload(exc)
    if isinstance(exc, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return _DNS
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return _POOL_TIMEOUT if pool_is_full else _CONNECT_TIMEOUT
    if isinstance(exc, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return _PROXY
    if isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ClientSSLError | ssl.SSLError):
        return _describe_connect(exc)
    return _describe_exchange(exc)


def unusable_head(status: int, encoding: str) -> Failure | None:
    """Say what is wrong with an answer whose headers have come, None if its body can be read."""
    if 300 <= status < 400:
        return _REDIRECT
    if encoding and encoding.strip().lower() not in _DECODED:
        return _ENCODING
    return None


def timed_out(seconds: float, phase: str, *, by_deadline: bool) -> Failure:
    """Give the failure of a wait that was `seconds` long.

    `phase` is "headers" or "read".
    """
    if by_deadline:
        return Failure(
            LLMTimeoutError,
            "deadline_exceeded",
            "the call's deadline passed before the answer was whole",
        )
    what = "no answer" if phase == "headers" else "nothing more of the answer"
    return Failure(
        LLMTimeoutError,
        f"{phase}_timeout",
        f"{what} came within {seconds:g} s",
    )


def safe_cause(exc: BaseException) -> BaseException | None:
    """Give what may be chained: the operating system's error rather than aiohttp's own."""
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error
    if isinstance(exc, aiohttp.ClientResponseError | aiohttp.ClientPayloadError | ValueError):
        # These quote the request's headers, or bytes of the answer.
        return None
    return exc


def _describe_connect(exc: BaseException) -> Failure:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | ssl.CertificateError):
        return _CERTIFICATE
    if isinstance(exc, aiohttp.ClientSSLError | ssl.SSLError):
        return _HANDSHAKE
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(cause, ConnectionRefusedError):
        return _REFUSED
    return _RESET if isinstance(cause, ConnectionResetError) else _UNREACHABLE


def _describe_exchange(exc: BaseException) -> Failure:
    if isinstance(exc, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return _URL
    if isinstance(exc, aiohttp.ClientResponseError | HttpProcessingError):
        return _PROTOCOL
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return CLOSED
    if isinstance(exc, ConnectionError):
        return _RESET
    if isinstance(exc, ValueError):
        return _HEADER
    return _RESET if isinstance(exc, OSError) else CLOSED


def _describe_payload(exc: aiohttp.ClientPayloadError) -> Failure:
    cause = exc.__cause__
    if isinstance(cause, ContentEncodingError):
        return _ENCODING
    text = str(exc)
    if "not completed" in text or "Not enough data" in text:
        return CLOSED
    return _PROTOCOL
