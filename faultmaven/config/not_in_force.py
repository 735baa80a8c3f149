"""What may be configured and is not acted on in this version, so that nobody relies on it unawares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.config.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.config.file import ConfigFile
    from faultmaven.config.settings import Settings
    from faultmaven.config.yaml_tree import Steps

# Places in faultmaven.yaml; a * stands for any name or place in a list.
SECTIONS: Final = (
    "budgets",
    "cache",
    "fallback_chains.*.retry_attempts",
    "fallback_chains.*.retry_delay_ms",
    "health_checks",
    "keys.*.budget",
    "models.groups.*.*.weight",
    "models.groups.*.members.*.weight",
    "models.groups.*.strategy",
    "observability.log_content",
    "observability.metrics",
    "observability.otlp_endpoint",
    "observability.service_name",
    "routes.capabilities",
    "routes.debug",
    "routes.exact.*.priority",
    "routes.exact.*.traffic",
    "routes.redundant",
    "routes.sizes",
)
VARIABLES: Final = ("FAULTMAVEN_STATE_URL",)

# What a place may say that holds anyway.
_TRUE_ANYWAY: Final[dict[str, tuple[object, ...]]] = {
    "models.groups.*.strategy": ("first",),
    "routes.debug": (False,),
    "cache": ({"enabled": False},),
    "observability.log_content": (False,),
    "observability.metrics": (True,),
}
_SAID: Final = "is read but not in force in this version"


def in_settings(settings: Settings) -> list[Problem]:
    """Name what is set and not in force, in the environment and in the files."""
    found = list(in_file(settings.file)) if settings.file is not None else []
    for name in VARIABLES:
        if source := settings.source_of(name):
            found.append(Problem(source, None, name, _SAID))
    return found


def in_file(file: ConfigFile) -> Iterator[Problem]:
    """Name what a file says and is not in force, with its lines."""
    for pattern in SECTIONS:
        for steps, value in _places(file.data, tuple(pattern.split(".")), ()):
            if value not in _TRUE_ANYWAY.get(pattern, ()):
                name = ".".join(map(str, steps))
                yield Problem(str(file.path), _line(file, steps), name, _SAID)


def _places(data: Any, pattern: tuple[str, ...], steps: Steps) -> Iterator[tuple[Steps, Any]]:
    """Give the places of a document that fit a pattern, and what is there."""
    if not pattern:
        yield steps, data
        return
    if isinstance(data, dict):
        known = data if pattern[0] == "*" else {pattern[0]} & data.keys()
        for name in known:
            yield from _places(data[name], pattern[1:], (*steps, name))
    elif isinstance(data, list) and pattern[0] == "*":
        for place, value in enumerate(data):
            yield from _places(value, pattern[1:], (*steps, place))


def _line(file: ConfigFile, steps: Steps) -> int | None:
    while steps and file.line_of(steps) is None:
        steps = steps[:-1]
    return file.line_of(steps)
