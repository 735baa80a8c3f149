"""Tokens that Snowflake's users sign themselves: RS256 with a private key whose public half it knows.

cryptography is an extra (`faultmaven[snowflake]`) and imported when the first token is needed.
Source: Snowflake's page on authenticating REST APIs (read 2026-11-21).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.oauth_tokens import AccessToken
from faultmaven.infrastructure.llm.secret import remember_secret

# Snowflake takes none that is good for longer.
_LIFE_S: Final = 3600
_REMEDY: Final = "Check SNOWFLAKE_PRIVATE_KEY and SNOWFLAKE_PRIVATE_KEY_PASSPHRASE."
_PRIMITIVES: Final = "cryptography.hazmat.primitives"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A user's private key, and who they are.

    Attributes:
        provider: the row's name, for errors.
        account: the account's identifier; a region behind a dot is left out.
        user: the user's name.
        source: the key as PEM text, or the path of a file that holds it.
        passphrase: what an encrypted key is read with.
    """

    provider: str
    account: str
    user: str
    source: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)

    async def sign(self) -> AccessToken:
        """Make a token that is good for an hour.

        Raises:
            ConfigurationError: cryptography is not installed.
            ProviderNotConfiguredError: the key cannot be read.
        """
        return await asyncio.to_thread(self._sign)

    def _sign(self) -> AccessToken:
        key = self._load()
        subject = f"{self.account.partition('.')[0]}.{self.user}".upper()
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": f"{subject}.{_fingerprint(key)}",
            "sub": subject,
            "iat": now,
            "exp": now + _LIFE_S,
        }
        said = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        signature = key.sign(
            said.encode(),
            import_module(f"{_PRIMITIVES}.asymmetric.padding").PKCS1v15(),
            import_module(f"{_PRIMITIVES}.hashes").SHA256(),
        )
        return AccessToken(f"{said}.{_base64(signature)}", _LIFE_S)

    def _load(self) -> Any:
        try:
            serialization = import_module("cryptography.hazmat.primitives.serialization")
            unsupported = import_module("cryptography.exceptions").UnsupportedAlgorithm
        except ImportError as exc:
            msg = (
                f"{self.provider}: tokens of a key pair need cryptography: "
                "pip install 'faultmaven[snowflake]'."
            )
            raise ConfigurationError(msg, provider=self.provider, code="missing_extra") from exc
        remember_secret(self.passphrase or "")
        password = self.passphrase.encode() if self.passphrase else None
        try:
            key = serialization.load_pem_private_key(self._pem(), password)
        except (TypeError, ValueError, unsupported):
            # What cryptography says of a key could show a part of it.
            said = "is no private key in PEM, or its passphrase is another one"
            raise self._unusable(said) from None
        if not isinstance(key, import_module(f"{_PRIMITIVES}.asymmetric.rsa").RSAPrivateKey):
            said = "is not an RSA key"
            raise self._unusable(said)
        return key

    def _pem(self) -> bytes:
        if "-----BEGIN" in self.source:
            remember_secret(self.source)
            return self.source.encode()
        try:
            return Path(self.source).expanduser().read_bytes()
        except OSError as exc:
            said = f"cannot be read: {exc.strerror}"
            raise self._unusable(said) from None

    def _unusable(self, said: str) -> ProviderNotConfiguredError:
        where = "private key" if "-----BEGIN" in self.source else f"private key in {self.source}"
        msg = f"{self.provider}: the {where} {said}. {_REMEDY}"
        return ProviderNotConfiguredError(msg, provider=self.provider, code="bad_credentials")


def _fingerprint(key: Any) -> str:
    """Give what `DESCRIBE USER` shows as RSA_PUBLIC_KEY_FP."""
    serialization = import_module(f"{_PRIMITIVES}.serialization")
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode()}"


def _encoded(data: dict[str, Any]) -> str:
    return _base64(codec.dumps(data))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
