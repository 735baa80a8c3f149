"""Ports of several gateways on one machine: each has its own, within a range that was agreed on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from faultmaven.config.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.config.file import ConfigFile

_PORT = ("gateway", "port")
_SCHEME = ("gateway", "port_scheme")


def port_warnings(files: Iterable[ConfigFile]) -> list[Problem]:
    """Name ports that are in no range of the scheme, or taken twice, and ranges that overlap.

    A scheme that one of the files declares holds for those that declare none.  Without any scheme
    nothing is said.

    Args:
        files: of gateways that are meant to run on the same machine.
    """
    sections = [(file, file.section("gateway")) for file in files]
    shared = next((own for _, section in sections if (own := section.get("port_scheme"))), None)
    if shared is None:
        return []
    found: list[Problem] = []
    owners: dict[int, str] = {}
    for file, section in sections:
        scheme = section.get("port_scheme")
        if scheme is not None:
            found += [_problem(file, _SCHEME, told) for told in _overlaps(scheme)]
        port = section.get("port")
        if not port:
            continue
        if not any(first <= port <= last for first, last in _ranges(scheme or shared).values()):
            told = f"{port} is in no range of the port scheme: {_words(scheme or shared)}"
            found.append(_problem(file, _PORT, told))
        if port in owners:
            found.append(_problem(file, _PORT, f"{port} is the port of {owners[port]}, too"))
        owners.setdefault(port, str(file.path))
    return found


def _ranges(scheme: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Read the ranges; one that runs backwards holds nothing."""
    found = {}
    for name, text in scheme.items():
        first, _, last = str(text).partition("-")
        found[name] = int(first), int(last or first)
    return found


def _overlaps(scheme: Mapping[str, Any]) -> list[str]:
    ranges = sorted(_ranges(scheme).items(), key=lambda entry: entry[1])
    told = [
        f"{name} ({scheme[name]}) runs backwards" for name, (first, last) in ranges if first > last
    ]
    return told + [
        f"{name} ({scheme[name]}) and {following} ({scheme[following]}) overlap"
        for (name, (_, last)), (following, (first, _)) in pairwise(ranges)
        if first <= last
    ]


def _words(scheme: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {text}" for name, text in scheme.items())


def _problem(file: ConfigFile, steps: tuple[str, ...], told: str) -> Problem:
    return Problem(str(file.path), file.line_of(steps), ".".join(steps), told)
