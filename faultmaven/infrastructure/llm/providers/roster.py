"""Who there is: every row under one environment, by its names, and what each lacks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.suggest import did_you_mean, shape
from faultmaven.infrastructure.llm.errors import ConfigurationError, UnknownProviderError
from faultmaven.infrastructure.llm.providers import row as rows
from faultmaven.infrastructure.llm.providers.aliases import (
    aliases_in,
    check_file_aliases,
    shared_alias,
)
from faultmaven.infrastructure.llm.providers.sources import BUILT_IN, ProviderSchema, RowSources
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.config.settings import Settings

ROLES: Final = ("chat", "synthesis", "classifier", "code", "multimodal")

# How many names an error names before it points to the list.
_NAMES_SHOWN: Final = 12


class Roster:
    """The rows that one registry sees under one environment.

    Args:
        schema: the rows that Python code states.
        settings: what the environment says.

    Attributes:
        sources: where the rows come from.
        settings: what the environment says.

    Raises:
        ConfigurationError: an alias in the file is another row's name or alias.
    """

    def __init__(self, schema: ProviderSchema, settings: Settings) -> None:
        self.sources = RowSources(schema, settings)
        self.settings = settings
        self._lock = threading.RLock()
        self._aliases: dict[str, list[str]] | None = None
        check_file_aliases(self.sources, settings)

    def check(self) -> None:
        """See that every row of the file is whole, its class too, and that whoever is chosen exists.

        Raises:
            ConfigurationError: one is not.
        """
        for name in self.settings.file.rows if self.settings.file else ():
            self.check_class(name)
        for role in ROLES:
            self.chosen(role)
        self.chain(None)

    def check_class(self, name: str) -> None:
        """See that a row's class is there and whole; see `ProviderRegistry.check_class`."""
        row = self.row(name)
        stated = self.sources.find(name)
        if row["status"] in rows.REFUSED_STATUS or stated is None or stated.place == BUILT_IN:
            return
        from faultmaven.infrastructure.llm.providers.provider_class import load_provider_class

        try:
            load_provider_class(name, row["provider_class"], self.settings.config_folder)
        except ConfigurationError as error:
            error.with_message(f"{stated.place}: {error.message}")
            raise

    def row(self, name: str) -> dict[str, Any]:
        """Give a row complete, by its name or an alias; see `ProviderRegistry.get_row`."""
        return self.sources.complete(self.resolve(name))

    def forget_aliases(self) -> None:
        """Gather the aliases anew when they are next needed: a row has changed."""
        with self._lock:
            self._aliases = None

    def resolve(self, name: str, variable: str | None = None) -> str:
        """Give the row's name for a name or an alias; see `ProviderRegistry.resolve_name`."""
        if name in self.sources:
            return name
        found = self.aliases().get(name)
        if found is None:
            raise self.unknown(name, variable)
        if len(found) > 1:
            raise shared_alias(name, found)
        return found[0]

    def chosen(self, role: str | None) -> str:
        """Give the row that the settings choose for a role; None is chat.

        Raises:
            ConfigurationError: there is no such role.
            UnknownProviderError: the settings name no row.
        """
        if role is None or role == "chat":
            return self.resolve(self.settings.chat_provider, "CHAT_PROVIDER")
        if role not in ROLES:
            raise ConfigurationError(
                f"There is no role {role!r}; known are {', '.join(ROLES)}. {did_you_mean(role, ROLES)}".rstrip(),
                code="unknown_role",
            )
        variable = f"{role.upper()}_PROVIDER"
        name: str | None = getattr(self.settings, variable.lower())
        return self.resolve(name, variable) if name else self.chosen(None)

    def chain(self, role: str | None) -> list[str]:
        """Give the rows that are asked for a role, in order; see `ProviderRegistry.get_fallback_chain`."""
        first = self.chosen(role)
        if self.settings.strict_provider_mode:
            return [first]
        further = [
            self.resolve(name, "FALLBACK_PROVIDERS") for name in self.settings.fallback_providers
        ]
        return list(dict.fromkeys([first, *further]))

    def available(self) -> list[str]:
        """Give those that have all they need; see `ProviderRegistry.get_available_providers`."""
        named = self._named_in_settings()
        return [
            name
            for name in self.sources.names()
            if self._is_configured(name) and (name in named or self._is_set_up(name))
        ]

    def status(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Tell of rows what they lack; see `ProviderRegistry.get_provider_status`."""
        told = self.sources.names() if names is None else names
        return {name: self._status_of(name) for name in told}

    def aliases(self) -> dict[str, list[str]]:
        """Give the rows that each alias means."""
        with self._lock:
            if self._aliases is None:
                self._aliases = aliases_in(self.sources)
            return self._aliases

    def check_aliases(self, name: str, row: Mapping[str, Any]) -> None:
        """Refuse a row with an alias that is another's name or alias.

        Raises:
            ConfigurationError: names both.
        """
        for alias in row.get("aliases") or ():
            owners = [alias] if alias in self.sources else self.aliases().get(alias, [])
            if others := [owner for owner in owners if owner != name]:
                raise shared_alias(alias, [*others, name])

    def unknown(self, name: str, variable: str | None) -> UnknownProviderError:
        """Make the error for a name that is nobody's."""
        known = self.sources.names()
        same = next((n for n in [*known, *self.aliases()] if shape(n) == shape(name)), None)
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
        ready = self.available()
        ready.sort(key=lambda name: bool(self.sources.complete(name).get("local")))
        shown = ", ".join(ready[:_NAMES_SHOWN]) + (", …" if len(ready) > _NAMES_SHOWN else "")
        listed = "`faultmaven providers` lists them"
        return f"Configured are {shown}; {listed} all." if ready else f"{listed}."

    def _is_configured(self, name: str) -> bool:
        try:
            if self._lacks_key(name):
                return False
            row = self.sources.complete(name)
            return row["status"] not in rows.REFUSED_STATUS and not rows.missing_variables(
                name, row, self.settings
            )
        except (ConfigurationError, ConfigFileError):
            return False

    def _lacks_key(self, name: str) -> bool:
        """Tell whether a row of the table lacks its key, as most do: then nothing else is looked at."""
        stated = self.sources.find(name)
        if stated is None or stated.place != BUILT_IN or "base" in stated.row:
            return False
        return rows.lacks_key(name, stated.row, self.settings)

    def _named_in_settings(self) -> set[str]:
        chosen = [getattr(self.settings, f"{role}_provider") for role in ROLES]
        names = set(filter(None, [*chosen, *self.settings.fallback_providers]))
        for name in list(names):
            names.update(self.aliases().get(name, ()))
        return names

    def _is_set_up(self, name: str) -> bool:
        """Tell whether a row says more than where a server of the user's would be, if he had one."""
        row = self.sources.complete(name)
        needs_server = row.get("local") and row.get("default_base_url")
        stated = self.sources.find(name)
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
            stated = self.sources.find(name)
            status["source"] = stated.place if stated else ""
            row = self.sources.complete(name)
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
