"""The things that `doctor` looks at, one function each."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from faultmaven.cli.env import known_variables, misspelt_names
from faultmaven.cli.files import files_of, find_dotenv, unread_folder
from faultmaven.cli.finding import Finding
from faultmaven.cli.variables import listed
from faultmaven.config.dotenv_file import load_dotenv_file
from faultmaven.config.not_in_force import in_settings
from faultmaven.config.settings import CONFIG_NAME
from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_PYTHON: Final = (3, 11)
_AIOHTTP: Final = (3, 14, 4)
_PROXIES: Final = (
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)


def installation() -> Iterator[Finding]:
    """Look at Python and what is installed in it."""
    said = f"Python {platform.python_version()} at {sys.executable}"
    old = sys.version_info[:2] < _PYTHON
    yield Finding(
        "problem" if old else "ok", "python", said, "Use Python 3.11 or later." if old else ""
    )
    found = version("aiohttp")
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if numbers < _AIOHTTP:
        yield Finding(
            "problem", "aiohttp", f"{found} has known flaws", "pip install --upgrade aiohttp"
        )
    else:
        yield Finding("ok", "aiohttp", found)
    try:
        yield Finding("ok", "orjson", version("orjson"))
    except PackageNotFoundError:
        yield Finding(
            "note", "orjson", "is not installed: JSON is slower", "pip install 'faultmaven[fast]'"
        )


def files(registry: ProviderRegistry) -> Iterator[Finding]:
    """Look at `.env` and the configuration file."""
    path = find_dotenv(registry.settings)
    if path is None:
        yield Finding(
            "note",
            ".env",
            "there is none here",
            "`faultmaven env write` writes .env.example to copy from.",
        )
    else:
        mode = path.stat().st_mode & 0o777
        open_to_others = os.name == "posix" and mode & 0o077
        yield Finding(
            "problem" if open_to_others else "ok",
            ".env",
            f"{path}, mode {mode:04o}{': others can read it' if open_to_others else ''}",
            f"chmod 600 {path}" if open_to_others else "",
        )
        for problem in misspelt_names(load_dotenv_file(path), known_variables(registry)):
            yield Finding("problem", ".env", str(problem), problem.remedy)
    for name in files_of(registry.settings):
        if name != str(path):
            yield Finding("ok", "configuration", name)
    if folder := unread_folder(registry.settings):
        yield Finding(
            "note", "configuration", f"{folder} is not read: no {CONFIG_NAME} stands beside it",
            f"Write one there; an empty {CONFIG_NAME} will do.",
        )  # fmt: skip


def not_in_force(settings: Settings) -> Iterator[Finding]:
    """Look for settings that this version does not act on."""
    for problem in in_settings(settings):
        yield Finding("note", "configuration", str(problem), "Do not rely on it.")


def proxies(settings: Settings) -> Iterator[Finding]:
    """Look for proxies in the environment, which are not used."""
    found = [name for name in _PROXIES if settings.lookup(name)]
    if found:
        yield Finding(
            "note", "proxies", f"{' and '.join(found)} set, but not used: keys go through no proxy by accident",
            "To use one, set `proxy` in the provider's row.",
        )  # fmt: skip


def rows(registry: ProviderRegistry) -> Iterator[Finding]:
    """Look for rows that cannot be used."""
    status = registry.get_provider_status()
    for name, one in status.items():
        if one["problem"]:
            yield Finding("problem", name, one["problem"], f"Mend the row ({one['source']}).")
    count = len(registry.get_available_providers())
    yield Finding("ok", "providers", f"{len(status)} rows, {count} configured")


def choices(registry: ProviderRegistry) -> tuple[list[str], list[Finding]]:
    """Look at CHAT_PROVIDER, FALLBACK_PROVIDERS and the roles; give the names that exist too."""
    from faultmaven.infrastructure.llm.providers.registry import ROLES

    names: list[str] = []
    findings: list[Finding] = []
    for role in ROLES:
        try:
            names += registry.get_fallback_chain(role)
        except ConfigurationError as error:
            finding = Finding("problem", role, error.message, "`faultmaven providers` lists them.")
            if finding.said not in {known.said for known in findings}:
                findings.append(finding)
    chosen = list(dict.fromkeys(names))
    status = registry.get_provider_status()
    for name in chosen:
        one = status[name]
        if one["missing"]:
            said = f"chosen, but not configured: {' and '.join(one['missing'])} is not set"
            findings.append(Finding("problem", name, said, "Set it in .env."))
        elif not one["configured"]:
            said = one["problem"] or f"chosen, but {one['status']}: {one['status_reason']}"
            findings.append(Finding("problem", name, said, "Choose another provider."))
        else:
            findings.append(
                Finding("ok", name, f"configured, model {one['model'] or 'the first'}")
            )
    return chosen, findings


def keys(registry: ProviderRegistry, chosen: Sequence[str]) -> Iterator[Finding]:
    """Look for keys that look wrong, and for keys that nobody uses."""
    unused: list[str] = []
    wanted: set[str] = set()
    for name in registry.get_available_providers():
        row = registry.get_row(name)
        variable = next(filter(registry.settings.lookup, listed(row["api_key_var"])), None)
        if variable is None:
            continue
        if name in chosen:
            wanted.add(variable)
            yield from _prefix(registry, name, variable)
        else:
            unused.append(variable)
    rest = sorted(set(unused) - wanted)
    if rest:
        yield Finding(
            "note", "keys", f"{', '.join(rest)} set, but used by no chosen provider",
            "Name its provider in CHAT_PROVIDER or FALLBACK_PROVIDERS to use it.",
        )  # fmt: skip


def _prefix(registry: ProviderRegistry, name: str, variable: str) -> Iterator[Finding]:
    """Compare a key's beginning with what the provider's keys begin with; never shows the key."""
    prefixes = registry.get_row(name).get("key_prefixes") or ()
    key = registry.settings.lookup(variable) or ""
    if prefixes and not key.strip().startswith(tuple(prefixes)):
        source = registry.settings.source_of(variable)
        yield Finding(
            "problem", name, f"{variable} ({source}) does not begin with {' or '.join(prefixes)}",
            "Is it another provider's key? Copy it again.",
        )  # fmt: skip


def engine(registry: ProviderRegistry, chosen: Sequence[str]) -> Iterator[Finding]:
    """Look whether the engines that run here can: those of the chosen providers at least."""
    status = registry.get_provider_status()
    for name, one in status.items():
        if not (one["local"] and one["configured"] and one["base_url"] is None):
            continue
        try:
            provider = registry.get_provider(name)
        except LLMError as error:
            yield Finding("problem", name, error.message)
            continue
        reason = getattr(provider, "unavailable_reason", str)()
        if reason:
            yield Finding("problem" if name in chosen else "note", f"engine {name}", reason)
        elif hasattr(provider, "unavailable_reason"):
            yield Finding("ok", f"engine {name}", "installed")


async def answers(registry: ProviderRegistry, chosen: Sequence[str]) -> list[Finding]:
    """Ask the chosen providers whether they are there and accept their keys."""
    from faultmaven.cli.trial import try_all

    status = registry.get_provider_status()
    asked = [n for n in chosen if status[n]["configured"] and status[n]["base_url"]]
    trials = await try_all(registry, asked, key_only=True)
    return [
        Finding("ok", t.provider, f"answers, after {t.latency_ms} ms")
        if t.ok
        else Finding("problem", t.provider, t.error)
        for t in trials
    ]
