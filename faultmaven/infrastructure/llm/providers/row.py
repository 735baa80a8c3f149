"""A provider's row: checked, completed by convention, and resolved into a `ProviderConfig`.

For the row `groq` the convention gives `api_key_var` GROQ_API_KEY, `model_var` GROQ_MODEL,
`base_url_var` GROQ_API_BASE, `provider_class` OpenAIProvider, two retries, 60 s and confidence 0.8.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.expand import MissingVariableError, expand, references
from faultmaven.config.schemas import PROVIDER, accepts, faults
from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.config import ProviderConfig
from faultmaven.infrastructure.llm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from faultmaven.config.settings import Settings

    Row = Mapping[str, Any]

CONVENTION: Final[Mapping[str, Any]] = {
    "provider_class": "OpenAIProvider",
    "max_retries": 2,
    "timeout": 60,
    "confidence_score": 0.8,
    "status": "active",
}
OWN_FIELDS: Final = (
    "aliases", "api_key_var", "base", "base_url_append", "base_url_var", "display_name", "model_var",
)  # fmt: skip
REFUSED_STATUS: Final = ("disabled", "retired")
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")


def variable_stem(name: str) -> str:
    """Give what a provider's variables begin with: `acme-eu` gives ACME_EU."""
    return name.upper().replace("-", "_").replace(".", "_")


def check_row(name: str, row: object, place: str = "PROVIDER_SCHEMA") -> None:
    """Refuse a row that the schema does not allow.

    Args:
        name: the row's name.
        row: what was given for it.
        place: where, for the message.

    Raises:
        ConfigurationError: lists everything that is wrong, each with its path, value and remedy.
    """
    problems = [*_name_problems(name), *_row_problems(row)]
    if problems:
        listed = "\n".join(f"{place}[{name!r}]{problem}" for problem in problems)
        raise ConfigurationError(listed, provider=name, code="bad_row")


def complete_row(name: str, row: Row, base: Row | None = None) -> dict[str, Any]:
    """Fill in what a row leaves out: from the row it is based on, then by convention.

    Args:
        name: the row's name.
        row: what it states.
        base: the completed row that it starts from.  Names of variables and aliases are the base's
            own and not taken over, unless the row is the base's own change (`base` is its name).
    """
    whole: dict[str, Any] = {}
    if base is not None:
        same = row.get("base") == name
        whole = {k: v for k, v in base.items() if same or k not in OWN_FIELDS}
        if base.get("api_key_var", "") is None:
            whole["api_key_var"] = None
    whole |= row
    stem = variable_stem(name)
    whole.setdefault("api_key_var", f"{stem}_API_KEY")
    whole.setdefault("model_var", f"{stem}_MODEL")
    whole.setdefault("base_url_var", f"{stem}_API_BASE")
    return {**CONVENTION, **whole}


def missing_variables(name: str, row: Row, settings: Settings) -> list[str]:
    """Give the variables that must be set before the provider can be called; empty for none.

    Where several names would do, they come as one text: "HF_TOKEN or HUGGINGFACE_API_KEY".
    """
    return _Resolver(name, complete_row(name, row), settings).missing()


def lacks_key(name: str, row: Row, settings: Settings) -> bool:
    """Tell whether a row needs a key and none is set."""
    return _Resolver(name, complete_row(name, row), settings).lacks_key()


def has_set_variable(name: str, row: Row, settings: Settings) -> bool:
    """Tell whether anything is set of what a row reads: key, address, model or another variable."""
    return _Resolver(name, complete_row(name, row), settings).reads_anything()


def make_config(name: str, row: Row, settings: Settings) -> ProviderConfig:
    """Apply the environment to a row.

    Args:
        name: the row's name.
        row: the row, completed with its base.
        settings: where its variables are looked up.

    Raises:
        ProviderNotConfiguredError: a variable that it needs is not set.
        ConfigurationError: a variable's value cannot be used.
    """
    resolver = _Resolver(name, complete_row(name, row), settings)
    try:
        return resolver.resolve()
    except ConfigFileError as exc:
        raise ConfigurationError(str(exc), provider=name, code="bad_variable") from exc


