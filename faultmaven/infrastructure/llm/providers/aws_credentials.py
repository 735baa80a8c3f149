"""Whose signature goes on requests to AWS: keys of the environment, or what botocore's chain finds.

botocore is an extra (`faultmaven[bedrock]`), needed for profiles, SSO, roles and machines; it is imported
when the first request is signed.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.oauth_tokens import LoopLock
from faultmaven.infrastructure.llm.secret import remember_secret
from faultmaven.infrastructure.llm.sigv4 import AWSCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEDY = (
    "Set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
)


class AWSCredentialSource:
    """Gives credentials that are good now.

    Args:
        provider: the row's name, for errors.
        variables: `access_key` and `secret_key` (with `session_token` for temporary ones) go before
            everything else; `profile` is for botocore.
    """

    def __init__(self, provider: str, variables: Mapping[str, str]) -> None:
        self._provider = provider
        self._profile = variables.get("profile")
        self._lock = LoopLock()
        self._found: Any = None
        self._fixed: AWSCredentials | None = None
        if variables.get("access_key") and variables.get("secret_key"):
            self._fixed = _remembered(
                variables["access_key"], variables["secret_key"], variables.get("session_token")
            )

    async def get(self) -> AWSCredentials:
        """Give the credentials to sign with; those that expire are renewed by botocore.

        Raises:
            ConfigurationError: botocore is needed and not installed, or there are no credentials.
        """
        if self._fixed is not None:
            return self._fixed
        async with self._lock():
            # Files, SSO's service and the machine's own are waited for in a thread.
            return await asyncio.to_thread(self._ask_botocore)

    def _ask_botocore(self) -> AWSCredentials:
        try:
            session = import_module("botocore.session")
            failures = import_module("botocore.exceptions").BotoCoreError
        except ImportError as exc:
            msg = (
                f"{self._provider}: there are no keys in the environment, and AWS profiles need "
                f"botocore: pip install 'faultmaven[bedrock]'. {_REMEDY}"
            )
            raise ConfigurationError(msg, provider=self._provider, code="missing_extra") from exc
        try:
            self._found = self._found or session.Session(profile=self._profile).get_credentials()
            frozen = self._found.get_frozen_credentials() if self._found else None
        except failures as exc:
            raise self._error(str(exc)) from exc
        if frozen is None:
            said = "no credentials of AWS were found"
            raise self._error(said)
        credentials = _remembered(frozen.access_key, frozen.secret_key, frozen.token)
        if not hasattr(self._found, "refresh_needed"):
            self._fixed = credentials
        return credentials

    def _error(self, said: str) -> ProviderNotConfiguredError:
        msg = f"{self._provider}: {said.rstrip('.')}. {_REMEDY}"
        return ProviderNotConfiguredError(msg, provider=self._provider, code="no_credentials")


def _remembered(access_key: str, secret_key: str, token: str | None) -> AWSCredentials:
    for secret in (secret_key, token):
        if secret:
            remember_secret(secret)
    return AWSCredentials(access_key, secret_key, token or None)
