"""How the server is set up: the command line, above the file's `gateway` section, above the defaults."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from faultmaven.gateway.allowance import Allowances
from faultmaven.gateway.auth import KeyRing
from faultmaven.gateway.cors import wrong_origins
from faultmaven.infrastructure.llm.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.web import BaseRequest

    from faultmaven.config.settings import Settings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """The server's settings.

    Attributes:
        host: the address to listen on.
        port: 0 takes a free one.
        workers: how many processes.
        max_body_bytes: of a request.
        request_timeout_s: for a whole request, tries and fallbacks included; None for no bound but
            the providers' own.
        drain_s: what running requests have when the server ends.
        ready_delay_s: how long new connections are still taken when the server ends, while
            `/health/ready` says that it does: what a load balancer needs to notice.
        keepalive_s: how long an idle connection of a client is kept.
        header_timeout_s: what a client has to send a request's head, a new one from when it connects.
        body_timeout_s: what a client has to send a request's body.
        write_timeout_s: what a client has to take anything of its answer.
        commit_after_s: after how long a stream's head goes out although nothing of the answer has come;
            None holds it back, so that an error is a status and another provider can take over.
        cors_origins: whose pages may call from browsers, as `https://host`; none by default.
        max_concurrency: calls to models at the same time in each process; twice as many may wait.
        queue_s: how long one may wait for a place.
        failed_auth_per_minute: wrong keys that an address may send, 0 for any number; see `FailedTries`.
        insecure: listen beyond this machine without keys.
        keys: who may come in.
        allowances: how much keys and providers may have.
        given: what the command line says; it stays above the file in a reload.
    """

    keys: KeyRing
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    workers: int = 1
    max_body_bytes: int = 32 * 1024 * 1024
    request_timeout_s: float | None = None
    drain_s: float = 30.0
    ready_delay_s: float = 0.0
    keepalive_s: float = 75.0
    header_timeout_s: float = 15.0
    body_timeout_s: float = 30.0
    write_timeout_s: float = 60.0
    commit_after_s: float | None = None
    cors_origins: frozenset[str] = frozenset()
    max_concurrency: int = 1024
    queue_s: float = 10.0
    failed_auth_per_minute: int | None = None
    insecure: bool = False
    allowances: Allowances = field(default_factory=Allowances)
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, settings: Settings, **given: Any) -> Self:
        """Make the options that are in force.

        Args:
            settings: the environment and the file.
            **given: what the command line says; None is not said.

        Raises:
            ConfigurationError: a key is no key, or the address needs one.
        """
        section = dict(settings.file.section("gateway")) if settings.file else {}
        admin_keys = section.pop("admin_keys", ())
        known = {name: value for name, value in section.items() if name in _FROM_FILE}
        said = {name: value for name, value in given.items() if value is not None}
        chosen = known | said
        chosen.setdefault("request_timeout_s", settings.llm_request_timeout)
        chosen["cors_origins"] = frozenset(chosen.get("cors_origins", ()))
        listed = settings.file.data.get("keys", []) if settings.file else []
        chosen["allowances"] = Allowances.of(settings)
        keys = KeyRing(settings.faultmaven_gateway_keys, admin_keys, listed)
        options = cls(keys=keys, given=said, **chosen)
        options.check()
        return options

    def again(self, settings: Settings) -> Self:
        """Make the options anew for a gateway that runs already: it keeps its address and processes.

        Raises:
            ConfigurationError: as for `of`.
        """
        kept = {name: getattr(self, name) for name in _FIXED}
        return replace(self.of(settings, **{**self.given, **kept}), given=self.given)

    def fixed_differences(self, settings: Settings) -> list[str]:
        """Say what the file wants otherwise and only a restart can change: one sentence each."""
        section = settings.file.section("gateway") if settings.file else {}
        defaults = {option.name: option.default for option in fields(self)}
        return [
            f"gateway.{name}: {wanted} needs a restart; {getattr(self, name)} stays until then"
            for name in _FIXED
            if name not in self.given
            and (wanted := section.get(name, defaults[name])) != getattr(self, name)
        ]

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """See to it that strangers cannot spend the owner's money.

        Raises:
            ConfigurationError: the address can be reached from outside and there is no key.
        """
        if not self.keys and not self.is_loopback and not self.insecure:
            msg = (
                f"{self.host} can be reached from other machines and no gateway key is set: "
                "set FAULTMAVEN_GATEWAY_KEYS, or listen on 127.0.0.1, or say --insecure."
            )
            raise ConfigurationError(msg, code="gateway_without_key")
        if wrong := wrong_origins(sorted(self.cors_origins)):
            msg = (
                f"gateway.cors_origins: {wrong[0]!r} is no origin; write scheme and host as "
                "browsers do, such as https://app.example.com, and no `*`."
            )
            raise ConfigurationError(msg, code="bad_origin")


def options_of(request: BaseRequest) -> GatewayOptions:
    """Give the settings in force for the connection that a request came by."""
    options: GatewayOptions = request.protocol.gateway.options  # type: ignore[attr-defined]  # the server's own protocol
    return options


_FROM_FILE = frozenset(
    {
        "body_timeout_s",
        "commit_after_s",
        "cors_origins",
        "drain_s",
        "failed_auth_per_minute",
        "header_timeout_s",
        "host",
        "insecure",
        "keepalive_s",
        "max_body_bytes",
        "max_concurrency",
        "port",
        "queue_s",
        "ready_delay_s",
        "request_timeout_s",
        "workers",
        "write_timeout_s",
    }
)
# What a running gateway cannot change.
_FIXED = ("host", "port", "workers")