class _Resolver:
    """One row against one environment."""

    def __init__(self, name: str, row: dict[str, Any], settings: Settings) -> None:
        self.name = name
        self.row = row
        self.settings = settings
        self.variables: dict[str, str] = {}
        for key, described in (row.get("variables") or {}).items():
            if (value := self._first(described["vars"]) or described.get("default")) is not None:
                self.variables[key] = value

    def missing(self) -> list[str]:
        wanted: list[str] = []
        row = self.row
        if self.lacks_key():
            wanted.append(_either(row["api_key_var"]))
        for key, described in (row.get("variables") or {}).items():
            if key not in self.variables and not described.get("optional"):
                wanted.append(_either(described["vars"]))
        if not self._first(row["base_url_var"]):
            wanted += self._missing_address()
        for text in (row.get("headers") or {}).values():
            wanted += self._unset(text)
        for text in _whole_addresses(row):
            wanted += self._unset(text)
        return list(dict.fromkeys(wanted))

    def lacks_key(self) -> bool:
        row = self.row
        needs_key = row["api_key_var"] is not None and not row.get("api_key_optional")
        return needs_key and (row.get("auth") or {}).get("style") != "none" and not self._key()

    def reads_anything(self) -> bool:
        row = self.row
        named = [row["api_key_var"], row["base_url_var"], row["model_var"]]
        named += [described["vars"] for described in (row.get("variables") or {}).values()]
        return any(self._first(names) for names in named)

    def addressed_row(self, base_url: str | None) -> dict[str, Any]:
        """Give the row with its whole addresses as they are called: see `_whole_address`."""
        row = dict(self.row)
        for field, key in _ADDRESS_FIELDS:
            holder = row.get(field)
            if isinstance(holder, str):
                row[field] = self._whole_address(holder, base_url)
            elif isinstance(holder, dict):
                names = holder if key is None else [key]
                row[field] = holder | {
                    n: self._whole_address(holder[n], base_url) for n in names if n in holder
                }
        return row

    def _whole_address(self, text: str, base_url: str | None) -> str:
        """Expand a whole address, and move it along where another server stands in for the row's.

        Otherwise a proxy named by a variable would see the calls, and the provider itself still be
        asked for its models.
        """
        from faultmaven.infrastructure.llm.providers.address import moved_address

        if "://" not in text:
            return text
        default = self.row.get("default_base_url")
        known = default if default and not self._unset(default) else None
        return moved_address(
            expand(text, self._value), expand(known, self._value) if known else None, base_url
        )

    def resolve(self) -> ProviderConfig:
        if missing := self.missing():
            msg = f"{self.name} is not configured: set {' and '.join(missing)} in the environment or in .env."
            raise ProviderNotConfiguredError(
                msg,
                provider=self.name,
                code="provider_not_configured",
            )
        base_url = self._base_url()
        row, settings, keys = self.addressed_row(base_url), self.settings, self._all_keys()
        retries = settings.llm_max_retries
        return ProviderConfig(
            name=self.name,
            api_key=next(iter(keys.values()), None),
            base_url=base_url,
            models=self._models(),
            max_retries=int(row["max_retries"]) if retries is None else retries,
            timeout=float(row["timeout"]),
            confidence_score=float(row["confidence_score"]),
            headers=self._headers(),
            call_timeout_s=settings.llm_request_timeout,
            row=row,
            variables=self.variables,
            keys=keys if len(keys) > 1 else {},
        )

    def base_url_or_none(self) -> str | None:
        """Give the address, None where it lacks a variable or cannot be used."""
        try:
            return self._base_url()
        except (ConfigurationError, MissingVariableError):
            return None

    def models(self) -> list[str]:
        return self._models()

    def _first(self, names: str | Iterable[str] | None) -> str | None:
        for name in _listed(names):
            if (value := self.settings.lookup(name)) is not None:
                return value
        return None

    def _key(self) -> str | None:
        return self._first(self.row["api_key_var"])

    def _all_keys(self) -> dict[str, str]:
        """Give the keys by their variables, each key once, in order."""
        keys: dict[str, str] = {}
        for variable in _listed(self.row["api_key_var"]):
            key = (self.settings.lookup(variable) or "").strip()
            if not key or key in keys.values():
                continue
            if not (key.isascii() and key.isprintable()):
                msg = (
                    f"{variable} ({self.settings.source_of(variable)}) holds a character that no key has: "
                    "copy the key again, without quotes, spaces or line breaks."
                )
                raise ConfigurationError(
                    msg,
                    provider=self.name,
                    code="bad_key",
                )
            keys[variable] = Secret(key).reveal()
        return keys

    def _missing_address(self) -> list[str]:
        default = self.row.get("default_base_url")
        if default:
            return self._unset(default)
        if _is_without_address(self.row):
            return []
        return [_either(self.row["base_url_var"])] if self.row["base_url_var"] else []

    def _unset(self, text: str) -> list[str]:
        described = self.row.get("variables") or {}
        return [
            _either(described[variable]["vars"]) if variable in described else variable
            for variable, has_default in references(text)
            if not has_default and not self._value(variable)
        ]

    def _value(self, variable: str) -> str | None:
        return self.variables.get(variable) or self.settings.lookup(variable)

    def _base_url(self) -> str | None:
        from faultmaven.infrastructure.llm.providers.address import (
            completed_address,
            normalise_base_url,
        )

        row = self.row
        default = row.get("default_base_url")
        text = self._first(row["base_url_var"])
        source = ending = ""
        if text:
            variable = next(n for n in _listed(row["base_url_var"]) if self.settings.lookup(n))
            source = f"{variable} ({self.settings.source_of(variable)})"
            ending = (row.get("base_url_append") or {}).get(variable, "")
        elif default:
            text, source = expand(default, self._value), "default_base_url"
        else:
            return None
        try:
            base_url = normalise_base_url(
                text,
                local=bool(row.get("local")),
                allow_http=bool(row.get("allow_http")),
                default=default,
            )
            return completed_address(base_url, ending, default)
        except ValueError as exc:
            msg = f"{self.name}: {source}: {exc}."
            raise ConfigurationError(msg, provider=self.name, code="bad_base_url") from None

    def _models(self) -> list[str]:
        names = [*_listed(self.row["model_var"])]
        names += [
            f"{n.removesuffix('_MODEL')}_DEFAULT_MODEL" for n in names if n.endswith("_MODEL")
        ]
        chosen = (self._first(names) or self.row.get("default_model") or "").strip()
        known = [m if isinstance(m, str) else m["name"] for m in self.row.get("models") or ()]
        return list(dict.fromkeys([chosen, *known] if chosen else known))

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, template in (self.row.get("headers") or {}).items():
            value = expand(template, self._value).strip()
            if not value:
                continue
            if "\r" in value or "\n" in value or "\0" in value:
                msg = (
                    f"{self.name}: the header {name} would hold a line break; check its variable."
                )
                raise ConfigurationError(
                    msg,
                    provider=self.name,
                    code="bad_header",
                )
            if value != template:
                Secret(value)
            headers[name] = value
        return headers


