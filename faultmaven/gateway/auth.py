"""Who may come in: keys of the environment and of faultmaven.yaml, kept as digests only."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import Fault
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.secret import remember_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_KEY_CHARS: Final = 1024
# Keys that stand in examples and that everybody knows.
EXAMPLE_KEYS: Final = frozenset(
    {
        "changeme",
        "change-me",
        "example",
        "key",
        "my-key",
        "none",
        "password",
        "secret",
        "sk-1234",
        "sk-12345",
        "sk-123456",
        "sk-example",
        "sk-test",
        "sk-xxx",
        "test",
        "token",
        "xxx",
        "your-api-key",
        "your-gateway-key",
        "your-key",
        "your_api_key",
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    Attributes:
        name: for logs and the ledger, never the key.
        models: what it may ask for, None for everything.
        providers: whom it may reach, None for all.
        admin: whether it may see metrics and change things.
        expires: the last day on which the key works, None for ever.
    """

    name: str
    models: frozenset[str] | None = None
    providers: frozenset[str] | None = None
    admin: bool = False
    expires: date | None = None

    def may_use(self, asked: str, provider: str, model: str | None) -> bool:
        """Tell whether a target, asked for by some name, is permitted."""
        if self.providers is not None and provider not in self.providers:
            return False
        if self.models is None:
            return True
        return bool(self.models & {asked, f"{provider}/{model}", model or asked})


ANYONE: Final = Caller("anyone", admin=True)


class KeyRing:
    """Tells callers by their keys.

    Args:
        keys: plain keys, each of a caller with all rights but an administrator's.
        admin_keys: plain keys of administrators.
        described: entries of the file's `keys`.

    Raises:
        ConfigurationError: a key is one that stands in examples, or an entry has none.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        admin_keys: Iterable[str] = (),
        described: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._callers: dict[bytes, tuple[bytes, Caller]] = {}
        for place, text in enumerate(_words(keys), 1):
            self._add(text, Caller(f"key{place}"))
        for place, text in enumerate(_words(admin_keys), 1):
            self._add(text, Caller(f"admin{place}", admin=True))
        for entry in described:
            self._add_described(entry)

    def __bool__(self) -> bool:
        return bool(self._callers)

    @property
    def names(self) -> frozenset[str]:
        """The callers' names."""
        return frozenset(caller.name for _, caller in self._callers.values())

    @property
    def has_admin(self) -> bool:
        """Tell whether any key is an administrator's."""
        return any(caller.admin for _, caller in self._callers.values())

    def find(self, presented: str | None) -> Caller | None:
        """Give the caller of a key; None for no key, a wrong one and an expired one alike."""
        if not self._callers:
            return ANYONE
        text = (presented or "")[:MAX_KEY_CHARS]
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        known, caller = self._callers.get(digest, (_NOBODY, ANYONE))
        if not hmac.compare_digest(known, digest):
            return None
        if caller.expires is not None and caller.expires < datetime.now(UTC).date():
            return None
        return caller

    def _add(self, key_text: str, caller: Caller) -> None:
        if key_text.lower() in EXAMPLE_KEYS:
            msg = (
                "A gateway key is one of those that stand in examples. Make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`."
            )
            raise ConfigurationError(msg, code="example_key")
        remember_secret(key_text)
        self._keep(hashlib.sha256(key_text.encode()).digest(), caller)

    def _keep(self, hashed: bytes, caller: Caller) -> None:
        self._callers[hashed] = (hashed, caller)

    def _add_described(self, entry: Mapping[str, Any]) -> None:
        expires = entry.get("expires")
        caller = Caller(
            name=str(entry["name"]),
            models=_set_of(entry.get("models")),
            providers=_set_of(entry.get("providers")),
            admin=bool(entry.get("admin")),
            expires=date.fromisoformat(str(expires)[:10]) if expires else None,
        )
        if key_text := entry.get("key"):
            self._add(str(key_text), caller)
        elif hashed := entry.get("sha256"):
            self._keep(bytes.fromhex(hashed), caller)
        else:
            msg = f"The key {caller.name!r} has neither `key` nor `sha256`; give it one."
            raise ConfigurationError(msg, code="key_without_value")


# What no key has for its digest: all digests have 32 bytes.
_NOBODY: Final = b"\x00" * 33


def presented_key(headers: Mapping[str, str]) -> str | None:
    """Give the key that a request carries, however its client sends it."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, rest = authorization.partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else None
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("api-key")


def unauthorised() -> Fault:
    """Make the one answer to whoever has no right key."""
    message = "The API key is missing or not valid here. Send a key of this gateway."
    return Fault(401, "authentication", "invalid_api_key", message, should_retry=False)


def too_many_tries(wait_s: float) -> Fault:
    """Make the one answer to whoever has tried too many wrong keys."""
    message = "Too many requests came from this address without a valid key. Try again later."
    return Fault(429, "rate_limit", "too_many_tries", message, retry_after_s=ceil(wait_s))


def _words(keys: Iterable[str]) -> list[str]:
    return [word for text in keys for word in text.replace(",", " ").split()]


def _set_of(names: Any) -> frozenset[str] | None:
    return None if names is None else frozenset(map(str, names))
