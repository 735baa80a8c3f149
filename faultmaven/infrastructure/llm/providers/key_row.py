"""The keys of one provider, where it has several: which is in use, and which are put aside for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    LLMError,
    PermissionDeniedError,
    RateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultmaven.infrastructure.llm.health import CircuitPolicy

# A limit that does not say how long it lasts.
_UNKNOWN_COOL_S = 1.0


@dataclass(frozen=True, slots=True)
class KeyState:
    """How one key stands.

    Attributes:
        variable: where it comes from; never the key.
        in_use: whether the next call takes it.
        until_s: seconds that it is still put aside, 0 if it is not.
    """

    variable: str
    in_use: bool
    until_s: float


class KeyRow:
    """Keys in their order.

    A key stays in use until it is refused, exhausted or limited; then the next one that is not put aside
    takes its place.

    Args:
        keys: by the variable that each comes from.

    Attributes:
        number: the place of the key that is in use.
    """

    __slots__ = ("_aside_until", "_keys", "_variables", "number")

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._variables: Sequence[str] = tuple(keys)
        self._keys: Sequence[str] = tuple(keys.values())
        self._aside_until = [0.0] * len(self._keys)
        self.number = 0

    @property
    def key(self) -> str:
        """The key that is in use."""
        return self._keys[self.number]

    def put_aside(self, number: int, error: LLMError, now: float, policy: CircuitPolicy) -> bool:
        """Go on to another key after an error that is one key's own.

        Args:
            number: the place of the key that was used.
            error: what the provider answered.
            now: the instant.
            policy: for how long.

        Returns:
            Whether there is another key to try.
        """
        if len(self._keys) < 2 or (wait_s := _aside_s(error, policy)) is None:
            return False
        self._aside_until[number] = max(self._aside_until[number], now + wait_s)
        if self.number != number:  # another call has gone on already
            return self._aside_until[self.number] <= now
        for step in range(1, len(self._keys)):
            candidate = (number + step) % len(self._keys)
            if self._aside_until[candidate] <= now:
                self.number = candidate
                return True
        return False

    def holds(self, number: int, text: str) -> bool:
        """Tell whether a header's value has a key in it."""
        return self._keys[number] in text

    def states(self, now: float) -> list[KeyState]:
        """Tell of every key."""
        return [
            KeyState(variable, place == self.number, round(max(0.0, until - now), 1))
            for place, (variable, until) in enumerate(
                zip(self._variables, self._aside_until, strict=True)
            )
        ]


def _aside_s(error: LLMError, policy: CircuitPolicy) -> float | None:
    """Give the seconds that an error puts a key aside; None where it says nothing of the key."""
    if isinstance(error, AuthenticationError | PermissionDeniedError | BudgetExceededError):
        return policy.key_cool_s
    if isinstance(error, RateLimitError):
        return min(error.retry_after_s or _UNKNOWN_COOL_S, policy.max_cool_s)
    return None
