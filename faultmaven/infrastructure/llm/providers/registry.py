"""The registry: every row, and one instance of each provider that is used.

A new provider is one entry in `PROVIDER_SCHEMA` below; nothing else has to change.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.health import CircuitPolicy, Circuits
from faultmaven.infrastructure.llm.providers import row as rows
from faultmaven.infrastructure.llm.providers.instance import make_instance
from faultmaven.infrastructure.llm.providers.prices import make_catalog, replace_catalog
from faultmaven.infrastructure.llm.providers.roster import ROLES, Roster
from faultmaven.infrastructure.llm.providers.sources import ProviderSchema
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.secret import remember_secret, show_log
from faultmaven.infrastructure.llm.types import DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.fallback import ChainCall
    from faultmaven.infrastructure.llm.providers.key_row import KeyState
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse

    Prompt = str | Iterable[Mapping[str, Any]]

__all__ = [
    "PROVIDER_SCHEMA",
    "ROLES",
    "ProviderRegistry",
    "get_registry",
    "reset_registry",
]

# What a row may write as `"provider_class": OpenAIProvider`: the names alone, because importing the
# classes costs more than everything else here.  A class that is imported works as well.
AnthropicProvider: Final = "AnthropicProvider"
LocalProvider: Final = "LocalProvider"
OpenAIProvider: Final = "OpenAIProvider"

PROVIDER_SCHEMA: Final = ProviderSchema(
    {
        **BUILTIN_ROWS,
        # Your provider goes here: its name, and what differs from convention.
    },
    BUILTIN_ROWS,
)

logger = logging.getLogger("faultmaven.providers")


class ProviderRegistry:
    """All rows, applied to one environment.

    Safe to use from several threads.  An instance is built when it is first asked for and kept until
    its row changes.

    Args:
        settings: what the environment says; None reads it now.
        schema: the rows that Python code states.

    Attributes:
        circuits: which providers' models keep failing.
        roster: the rows under the settings in force.

    Raises:
        ConfigurationError: the environment, `.env` or faultmaven.yaml cannot be used.
    """

    def __init__(
        self, settings: Settings | None = None, schema: ProviderSchema = PROVIDER_SCHEMA
    ) -> None:
        self.settings = settings if settings is not None else _read(load_settings)
        self._remember_secrets()
        self.circuits = Circuits(_circuit_policy(self.settings))
        self._schema = schema
        self.roster = Roster(schema, self.settings)
        self._lock = threading.RLock()
        self._ready: dict[tuple[str | None, str | None], BaseLLMProvider] = {}
        self._instances: dict[str, BaseLLMProvider] = {}
        self._outdated: list[BaseLLMProvider] = []
        self._warned: set[str] = set()
        self._catalog = make_catalog(self.settings.file)
        replace_catalog(None, self._catalog)
        schema.add_listener(self)

    def get_all_provider_names(self) -> list[str]:
        """Give the name of every row, configured or not: the table's first, in its order."""
        return self.roster.sources.names()

    def get_available_providers(self) -> list[str]:
        """Give the names of the providers that have all they need; asks nobody.

        A row of the table for a server of the user's own, which needs no key, is among them only
        where somebody set it up: by one of its variables, or by naming it in CHAT_PROVIDER, a
        role's variable or FALLBACK_PROVIDERS.
        """
        return self.roster.available()

    def get_provider(self, name: str | None = None, *, role: str | None = None) -> BaseLLMProvider:
        """Give a provider's instance, always the same one.

        Args:
            name: a row's name or alias; None takes CHAT_PROVIDER.
            role: synthesis, classifier, code or multimodal: takes that role's provider, and
                CHAT_PROVIDER where it has none.

        Raises:
            UnknownProviderError: no row has the name.
            ProviderNotConfiguredError: a variable that it needs is not set.
            ConfigurationError: its row or a variable cannot be used, or it is disabled or retired.
        """
        ready = self._ready.get((name, role))
        return ready if ready is not None else self._prepare(name, role)

    def get_fallback_chain(self, role: str | None = None) -> list[str]:
        """Give the providers that `route_request` asks, in order.

        Raises:
            UnknownProviderError: a name in CHAT_PROVIDER or FALLBACK_PROVIDERS is in no row.
        """
        return self.roster.chain(role)

    def get_provider_status(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Tell for every row whether it is configured, what it lacks, and where it comes from.

        Args:
            names: the rows to tell of; None is every row.

        Each has `configured`, `missing` (variables), `source`, `base_url`, `model`, `status`,
        `status_reason`, `display_name`, `local` and `problem` ("" or what is wrong with the row).  No
        key is among them.

        `configured` means that nothing is missing.  A local server's row needs nothing, so that it is
        configured where nobody set such a server up; `get_available_providers` leaves it out there.
        """
        return self.roster.status(names)

    def get_key_states(self, name: str) -> list[KeyState]:
        """Tell how each key of a provider stands, where it is used and has several; no key is shown.

        Raises:
            UnknownProviderError: no row has the name.
        """
        provider = self._instances.get(self.resolve_name(name))
        if provider is None or not hasattr(provider, "key_states"):
            return []
        states: list[KeyState] = provider.key_states()
        return states

    def get_aliases(self) -> dict[str, list[str]]:
        """Give the rows' other names, each with the rows that it means: one, where nothing is wrong."""
        return dict(self.roster.aliases())

    def get_row(self, name: str) -> dict[str, Any]:
        """Give a row complete: checked, with its base and the conventions filled in.

        Raises:
            UnknownProviderError: no row has the name.
            ConfigurationError: the row is not valid.
        """
        return self.roster.row(name)

    def check_class(self, name: str) -> None:
        """See that a row's class is there and whole, which loads its module.

        Those of the built-in table are, and a row that is disabled or retired needs none.

        Raises:
            ConfigurationError: the row is not valid, or its class cannot be used.
        """
        self.roster.check_class(name)

    def resolve_name(self, name: str, variable: str | None = None) -> str:
        """Give the row's name for a name or an alias.

        Args:
            name: what was asked for.
            variable: which variable named it, for the message.

        Raises:
            UnknownProviderError: neither exists; says which were near.
            ConfigurationError: it is an alias of several rows.
        """
        return self.roster.resolve(name, variable)

    def register(self, name: str, row: Mapping[str, Any]) -> None:
        """Add or replace a row; every registry of the process sees it with its next call.

        Raises:
            ConfigurationError: the row is not valid, or an alias of it is another's name or alias;
                nothing has changed.
        """
        rows.check_row(name, dict(row) if hasattr(row, "keys") else row)
        self.roster.check_aliases(name, row)
        self._schema[name] = dict(row)

    def unregister(self, name: str) -> None:
        """Remove a row that `register` or `PROVIDER_SCHEMA` states.

        Raises:
            UnknownProviderError: there is no such row.
        """
        if name not in self._schema:
            raise self.roster.unknown(name, None)
        del self._schema[name]

    async def route_request(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        confidence_threshold: float | None = None,
        **options: Any,
    ) -> LLMResponse:
        """Answer with CHAT_PROVIDER, and where it fails with the next of FALLBACK_PROVIDERS.

        A request that is itself wrong, or refused by a content filter, is not sent elsewhere.

        Args:
            prompt: text, or OpenAI-shaped messages.
            model: for the first provider, and for others that know it.
            max_tokens: as for `generate`.
            temperature: as for `generate`.
            confidence_threshold: 0 to 1: answers below it let the next provider try; the best one
                is given where none reaches it.
            **options: as for `generate`; `timeout` (seconds) is for the whole chain, `role` chooses
                its first provider.

        Raises:
            AllProvidersFailedError: several were asked, and all failed.
            LLMError: the only one failed, or the request is wrong.
        """
        from faultmaven.infrastructure.llm.providers.fallback import generate_with_fallback

        options |= {"max_tokens": max_tokens, "temperature": temperature}
        return await generate_with_fallback(
            self._chain_call(prompt, model, options, confidence_threshold)
        )

    async def stream_route(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **options: Any,
    ) -> AsyncGenerator[LLMChunk]:
        """Answer piece by piece; as `route_request`, changing provider only before the first piece."""
        from contextlib import aclosing

        from faultmaven.infrastructure.llm.providers.fallback import stream_with_fallback

        options |= {"max_tokens": max_tokens, "temperature": temperature}
        call = self._chain_call(prompt, model, options)
        async with aclosing(stream_with_fallback(call)) as chunks:
            async for chunk in chunks:
                yield chunk

    def reload(
        self, settings: Settings | None = None, check: Callable[[Roster], object] | None = None
    ) -> None:
        """Take the environment, `.env` and faultmaven.yaml as they are now.

        Running calls finish on the old instances; see `take_outdated`.

        Args:
            settings: what is taken; None reads it.
            check: raises where the rows, as they would be, are not what the caller needs.

        Raises:
            ConfigurationError: they cannot be used, a row's class cannot, or they choose a provider
                that is in no row; everything stays as it was.
        """
        fresh = settings if settings is not None else _read(self.settings.again)
        roster = Roster(self._schema, fresh)
        roster.check()
        if check is not None:
            check(roster)
        catalog, circuit_policy = make_catalog(fresh.file), _circuit_policy(fresh)
        with self._lock:
            self.settings, self.roster = fresh, roster
            self.circuits.renew(circuit_policy)
            self._remember_secrets()
            replace_catalog(self._catalog, catalog)
            self._catalog = catalog
            self._replace_instances()

    def try_reload(self) -> str:
        """Reload, or keep the last good state, and log which; "" or what is wrong."""
        try:
            self.reload()
        except ConfigurationError as exc:
            logger.warning("the configuration was not taken, the last good one stays: %s", exc)
            return str(exc)
        logger.info("the configuration was read again")
        return ""

    def row_changed(self, name: str) -> None:
        """Forget the instance of a row, and those that start from it."""
        del name  # a base may be behind any of them: all are built again, which costs microseconds
        with self._lock:
            self.roster.forget_aliases()
            self._replace_instances()

    def take_outdated(self) -> list[BaseLLMProvider]:
        """Give the instances that others have replaced, to be closed when their last calls have ended.

        What nobody takes is closed by `close`.
        """
        with self._lock:
            outdated, self._outdated = self._outdated, []
        return outdated

    async def close(self) -> None:
        """Close every instance; the next `get_provider` builds new ones."""
        with self._lock:
            self._replace_instances()
            closing = self.take_outdated()
        for provider in closing:
            await provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def _replace_instances(self) -> None:
        self._outdated += self._instances.values()
        self._instances.clear()
        self._ready.clear()

    def _prepare(self, name: str | None, role: str | None) -> BaseLLMProvider:
        with self._lock:
            found = self.roster.chosen(role) if name is None else self.resolve_name(name)
            provider = self._instances.get(found)
            if provider is None:
                provider = self._instances[found] = self._build(found)
            self._ready[name, role] = provider
            return provider

    def _build(self, name: str) -> BaseLLMProvider:
        row = self.roster.sources.complete(name)
        provider = make_instance(name, row, self.settings, self._warned)
        if hasattr(provider, "circuits") and provider.circuits is None:
            provider.circuits = self.circuits
        return provider

    def _chain_call(
        self,
        prompt: Prompt,
        model: str | None,
        options: dict[str, Any],
        confidence_threshold: float | None = None,
    ) -> ChainCall:
        from faultmaven.infrastructure.llm.providers.fallback import ChainCall

        chain = self.get_fallback_chain(options.pop("role", None))
        timeout_s = options.pop("timeout", None) or self.settings.llm_request_timeout
        if not isinstance(prompt, str):
            prompt = list(prompt)
        return ChainCall(
            chain, self.get_provider, prompt, model, options, timeout_s, confidence_threshold,
            self.circuits,
        )  # fmt: skip

    def _remember_secrets(self) -> None:
        file = self.settings.file
        for value in [*self.settings.secret_values(), *(file.secrets if file else ())]:
            remember_secret(value)


def _circuit_policy(settings: Settings) -> CircuitPolicy:
    return CircuitPolicy.of(settings.file.section("circuit") if settings.file else {})


def _read(load: Callable[[], Settings]) -> Settings:
    try:
        return load()
    except ConfigFileError as exc:
        raise ConfigurationError(str(exc), code="bad_configuration") from exc


_registry: ProviderRegistry | None = None
_registry_lock = threading.Lock()


def get_registry() -> ProviderRegistry:
    """Give the process's registry; it reads the environment when it is first asked for.

    Raises:
        ConfigurationError: the environment, `.env` or faultmaven.yaml cannot be used.
    """
    global _registry  # noqa: PLW0603 - one registry a process is the point of it
    if _registry is None:
        with _registry_lock:
            if _registry is None:
                _registry = ProviderRegistry()
                if _registry.settings.source_of("FAULTMAVEN_LOG"):
                    show_log(_registry.settings.faultmaven_log)
    return _registry


def reset_registry() -> None:
    """Forget the process's registry, so that the next `get_registry` reads the environment anew.

    Rows set at run time go, too; instances that are in use stay open until they are closed.
    """
    global _registry  # noqa: PLW0603 - see get_registry
    with _registry_lock:
        _registry = None
    PROVIDER_SCHEMA.reset()
