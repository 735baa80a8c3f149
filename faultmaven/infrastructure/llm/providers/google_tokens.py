"""Access tokens of Google Cloud, made by google-auth: service accounts, users, workloads, machines.

google-auth is an extra (`faultmaven[vertex]`) and imported when the first token is needed.  Its requests
go through the provider's own transport, so that proxies and certificates are those of the row.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMError,
    ProviderNotConfiguredError,
)
from faultmaven.infrastructure.llm.providers.oauth_tokens import (
    TOKEN_TIMEOUT_S,
    LoopLock,
    refused,
)
from faultmaven.infrastructure.llm.secret import remember_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultmaven.infrastructure.llm.http import Transport

_REMEDY = (
    "Check the file that GOOGLE_APPLICATION_CREDENTIALS names, or run "
    "`gcloud auth application-default login`."
)


class GoogleTokens:
    """The headers that authorize calls of Google Cloud.

    Args:
        provider: the row's name, for errors.
        source: a credentials file's path, or its JSON text; None looks where Google's tools do.
        scope: what the tokens are for.
        transport: gives what reaches the token service.
    """

    def __init__(
        self, provider: str, source: str | None, scope: str, transport: Callable[[], Transport]
    ) -> None:
        self._provider = provider
        self._source = source
        self._scope = scope
        self._transport = transport
        self._lock = LoopLock()
        self._credentials: Any = None

    async def headers(self) -> dict[str, str]:
        """Give `Authorization`, and the project that is billed where the credentials name one.

        Raises:
            ConfigurationError: google-auth is not installed, or there are no credentials.
            AuthenticationError: Google does not accept them.
            LLMError: the token service failed, or could not be reached.
        """
        if self._credentials is None or not self._credentials.valid:
            async with self._lock():
                if self._credentials is None or not self._credentials.valid:
                    loop = asyncio.get_running_loop()
                    self._credentials = await asyncio.to_thread(self._renewed, loop)
                    remember_secret(self._credentials.token)
        headers = {"Authorization": f"Bearer {self._credentials.token}"}
        if project := getattr(self._credentials, "quota_project_id", None):
            headers["x-goog-user-project"] = project
        return headers

    def _renewed(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Give credentials with a new token; runs in a thread, for google-auth waits."""
        try:
            exceptions = _part("google.auth.exceptions")
        except ImportError as exc:
            msg = (
                f"{self._provider}: Google's tokens need google-auth: "
                "pip install 'faultmaven[vertex]'."
            )
            raise ConfigurationError(msg, provider=self._provider, code="missing_extra") from exc
        request = _requests_through(self._transport(), loop)
        try:
            credentials = self._credentials or self._load(request)
            credentials.refresh(request)
        except (exceptions.GoogleAuthError, ValueError) as exc:
            # A key that cannot be parsed is a ValueError of cryptography.
            raise self._error_for(exc) from exc
        return credentials

    def _load(self, request: Any) -> Any:
        scopes = [self._scope]
        if self._source is None:
            return _part("google.auth").default(scopes=scopes, request=request)[0]
        info = self._read_source()
        kind = info.get("type")
        if kind == "service_account":
            made = _part("google.oauth2.service_account").Credentials
            return made.from_service_account_info(info, scopes=scopes)
        if kind == "authorized_user":
            made = _part("google.oauth2.credentials").Credentials
            return made.from_authorized_user_info(info, scopes=scopes)
        load = _part("google.auth").load_credentials_from_dict
        return load(info, scopes=scopes, request=request)[0]

    def _read_source(self) -> dict[str, Any]:
        text = (self._source or "").strip()
        is_text = text.startswith("{")
        try:
            info = codec.loads(text.encode() if is_text else Path(text).expanduser().read_bytes())
        except (OSError, ValueError) as exc:
            where = "its value" if is_text else text
            said = exc.strerror if isinstance(exc, OSError) else "not JSON"
            msg = f"{self._provider}: the credentials in {where} cannot be read: {said}. {_REMEDY}"
            raise ProviderNotConfiguredError(
                msg, provider=self._provider, code="bad_credentials"
            ) from None
        return info if isinstance(info, dict) else {}

    def _error_for(self, exc: Exception) -> LLMError:
        cause: BaseException | None = exc
        while cause is not None:
            if isinstance(cause, LLMError):
                return cause
            cause = cause.__cause__
        said = str(exc.args[0]) if exc.args else type(exc).__name__
        if isinstance(exc, _part("google.auth.exceptions").RefreshError):
            return refused(self._provider, said, _REMEDY)
        msg = f"{self._provider}: {said.rstrip('.')}. {_REMEDY}"
        return ProviderNotConfiguredError(msg, provider=self._provider, code="no_credentials")


def _part(name: str) -> Any:
    """Import a part of google-auth, which has annotations here and there only."""
    return import_module(name)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _requests_through(
    transport: Transport, loop: asyncio.AbstractEventLoop
) -> Callable[..., _Answer]:
    """Give what google-auth calls, in a thread, to send a request on the loop."""
    transport_error = _part("google.auth.exceptions").TransportError

    def request(
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        sending = transport.fetch(
            method, url, headers or {}, body, timeout_s=timeout or TOKEN_TIMEOUT_S
        )
        try:
            reply = asyncio.run_coroutine_threadsafe(sending, loop).result()
        except LLMError as exc:
            raise transport_error(exc.message) from exc
        return _Answer(reply.status, reply.headers, reply.body)

    return request
