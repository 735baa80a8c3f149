"""The registry: every row, and one instance of each provider that is used.

A new provider is one entry in `PROVIDER_SCHEMA` below; nothing else has to change.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.settings import load_settings
from faultmaven.config.suggest import did_you_mean, shape
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMError,
    UnknownProviderError,
)
from faultmaven.infrastructure.llm.providers import row as rows
from faultmaven.infrastructure.llm.providers.aliases import (
    aliases_in,
    check_file_aliases,
    shared_alias,
)
from faultmaven.infrastructure.llm.providers.prices import make_catalog, replace_catalog
from faultmaven.infrastructure.llm.providers.sources import BUILT_IN, ProviderSchema, RowSources
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.secret import redact, remember_secret
from faultmaven.infrastructure.llm.types import DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.fallback import ChainCall
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse

    Prompt = str | Iterable[Mapping[str, Any]]

__all__ = [
    "PROVIDER_SCHEMA",
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

# How many names an error names before it points to the list.
_NAMES_SHOWN: Final = 12

ROLES: Final = ("chat", "synthesis", "classifier", "code", "multimodal")


class ProviderRegistry:
    """All rows, applied to one environment.

    Safe to use from several threads.  An instance is built when it is first asked for and kept until
    its row changes.

    Args:
        settings: what the environment says; None reads it now.
        schema: the rows that Python code states.

    Raises:
        ConfigurationError: the environment, `.env` or faultmaven.yaml cannot be used.
    """

    def __init__(
        self, settings: Settings | None = None, schema: ProviderSchema = PROVIDER_SCHEMA
    ) -> None:
        self.settings = settings if settings is not None else _read_settings()
        self._remember_secrets()
        self._schema = schema
        self._sources = RowSources(schema, self.settings)
        self._lock = threading.RLock()
        self._ready: dict[tuple[str | None, str | None], BaseLLMProvider] = {}
        self._instances: dict[str, BaseLLMProvider] = {}
        self._outdated: list[BaseLLMProvider] = []
        self._names: dict[str, list[str]] | None = None
        self._warned: set[str] = set()
        check_file_aliases(self._sources, self.settings)
        self._catalog = make_catalog(self.settings.file)
        replace_catalog(None, self._catalog)
        schema.add_listener(self)

    def get_all_provider_names(self) -> list[str]:
        """Give the name of every row, configured or not: the table's first, in its order."""
        return self._sources.names()

    def get_available_providers(self) -> list[str]:
        """Give the names of the providers that have all they need; asks nobody.

        A row of the table for a server of the user's own, which needs no key, is among them only
        where somebody set it up: by one of its variables, or by naming it in CHAT_PROVIDER, a
        role's variable or FALLBACK_PROVIDERS.
        """
        named = self._named_in_settings()
        return [
            name
            for name in self.get_all_provider_names()
            if self._is_configured(name) and (name in named or self._is_set_up(name))
        ]

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
        first = self._name_for(None, role)
        if self.settings.strict_provider_mode:
            return [first]
        further = [
            self.resolve_name(name, "FALLBACK_PROVIDERS")
            for name in self.settings.fallback_providers
        ]
        return list(dict.fromkeys([first, *further]))

    def get_provider_status(self) -> dict[str, dict[str, Any]]:
        """Tell for every row whether it is configured, what it lacks, and where it comes from.

        Each has `configured`, `missing` (variables), `source`, `base_url`, `model`, `status`,
        `status_reason`, `display_name`, `local` and `problem` ("" or what is wrong with the row).  No
        key is among them.
        """
        return {name: self._status_of(name) for name in self.get_all_provider_names()}

    def get_row(self, name: str) -> dict[str, Any]:
        """Give a row complete: checked, with its base and the conventions filled in.

        Raises:
            UnknownProviderError: no row has the name.
            ConfigurationError: the row is not valid.
        """
        return self._sources.complete(self.resolve_name(name))

    def resolve_name(self, name: str, variable: str | None = None) -> str:
        """Give the row's name for a name or an alias.

        Args:
            name: what was asked for.
            variable: which variable named it, for the message.

        Raises:
            UnknownProviderError: neither exists; says which were near.
            ConfigurationError: it is an alias of several rows.
        """
        if name in self._sources:
            return name
        found = self._aliases().get(name)
        if found is None:
            raise self._unknown(name, variable)
        if len(found) > 1:
            raise shared_alias(name, found)
        return found[0]

    def register(self, name: str, row: Mapping[str, Any]) -> None:
        """Add or replace a row; every registry of the process sees it with its next call.

        Raises:
            ConfigurationError: the row is not valid, or an alias of it is another's name or alias;
                nothing has changed.
        """
        rows.check_row(name, dict(row) if hasattr(row, "keys") else row)
        self._check_aliases(name, row)
        self._schema[name] = dict(row)

    def unregister(self, name: str) -> None:
        """Remove a row that `register` or `PROVIDER_SCHEMA` states.

        Raises:
            UnknownProviderError: there is no such row.
        """
        if name not in self._schema:
            raise self._unknown(name, None)
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

    def reload(self, settings: Settings | None = None) -> None:
        """Take the environment, `.env` and faultmaven.yaml as they are now.

        Running calls finish on the old instances.

        Raises:
            ConfigurationError: they cannot be used; everything stays as it was.
        """
        fresh = settings if settings is not None else _read_again(self.settings)
        sources = RowSources(self._schema, fresh)
        for name in fresh.file.rows if fresh.file else ():
            sources.complete(name)
        check_file_aliases(sources, fresh)
        catalog = make_catalog(fresh.file)
        with self._lock:
            self.settings, self._sources, self._names = fresh, sources, None
            self._remember_secrets()
            replace_catalog(self._catalog, catalog)
            self._catalog = catalog
            self._outdated += self._instances.values()
            self._instances.clear()
            self._ready.clear()

    def try_reload(self) -> str:
        """Reload where that is possible, keep the last good state where it is not; both are logged.

        Returns:
            What is wrong, "" for nothing.
        """
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
            self._names = None
            self._outdated += self._instances.values()
            self._instances.clear()
            self._ready.clear()

    async def close(self) -> None:
        """Close every instance; the next `get_provider` builds new ones."""
        with self._lock:
            closing = [*self._instances.values(), *self._outdated]
            self._instances.clear()
            self._ready.clear()
            self._outdated.clear()
        for provider in closing:
            await provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def _prepare(self, name: str | None, role: str | None) -> BaseLLMProvider:
        with self._lock:
            found = self._name_for(name, role)
            provider = self._instances.get(found)
            if provider is None:
                provider = self._instances[found] = self._build(found)
            self._ready[name, role] = provider
            return provider

    def _build(self, name: str) -> BaseLLMProvider:
        row = self._sources.complete(name)
        if row["status"] in rows.REFUSED_STATUS:
            reason = row.get("status_reason") or "Choose another provider."
            msg = f"{name} is {row['status']}: {reason}"
            raise ConfigurationError(
                msg,
                provider=name,
                code=f"provider_{row['status']}",
            )
        if row["status"] == "unclear" and name not in self._warned:
            self._warned.add(name)
            logger.warning(
                "%s may not work: %s", name, row.get("status_reason", "its state is unclear")
            )
        from faultmaven.infrastructure.llm.providers.provider_class import load_provider_class

        config = rows.make_config(name, row, self.settings)
        provider_class = load_provider_class(name, row["provider_class"])
        return construct(name, lambda: provider_class(config))

    def _name_for(self, name: str | None, role: str | None) -> str:
        if name is not None:
            return self.resolve_name(name, None)
        if role is None or role == "chat":
            return self.resolve_name(self.settings.chat_provider, "CHAT_PROVIDER")
        if role not in ROLES:
            raise ConfigurationError(
                f"There is no role {role!r}; known are {', '.join(ROLES)}. {did_you_mean(role, ROLES)}".rstrip(),
                code="unknown_role",
            )
        variable = f"{role.upper()}_PROVIDER"
        chosen: str | None = getattr(self.settings, variable.lower())
        return self.resolve_name(chosen, variable) if chosen else self._name_for(None, None)

    def _aliases(self) -> dict[str, list[str]]:
        with self._lock:
            if self._names is None:
                self._names = aliases_in(self._sources)
            return self._names

    def _check_aliases(self, name: str, row: Mapping[str, Any]) -> None:
        for alias in row.get("aliases") or ():
            owners = [alias] if alias in self._sources else self._aliases().get(alias, [])
            if others := [owner for owner in owners if owner != name]:
                raise shared_alias(alias, [*others, name])

    def _unknown(self, name: str, variable: str | None) -> UnknownProviderError:
        known = self.get_all_provider_names()
        same = next((n for n in [*known, *self._aliases()] if shape(n) == shape(name)), None)
        hint = f"Write {same!r}." if same else did_you_mean(name, known)
        hint = hint or self._known_names()
        source = self.settings.source_of(variable) if variable else None
        where = f"{variable} ({source}) names " if source else ""
        return UnknownProviderError(
            f"{where}{'' if where else 'There is no '}provider {redact(name)!r}"
            f"{', which is in no row' if where else ''}. {hint}",
            provider=name,
            code="unknown_provider",
        )

    def _known_names(self) -> str:
        ready = self.get_available_providers()
        ready.sort(key=lambda name: bool(self.get_row(name).get("local")))
        shown = ", ".join(ready[:_NAMES_SHOWN]) + (", …" if len(ready) > _NAMES_SHOWN else "")
        listed = "`faultmaven providers` lists them"
        return f"Configured are {shown}; {listed} all." if ready else f"{listed}."

    def _is_configured(self, name: str) -> bool:
        try:
            row = self._sources.complete(name)
            return row["status"] not in rows.REFUSED_STATUS and not rows.missing_variables(
                name, row, self.settings
            )
        except (ConfigurationError, ConfigFileError):
            return False

    def _named_in_settings(self) -> set[str]:
        chosen = [getattr(self.settings, f"{role}_provider") for role in ROLES]
        names = set(filter(None, [*chosen, *self.settings.fallback_providers]))
        for name in list(names):
            names.update(self._aliases().get(name, ()))
        return names

    def _is_set_up(self, name: str) -> bool:
        """Tell whether a row says more than where a server of the user's would be, if he had one."""
        row = self._sources.complete(name)
        needs_server = row.get("local") and row.get("default_base_url")
        stated = self._sources.find(name)
        if not needs_server or stated is None or stated.place != BUILT_IN:
            return True
        return rows.has_set_variable(name, row, self.settings)

    def _status_of(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = {
            "configured": False,
            "missing": [],
            "source": "",
            "base_url": None,
            "model": None,
            "status": "active",
            "status_reason": "",
            "display_name": name,
            "local": False,
            "problem": "",
        }
        try:
            stated = self._sources.find(name)
            status["source"] = stated.place if stated else ""
            row = self._sources.complete(name)
            missing = rows.missing_variables(name, row, self.settings)
            models = rows.models_of(name, row, self.settings)
            status["base_url"] = rows.base_url_of(name, row, self.settings)
        except (ConfigurationError, ConfigFileError) as exc:
            return status | {"problem": str(exc)}
        return status | {
            "configured": row["status"] not in rows.REFUSED_STATUS and not missing,
            "missing": missing,
            "model": models[0] if models else None,
            "status": row["status"],
            "status_reason": row.get("status_reason", ""),
            "display_name": row.get("display_name", name),
            "local": bool(row.get("local")),
        }

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
            chain, self.get_provider, prompt, model, options, timeout_s, confidence_threshold
        )

    def _remember_secrets(self) -> None:
        file = self.settings.file
        for value in [*self.settings.secret_values(), *(file.secrets if file else ())]:
            remember_secret(value)


def _read_again(settings: Settings) -> Settings:
    try:
        return settings.again()
    except ConfigFileError as exc:
        raise ConfigurationError(str(exc), code="bad_configuration") from exc


def _read_settings() -> Settings:
    try:
        return load_settings()
    except ConfigFileError as exc:
        raise ConfigurationError(str(exc), code="bad_configuration") from exc


def construct(name: str, build: Callable[[], BaseLLMProvider]) -> BaseLLMProvider:
    """Build an instance; what a class of somebody else's raises becomes a ConfigurationError."""
    try:
        return build()
    except LLMError:
        raise
    except Exception as exc:
        msg = (
            f"{name}: its class cannot be built: {type(exc).__name__}: {redact(str(exc))}. "
            "A class is given one argument: its ProviderConfig."
        )
        raise ConfigurationError(
            msg,
            provider=name,
            code="bad_provider_class",
        ) from exc


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
    return _registry


def reset_registry() -> None:
    """Forget the process's registry, so that the next `get_registry` reads the environment anew.

    Rows set at run time go, too; instances that are in use stay open until they are closed.
    """
    global _registry  # noqa: PLW0603 - see get_registry
    with _registry_lock:
        _registry = None
    PROVIDER_SCHEMA.reset()
