"""Access tokens that expire: fetched when they are needed, by one caller for all, and kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK
from faultmaven.infrastructure.llm.secret import redact, remember_secret
from faultmaven.infrastructure.llm.wire.errors import parse_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.http import Transport
    from faultmaven.infrastructure.llm.retry import Clock

TOKEN_TIMEOUT_S = 30.0
# A token is renewed this long before its end, or after half its life where that is shorter.
_MARGIN_S = 300.0
# What services that do not say have meant so far.
_DEFAULT_LIFE_S = 3600.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and the seconds from now that it is good for."""

    value: str = field(repr=False)
    life_s: float


class LoopLock:
    """A lock for each event loop, since one cannot be shared between them."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    def __call__(self) -> asyncio.Lock:
        """Give the lock of the running loop."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


class TokenCache:
    """Keeps a token until shortly before its end.

    Args:
        fetch: gets a new one.
        clock: what tells the time.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[AccessToken]], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = LoopLock()
        self._value = ""
        self._good_until = 0.0

    async def get(self) -> str:
        """Give a token that is good for a while yet.

        Raises:
            LLMError: a new one could not be had.
        """
        if not self._is_good():
            async with self._lock():
                if not self._is_good():
                    await self._renew()
        return self._value

    def _is_good(self) -> bool:
        return bool(self._value) and self._clock.monotonic() < self._good_until

    async def _renew(self) -> None:
        token = await self._fetch()
        remember_secret(token.value)
        margin_s = min(_MARGIN_S, token.life_s / 2)
        self._good_until = self._clock.monotonic() + token.life_s - margin_s
        self._value = token.value


@dataclass(frozen=True, slots=True)
class TokenService:
    """Where tokens are fetched by posting a form.

    Attributes:
        transport: what sends it.
        provider: the row's name, for errors.
        url: the service's address.
        remedy: what to do where it refuses.
    """

    transport: Transport
    provider: str
    url: str
    remedy: str

    async def fetch(
        self, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> AccessToken:
        """Post a form, and read `access_token` and `expires_in`.

        Raises:
            AuthenticationError: the service refused.
            LLMError: it failed, or could not be reached.
        """
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        reply = await self.transport.fetch(
            "POST", self.url, sent, urlencode(form).encode(), timeout_s=TOKEN_TIMEOUT_S
        )
        if reply.status >= 300:
            error = parse_error(reply.status, reply.headers, reply.body)
            if isinstance(
                error, AuthenticationError | InvalidRequestError | PermissionDeniedError
            ):
                said = _data_of(reply.body).get("error_description")
                text = said or error.upstream_message or error.message
                raise refused(self.provider, str(text), self.remedy)
            raise error
        return self._read(reply.body)

    def _read(self, body: bytes) -> AccessToken:
        data = _data_of(body)
        value = data.get("access_token")
        if not isinstance(value, str) or not value:
            msg = f"{self.url} gave no access token"
            raise ResponseFormatError(msg, provider=self.provider, code="no_access_token")
        return AccessToken(value, _seconds(data.get("expires_in")))


def _data_of(body: bytes) -> dict[str, Any]:
    try:
        data = codec.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def refused(provider: str, said: str, remedy: str) -> AuthenticationError:
    """Make the error of credentials that are not accepted, with its remedy."""
    text = redact(said).rstrip(".")
    error = AuthenticationError(
        f"{provider}: no access token: {text}. {remedy}", provider=provider, code="no_access_token"
    )
    # The remedy of an API key would mislead.
    error.__dict__["explained"] = True
    return error


def _seconds(value: object) -> float:
    try:
        return max(float(str(value)), 1.0)
    except ValueError:
        return _DEFAULT_LIFE_S