def base_url_of(name: str, row: Row, settings: Settings) -> str | None:
    """Give the address that the provider would be called at; None where it is not known."""
    return _Resolver(name, complete_row(name, row), settings).base_url_or_none()


def models_of(name: str, row: Row, settings: Settings) -> list[str]:
    """Give the models that the provider would offer, the configured one first."""
    return _Resolver(name, complete_row(name, row), settings).models()


def _is_without_address(row: Row) -> bool:
    """Tell whether a provider needs no address: its class brings the model along."""
    return bool(row.get("local")) and row.get("base_url_var", "") is None


_ADDRESS_FIELDS: Final = (
    ("endpoints", None),
    ("models_endpoint", "path"),
    ("embeddings", "path"),
    ("health_endpoint", None),
)


def _whole_addresses(row: Row) -> list[str]:
    """Give the addresses in a row that do not begin with the base URL."""
    texts: list[str] = []
    for field, key in _ADDRESS_FIELDS:
        holder = row.get(field)
        if isinstance(holder, str):
            texts.append(holder)
        elif isinstance(holder, dict):
            texts += holder.values() if key is None else [holder.get(key) or ""]
    return [text for text in texts if "://" in text]


def _listed(names: str | Iterable[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _either(names: str | Iterable[str] | None) -> str:
    return " or ".join(_listed(names))


def _name_problems(name: object) -> list[str]:
    if isinstance(name, str) and 0 < len(name) <= 64 and _NAME_CHARACTERS.issuperset(name):
        return []
    return [": a provider's name is 1 to 64 of a-z, 0-9, '_', '-' and '.'; write it in lower case"]


def _row_problems(row: object) -> list[str]:
    if not isinstance(row, dict):
        return [f": a row is a dict, not {type(row).__name__}"]
    plain = dict(row)
    if isinstance(plain.get("provider_class"), type):
        plain["provider_class"] = plain["provider_class"].__name__
    plain = {
        key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
    }
    if accepts(PROVIDER)(plain):
        return _finer_problems(plain)
    if not all(isinstance(key, str) for key in plain):
        return [": every key must be text"]
    if "api_key" in plain:
        return ["['api_key']: keys do not belong into rows. Name the variable in api_key_var."]
    found = [
        "".join(f"[{step!r}]" for step in fault.path)
        + f": {fault.problem.rstrip('.')}. {fault.remedy}".rstrip()
        for fault in faults(PROVIDER, plain)
    ]
    return found or [": a key within it is not text"]


def _finer_problems(row: Mapping[str, Any]) -> list[str]:
    """Say what JSON Schema cannot."""
    return [said for field, check in _FINER.items() if field in row and (said := check(row))]


def _timeout_problem(row: Mapping[str, Any]) -> str:
    return (
        "" if isfinite(row["timeout"]) else "['timeout']: must be above 0 and at most 3600 seconds"
    )


def _confidence_problem(row: Mapping[str, Any]) -> str:
    finite = isfinite(row["confidence_score"])
    return "" if finite else "['confidence_score']: must be at least 0 and at most 1"


def _address_problem(row: Mapping[str, Any]) -> str:
    text = row["default_base_url"]
    if text is None or "${" in text:
        return ""
    from faultmaven.infrastructure.llm.providers.address import normalise_base_url

    try:
        normalise_base_url(
            text, local=bool(row.get("local")), allow_http=bool(row.get("allow_http"))
        )
    except ValueError as exc:
        return f"['default_base_url']: {exc}"
    return ""


def _rules_problem(row: Mapping[str, Any]) -> str:
    import re

    for i, rule in enumerate(row["model_rules"]):
        match = rule["match"]
        if len(match) > 1 and match[0] == match[-1] == "/":
            try:
                re.compile(match[1:-1])
            except re.error as exc:
                return f"['model_rules'][{i}]['match']: is not a regular expression: {exc}"
    return ""


_FINER: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "timeout": _timeout_problem,
    "confidence_score": _confidence_problem,
    "default_base_url": _address_problem,
    "model_rules": _rules_problem,
}
