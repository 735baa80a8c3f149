"""Which providers' models keep failing: one circuit for each, kept within bounds.

The circuits of a registry are told by whoever calls, and asked by whoever has a choice: the SDK's fallback
chain and the gateway's plans.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from faultmaven.infrastructure.llm.circuit import (
    CIRCUIT_OPEN,
    COOLING_DOWN,
    UNWATCHED,
    Circuit,
    CircuitPolicy,
    CircuitState,
    Passage,
    Shared,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CIRCUIT_OPEN",
    "COOLING_DOWN",
    "UNWATCHED",
    "Circuit",
    "CircuitPolicy",
    "CircuitState",
    "Circuits",
    "Passage",
]

_SWEEP_PAUSE_S: Final = 1.0


class Circuits:
    """Every circuit of a registry.

    Safe to use from several threads as far as numbers go: a race may cost a probe too many.

    Args:
        policy: when they open and close.
        now: gives a monotonic instant in seconds.
        draw: gives a number from 0 to 1.

    Attributes:
        policy: when they open and close; `renew` takes another.
    """

    def __init__(
        self,
        policy: CircuitPolicy | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self.policy = policy or CircuitPolicy()
        self._shared = Shared(self.policy, now, draw or _draw)
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._next_sweep = now()

    def __len__(self) -> int:
        return len(self._circuits)

    def find(self, provider: str, model: str) -> Circuit:
        """Give the circuit of a provider's model, a new one where there is none."""
        circuit = self._circuits.get((provider, model))
        return circuit if circuit is not None else self._add(provider, model)

    def states(self, provider: str | None = None) -> list[CircuitState]:
        """Tell of every circuit, or of one provider's."""
        return [
            circuit.show()
            for key, circuit in sorted(self._circuits.items())
            if provider is None or key[0] == provider
        ]

    def renew(self, policy: CircuitPolicy) -> None:
        """Begin anew: keys and addresses have changed, and what they led to is past."""
        self.policy = self._shared.policy = policy
        self._circuits = {}

    def _add(self, provider: str, model: str) -> Circuit:
        if len(self._circuits) >= self.policy.max_circuits:
            self._sweep()
        circuit = Circuit(self._shared, provider, model)
        # A client can invent models: where there is no room, a circuit lasts for one call.
        if len(self._circuits) < self.policy.max_circuits:
            circuit = self._circuits.setdefault((provider, model), circuit)
        return circuit

    def _sweep(self) -> None:
        """Forget what has been quiet, at most once a second."""
        now = self._shared.now()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_PAUSE_S
        for key in [k for k, circuit in list(self._circuits.items()) if circuit.is_idle(now)]:
            del self._circuits[key]


def _draw() -> float:
    import random  # loads hashes and more, for something that happens when a circuit opens

    return random.random()  # noqa: S311  # no secret
