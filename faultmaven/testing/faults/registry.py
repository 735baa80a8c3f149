"""The table of faults, and how a fault gets into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from faultmaven.testing.dialects.base import Event
    from faultmaven.testing.exchange import Exchange

    Play = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to answer.

    Attributes:
        name: what a spec starts with.
        usage: the spec's form, arguments in capitals.
        description: what goes over the wire, one sentence or two.
        play: does it.
    """

    name: str
    usage: str
    description: str
    play: Play


FAULTS: dict[str, Fault] = {}


class UnknownFaultError(ValueError):
    """A spec names no fault, or has arguments it does not take."""


def fault(usage: str) -> Callable[[Play], Play]:
    """Register a function that answers an exchange; its docstring is the description."""

    def register(play: Play) -> Play:
        name = usage.partition(":")[0]
        description = " ".join((play.__doc__ or "").split())
        FAULTS[name] = Fault(name, usage, description, play)
        return play

    return register


def event_fault(
    usage: str,
) -> Callable[[Callable[[Exchange, list[Event]], Sequence[Event]]], Play]:
    """Register a function that edits the answer's events; a plain answer is one event."""

    def register(edit: Callable[[Exchange, list[Event]], Sequence[Event]]) -> Play:
        @fault(usage)
        @wraps(edit)
        async def play(exchange: Exchange) -> None:
            await exchange.reply_events(edit(exchange, exchange.events()))

        return play

    return register


def bytes_fault(
    usage: str,
) -> Callable[[Callable[[Exchange, list[bytes]], Sequence[bytes]]], Play]:
    """Register a function that edits the answer's bytes, one part an event."""

    def register(edit: Callable[[Exchange, list[bytes]], Sequence[bytes]]) -> Play:
        @fault(usage)
        @wraps(edit)
        async def play(exchange: Exchange) -> None:
            await exchange.reply_parts(edit(exchange, exchange.parts()))

        return play

    return register


def find_fault(spec: str) -> tuple[Fault, Sequence[str]]:
    """Find the fault that a spec such as `status:503:retry-after=1` names, and its arguments.

    Raises:
        UnknownFaultError: there is none; the message names the nearest.
    """
    name, *args = spec.removeprefix("fm:").split(":")
    if name not in FAULTS:
        import difflib

        near = difflib.get_close_matches(name, FAULTS, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "FakeUpstream.faults() lists them"
        msg = f"no fault is called {name!r}: {hint}"
        raise UnknownFaultError(msg)
    return FAULTS[name], args
