"""One call over several targets: who is asked next, who is left out, and how many tries are left.

`Chain` is the order and the count, for the SDK's fallback chain and the gateway's plans alike.  `Turn` is
one target's turn; the provider that is asked finds it by `take_turn` and tells it of failed tries.
"""

from __future__ import annotations

from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.health import (
    CIRCUIT_OPEN,
    COOLING_DOWN,
    UNWATCHED,
    Circuit,
    Passage,
)
from faultmaven.infrastructure.llm.types import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextvars import Token
    from types import TracebackType

    from faultmaven.infrastructure.llm.health import Circuits
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider

Target = TypeVar("Target")

# What a receipt says of a target that was not asked.
NOT_ASKED: Final = frozenset({CIRCUIT_OPEN, COOLING_DOWN})

_turn: ContextVar[Turn | None] = ContextVar("faultmaven_turn", default=None)


class Chain(Generic[Target]):
    """The targets of one call.

    Args:
        circuits: who is unwell.
        targets: in the order that they are to be asked.
    """

    __slots__ = (
        "_circuits",
        "_has_asked",
        "_is_second",
        "_place",
        "_put_off",
        "_targets",
        "tries_left",
    )

    def __init__(self, circuits: Circuits, targets: Sequence[Target]) -> None:
        self._circuits = circuits
        self._targets = targets
        self._place = 0
        self._put_off: list[Target] = []
        self._is_second = False
        self._has_asked = False
        self.tries_left: float = inf if len(targets) == 1 else circuits.policy.max_tries

    def next(self) -> Target | None:
        """Give the next target, None where none is left or all tries are spent."""
        if self._place == len(self._targets):
            self._targets, self._put_off, self._place = self._put_off, [], 0
            self._is_second = True
        if not self._targets or self.tries_left <= 0:
            return None
        self._place += 1
        return self._targets[self._place - 1]

    def enter(self, name: str, provider: BaseLLMProvider, model: str | None) -> Turn | None:
        """Begin the present target's turn; None where it waits until the others have been asked.

        Args:
            name: the row's name.
            provider: who is asked.
            model: as the provider is given it; None is its own choice.

        Raises:
            LLMError: it is not asked now; `attempts` says so.
        """
        circuits = self._circuits
        if not circuits.policy.enabled:
            return self._begin(provider, UNWATCHED)
        circuit = circuits.find(name, provider.get_effective_model(model))
        passage = circuit.enter()
        if passage is None:
            if circuit.is_key_cooling and not self._is_second:
                self._put_off.append(self._targets[self._place - 1])
                return None
            passage = self._last_resort(circuit)
        return self._begin(provider, passage)

    @property
    def _left(self) -> int:
        return len(self._targets) - self._place + len(self._put_off)

    def _begin(self, provider: BaseLLMProvider, passage: Passage) -> Turn:
        self._has_asked = True
        tries = self.tries_left
        if tries is not inf:
            # One is kept for each that may still be asked.
            tries = max(1, tries - self._left)
        return Turn(self, provider.provider_name, passage, tries)

    def _last_resort(self, circuit: Circuit) -> Passage:
        """Let a call that has nobody else to ask through now and then."""
        passage = None
        if circuit.is_key_cooling or not (self._has_asked or self._left):
            passage = circuit.enter_anyway()
        if passage is None:
            raise _refusal(circuit)
        return passage


class Turn:
    """One target's turn.

    Used in a `with`: what is raised within ends it as a failure, unless the provider has told it already.

    Args:
        chain: whose.
        provider_name: who is asked.
        passage: what the circuit let through.
        tries: how many it may make at most.

    Attributes:
        is_taken: whether the provider tells of its failed tries itself.
        made: tries made when the call was broken off, by whoever has taken the turn.
    """

    __slots__ = ("_chain", "_token", "is_taken", "made", "passage", "provider_name", "tries")

    def __init__(
        self,
        chain: Chain[Target],
        provider_name: str,
        passage: Passage,
        tries: float,
    ) -> None:
        self._chain = chain
        self.provider_name = provider_name
        self.passage = passage
        self.tries = tries
        self.is_taken = False
        self.made = 1

    def __enter__(self) -> Self:
        self._token: Token[Turn | None] = _turn.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _turn.reset(self._token)
        if error is None:
            return
        if isinstance(error, LLMError):
            self._chain.tries_left -= max(1, count_tries(error.attempts))
            if not self.is_taken:
                self.passage.failed(error)
        self.passage.released()


def _refusal(circuit: Circuit) -> LLMError:
    """Make the error of a target that is not asked; whoever raises it must not hold it, too."""
    error = circuit.refusal()
    error.attempts = (Attempt(circuit.provider, circuit.model, str(error.code)),)
    return error


def take_turn(provider_name: str) -> Turn | None:
    """Give the turn that a provider is asked in; None where it is asked outside of a chain.

    Whoever takes it tells its passage of every try that fails; the chain tells how the call ended.
    """
    turn = _turn.get()
    if turn is None or turn.provider_name != provider_name:
        return None
    turn.is_taken = True
    return turn


def count_tries(attempts: Iterable[Attempt]) -> int:
    """Count the tries of a receipt; a target that was not asked is none."""
    return sum(attempt.outcome not in NOT_ASKED for attempt in attempts)
