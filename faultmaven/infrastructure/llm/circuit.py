"""One circuit: a provider's model that keeps failing is left alone for a while, then tried with care.

It opens when calls keep failing, lets one probe at a time through when its time has come, and closes when
probes succeed.  Nothing here waits or does I/O: the clock and the dice are given.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

State = Literal["closed", "open", "half_open"]

logger = logging.getLogger("faultmaven.health")

CIRCUIT_OPEN: Final = "circuit_open"
COOLING_DOWN: Final = "cooling_down"

_FAILURES: Final = (
    LLMConnectionError,
    LLMTimeoutError,
    OverloadedError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)
# What these classes are also used for, and what no provider can help: a model that does not keep to a
# schema, an answer longer than we take, our own pool or fault, a shutdown.
_NOT_THE_PROVIDER: Final = frozenset(
    {"internal_error", "pool_timeout", "response_too_large", "schema_mismatch", "shutting_down"}
)
_KEY_ERRORS: Final = (AuthenticationError, BudgetExceededError, PermissionDeniedError)
_SLOTS: Final = 10


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When circuits open and close; `circuit` in faultmaven.yaml has the same names.

    Attributes:
        enabled: whether there are circuits at all.
        failures: a circuit opens after so many failed tries in a row.
        failure_rate: or where this share of the tries of a window failed, 0 to 1,
        min_calls: if there were at least so many.
        window_s: seconds that the share is taken over.
        open_s: seconds that it stays open the first time; n times as long the n-th time.
        max_open_s: never longer; after so long closed, opening counts as the first time again.
        jitter: share by which that time is longer or shorter at random.
        successes: probes that must succeed before it closes.
        trial_interval_s: seconds between trials where no target of a call is left.
        max_cool_s: seconds at most that a `Retry-After` keeps calls away.
        key_cool_s: seconds that a refused or exhausted key is put last.
        deadline_counts_s: a caller's own deadline counts as a failure if this much had passed.
        max_tries: tries of one call over all of its targets, where there are several.
        max_circuits: how many are kept.
    """

    enabled: bool = True
    failures: int = 5
    failure_rate: float = 0.5
    min_calls: int = 20
    window_s: float = 30.0
    open_s: float = 30.0
    max_open_s: float = 300.0
    jitter: float = 0.1
    successes: int = 2
    trial_interval_s: float = 1.0
    max_cool_s: float = 60.0
    key_cool_s: float = 60.0
    deadline_counts_s: float = 10.0
    max_tries: int = 4
    max_circuits: int = 1024

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Make the policy of a section of the file, which the schema has checked."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in section.items() if name in known})


@dataclass(frozen=True, slots=True)
class CircuitState:
    """What a circuit shows of itself.

    Attributes:
        provider: the row's name.
        model: the provider's name for the model.
        state: closed, open or half_open.
        since_s: seconds that it has been so.
        until_s: seconds until calls are let through again, 0 if they are.
        opens: how often it has opened lately.
        failures: tries that failed in a row.
        last_error: the class of the last failure, "" for none.
        cooling: whether calls are kept away by a `Retry-After` or a refused key.
    """

    provider: str
    model: str
    state: State
    since_s: float
    until_s: float
    opens: int
    failures: int
    last_error: str
    cooling: bool


def is_failure(error: LLMError) -> bool:
    """Tell whether an error says that the provider is unwell; a refusal (4xx) does not."""
    if error.status is not None and 400 <= error.status < 500:
        return False
    return isinstance(error, _FAILURES) and error.code not in _NOT_THE_PROVIDER


@dataclass(slots=True)
class Shared:
    """What all circuits have in common.

    Attributes:
        policy: when they open and close; may be replaced.
        now: gives a monotonic instant in seconds.
        draw: gives a number from 0 to 1.
    """

    policy: CircuitPolicy
    now: Callable[[], float]
    draw: Callable[[], float]


class Circuit:
    """One provider's model.

    Args:
        shared: the policy, the clock and the dice.
        provider: the row's name.
        model: the provider's name for the model.

    Attributes:
        state: closed, open or half_open; open becomes half_open with the first call after its time.
        is_clear: whether calls pass without a question.
        epoch: grows whenever it opens or closes, so that what began before is told from what is.
        is_key_cooling: whether it is only a key that keeps calls away.
    """

    __slots__ = (
        "_closed_at",
        "_cool_since",
        "_cool_until",
        "_failures",
        "_last_error",
        "_opens",
        "_probe",
        "_probe_until",
        "_shared",
        "_since",
        "_successes",
        "_trial_at",
        "_until",
        "_window",
        "epoch",
        "is_clear",
        "is_key_cooling",
        "model",
        "provider",
        "state",
    )

    def __init__(self, shared: Shared, provider: str, model: str) -> None:
        self._shared = shared
        self.provider = provider
        self.model = model
        self.state: State = "closed"
        self.is_clear = True
        self.is_key_cooling = False
        self.epoch = 0
        self._since = self._closed_at = shared.now()
        self._until = self._trial_at = self._probe_until = 0.0
        self._cool_since = self._cool_until = 0.0
        self._opens = self._failures = self._successes = 0
        self._last_error = ""
        self._probe: Passage | None = None
        self._window = _Window()

    def enter(self) -> Passage | None:
        """Let a call through; None keeps it away.  Whoever is let through must tell how it ended."""
        now = self._shared.now()
        if self.is_clear:
            return Passage(self, now, self.epoch)
        if self._is_cooling(now):
            return None
        if self.state == "open" and now >= self._until:
            self.state, self._since, self._successes = "half_open", now, 0
        if self.state == "closed":
            return Passage(self, now, self.epoch)
        return self._begin_probe(now) if self.state == "half_open" else None

    def enter_anyway(self) -> Passage | None:
        """Let a call through that has nowhere else to go: one at a time and now and then."""
        passage = self.enter()
        if passage is not None:
            return passage
        now = self._shared.now()
        if self.is_key_cooling and self.state == "closed":
            return Passage(self, now, self.epoch)
        if now < self._trial_at:
            return None
        passage = self._begin_probe(now)
        if passage is not None:
            self._trial_at = now + self._shared.policy.trial_interval_s
        return passage

    def watch(self) -> Passage:
        """Let a call through that may not be kept away; it is a probe where one is due."""
        return self.enter() or Passage(self, self._shared.now(), -1)

    def refusal(self) -> LLMError:
        """Make the error of a call that is kept away."""
        now = self._shared.now()
        wait_s = max(
            0.0, max(self._until if self.state != "closed" else 0.0, self._cool_until) - now
        )
        what = f"{self.provider}: {self.model or 'its model'}"
        failed = self._last_error or "an error"
        kind: type[LLMError] = OverloadedError
        if self.state == "closed":
            kind, code = RateLimitError, COOLING_DOWN
            text = f"{what} is not asked for {wait_s:.0f} s more: it answered {failed} and asked to wait."
        else:
            code = CIRCUIT_OPEN
            text = (
                f"{what} is not asked now, because it kept failing, the last time with {failed}; "
                f"it is tried again in {max(1.0, wait_s):.0f} s."
            )
        return kind(
            text,
            provider=self.provider,
            model=self.model,
            code=code,
            retry_after_s=max(1.0, wait_s),
        )

    def show(self) -> CircuitState:
        """Tell how it stands."""
        now = self._shared.now()
        cooling = self._cool_until > now
        is_due = self.state == "open" and now >= self._until
        until = self._until if self.state == "open" else 0.0
        return CircuitState(
            provider=self.provider,
            model=self.model,
            state="half_open" if is_due else self.state,
            since_s=round(now - (self._until if is_due else self._since), 1),
            until_s=round(max(0.0, until - now, self._cool_until - now), 1),
            opens=self._opens,
            failures=self._failures,
            last_error=self._last_error,
            cooling=cooling,
        )

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing would be lost with it."""
        policy = self._shared.policy
        if self.state != "closed":
            return now - self._until > policy.max_open_s
        return self._window.is_empty(now, policy.window_s) and self._cool_until <= now

    def succeeded(self, passage: Passage) -> None:
        """Count a success; told by the passage."""
        if self._probe is passage:
            self._probe = None
        if passage.epoch != self.epoch:
            return
        now = self._shared.now()
        if self.state == "closed":
            self._failures = 0
            self._window.add(now, self._shared.policy.window_s, 0)
            if not self.is_clear and passage.started > self._cool_since:
                self._cool_until, self.is_clear, self.is_key_cooling = 0.0, True, False
            return
        if self.state == "open":  # a trial before its time
            self.state, self._since, self._successes = "half_open", now, 0
        self._successes += 1
        if self._successes >= self._shared.policy.successes:
            self._close(now)
        passage.epoch = self.epoch

    def failed(self, passage: Passage, error: LLMError) -> None:
        """Count a failure if it is one; told by the passage."""
        self.leave(passage)
        if passage.epoch < 0:
            return
        policy = self._shared.policy
        now = self._shared.now()
        if error.code == "deadline_exceeded" and now - passage.started < policy.deadline_counts_s:
            return
        if not is_failure(error):
            self._cool(error, now)
            return
        if passage.epoch != self.epoch:
            return
        self._last_error = type(error).__name__
        if self.state == "half_open":
            self._open(now)
        elif self.state == "closed":
            self._failures += 1
            window = self._window
            window.add(now, policy.window_s, 1)
            is_many = window.calls >= policy.min_calls
            if self._failures >= policy.failures or (
                is_many and window.failures >= policy.failure_rate * window.calls
            ):
                self._open(now)

    def leave(self, passage: Passage) -> None:
        """Make room for the next probe, if this was one."""
        if self._probe is passage:
            self._probe = None

    def _begin_probe(self, now: float) -> Passage | None:
        """Let one call through if none is on its way; one that never tells its end counts as lost."""
        if self._probe is not None and now < self._probe_until:
            return None
        self._probe = Passage(self, now, self.epoch)
        self._probe_until = now + self._shared.policy.max_open_s
        return self._probe

    def _is_cooling(self, now: float) -> bool:
        if now < self._cool_until:
            return True
        self._cool_until, self.is_key_cooling = 0.0, False
        self.is_clear = self.state == "closed"
        return False

    def _cool(self, error: LLMError, now: float) -> None:
        """Keep calls away for as long as a limit asks, or put a key that was refused last."""
        policy = self._shared.policy
        is_key = isinstance(error, _KEY_ERRORS)
        if is_key:
            wait_s = policy.key_cool_s
        elif isinstance(error, RateLimitError) and error.retry_after_s is not None:
            wait_s = min(error.retry_after_s, policy.max_cool_s)
        else:
            return
        # A wait of less than a trial's is over before it is told.
        if wait_s >= policy.trial_interval_s and now + wait_s > self._cool_until:
            self._last_error = type(error).__name__
            self._cool_since, self._cool_until = now, now + wait_s
            self.is_key_cooling = is_key
            self._trial_at = now + policy.trial_interval_s
            self.is_clear = False

    def _open(self, now: float) -> None:
        policy = self._shared.policy
        if now - self._closed_at > policy.max_open_s and self.state == "closed":
            self._opens = 0
        self._opens += 1
        share = 1 + policy.jitter * (2 * self._shared.draw() - 1)
        length_s = min(policy.max_open_s, policy.open_s * self._opens * share)
        self.state, self._since, self._until = "open", now, now + length_s
        self._trial_at = now + policy.trial_interval_s
        self._turn()
        logger.warning(
            "%s/%s is not asked for %.0f s: it keeps failing, the last time with %s",
            self.provider,
            self.model,
            length_s,
            self._last_error,
        )

    def _close(self, now: float) -> None:
        self.state, self._since, self._closed_at = "closed", now, now
        self._turn()
        logger.info("%s/%s is asked again: it has recovered", self.provider, self.model)

    def _turn(self) -> None:
        """Begin anew after opening or closing: what is still on its way counts no longer."""
        self.epoch += 1
        self.is_clear = self.state == "closed"
        self._cool_until, self.is_key_cooling = 0.0, False
        self._failures = self._successes = 0
        self._probe = None
        self._window = _Window()


class Passage:
    """One call that a circuit let through.

    Attributes:
        circuit: whose.
        started: the instant.
        epoch: the circuit's then; -1 counts for nothing.
    """

    __slots__ = ("_has_counted", "circuit", "epoch", "started")

    def __init__(self, circuit: Circuit, started: float, epoch: int) -> None:
        self.circuit = circuit
        self.started = started
        self.epoch = epoch
        self._has_counted = False

    @property
    def is_stopped(self) -> bool:
        """Whether the circuit has opened, so that another try is not wanted."""
        return self.circuit.state != "closed"

    def began(self) -> None:
        """Say that a stream has begun: enough for a probe, which makes room for the next."""
        if self.circuit.state != "closed":
            self.succeeded()

    def succeeded(self) -> None:
        """Say that the call ended well."""
        if self._has_counted:
            return
        self._has_counted = self.circuit.state != "closed"
        self.circuit.succeeded(self)

    def failed(self, error: LLMError) -> None:
        """Say that a try failed; what is not the provider's fault counts as nothing."""
        self.circuit.failed(self, error)

    def released(self) -> None:
        """Say that the call was given up by its caller: it counts as nothing."""
        self.circuit.leave(self)


class _Window:
    """How many of the latest tries failed, in slots of a tenth of the window.

    Attributes:
        calls: tries within the window.
        failures: those that failed.
    """

    __slots__ = ("_calls", "_failures", "_slot", "calls", "failures")

    def __init__(self) -> None:
        self._slot = -_SLOTS
        self._calls = [0] * _SLOTS
        self._failures = [0] * _SLOTS
        self.calls = 0
        self.failures = 0

    def add(self, now: float, window_s: float, failures: int) -> None:
        """Count one try."""
        slot = int(now * _SLOTS / window_s)
        if slot != self._slot:
            self._move_to(slot)
        place = slot % _SLOTS
        self._calls[place] += 1
        self.calls += 1
        if failures:
            self._failures[place] += failures
            self.failures += failures

    def is_empty(self, now: float, window_s: float) -> bool:
        """Tell whether nothing was counted for a whole window."""
        return not self.calls or int(now * _SLOTS / window_s) - self._slot >= _SLOTS

    def _move_to(self, slot: int) -> None:
        for passed in range(min(_SLOTS, abs(slot - self._slot))):
            place = (slot - passed) % _SLOTS
            self.calls -= self._calls[place]
            self.failures -= self._failures[place]
            self._calls[place] = self._failures[place] = 0
        self._slot = slot


# For calls whose outcome nobody counts.
UNWATCHED: Final = Passage(
    Circuit(Shared(CircuitPolicy(), lambda: 0.0, lambda: 0.0), "", ""), 0.0, -1
)
