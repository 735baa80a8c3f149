"""Who may make a call to a model now: the process's places, the limits of keys, the limits of providers.

A request has a `Ticket`.  It enters once its body has been read, chooses providers one after the other,
and leaves whatever becomes of it.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.allowance import PREFERRED_CONCURRENCY
from faultmaven.gateway.demand import expected_tokens
from faultmaven.gateway.faults import LOCAL_LIMIT, Fault
from faultmaven.infrastructure.llm.errors import RateLimitError
from faultmaven.infrastructure.llm.limits import QUEUE_FULL, NoPlaceError, Places, Window
from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultmaven.gateway.allowance import Allowance, Allowances
    from faultmaven.gateway.record import Record
    from faultmaven.gateway.tally import Tally
    from faultmaven.infrastructure.llm.retry import Clock

# When a place becomes free is not known.
_PLACE_WAIT_S: Final = 1.0
_QUEUE_FACTOR: Final = 2
# With these nothing came of the tokens that had been expected.
_PARTLY_ANSWERED: Final = ("ok", "cancelled", "incomplete")


class Admission:
    """Lets requests in.

    Args:
        tally: what counts them.
        allowances: what keys and providers may have.
        max_concurrency: calls to models at the same time.
        queue_s: seconds for which one more may wait; twice as many may.
        workers: how many processes share the limits.
        worker: which of them this is, from 0.
        clock: the time.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        allowances: Allowances,
        max_concurrency: int,
        queue_s: float,
        workers: int = 1,
        worker: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.tally = tally
        self.clock = clock
        self.places = Places(
            max_concurrency,
            queue_limit=_QUEUE_FACTOR * max_concurrency,
            queue_s=queue_s,
            clock=clock,
        )
        self._allowances = allowances
        self._workers = workers
        self._worker = worker
        self._keys: dict[str, Gate] = {}
        self._providers: dict[str, Gate] = {}

    def adopt(self, allowances: Allowances, max_concurrency: int, queue_s: float) -> None:
        """Have other limits from now on; what was used of the old ones stays used."""
        self._allowances = allowances
        self.places.set_limits(max_concurrency, _QUEUE_FACTOR * max_concurrency, queue_s)
        for name, gate in self._keys.items():
            gate.adopt(self._share(allowances.of_key(name)))
        # A provider's depend on its row, too, which may have changed as well.
        for gate in self._providers.values():
            gate.is_current = False

    def check_room(self) -> None:
        """See that there is room, before a body is read.

        Raises:
            Fault: so many wait that one more could not.
        """
        if self.places.is_full:
            raise self.overloaded(QUEUE_FULL)

    def admit(self, caller: str) -> Ticket:
        """Give a ticket to the holder of a key."""
        gate = self._keys.get(caller)
        if gate is None:
            allowance = self._share(self._allowances.of_key(caller))
            gate = self._keys[caller] = Gate(allowance, self.clock)
        return Ticket(self, gate)

    def of_key(self, caller: str) -> Allowance:
        """Give what the holder of a key may have of this worker."""
        gate = self._keys.get(caller)
        if gate is None:
            return self._share(self._allowances.of_key(caller))
        return gate.allowance

    def gate_of(self, provider: str, row: Mapping[str, Any]) -> Gate:
        """Give what is known of a provider."""
        gate = self._providers.get(provider)
        if gate is None:
            allowance = self._share(self._allowances.of_provider(provider, row))
            gate = self._providers[provider] = Gate(allowance, self.clock)
        elif not gate.is_current:
            gate.adopt(self._share(self._allowances.of_provider(provider, row)))
        return gate

    def overloaded(self, reason: str) -> Fault:
        """Make the answer to one who finds no place, and count it."""
        self.tally.rejected[reason] += 1
        message = "The gateway is at its limit of calls at the same time. Try again in a moment."
        retry_after_s = ceil(_PLACE_WAIT_S)
        return Fault(
            503, "overloaded", "overloaded", message,
            retry_after_s=retry_after_s, should_retry=True,
        )  # fmt: skip

    def _share(self, allowance: Allowance) -> Allowance:
        return allowance.share(self._workers, self._worker)


class Gate:
    """What one key or provider may have, and has.

    Args:
        allowance: what it may have.
        clock: the time.

    Attributes:
        allowance: as above.
        taken: requests that are being answered.
        requests: the window of requests, None where they are not limited.
        tokens: the window of tokens, None where they are not limited.
        is_current: whether the allowance is the configuration's.
    """

    __slots__ = ("_clock", "allowance", "is_current", "requests", "taken", "tokens")

    def __init__(self, allowance: Allowance, clock: Clock) -> None:
        self._clock = clock
        self.taken = 0
        self.requests: Window | None = None
        self.tokens: Window | None = None
        self.adopt(allowance)

    @property
    def is_busy(self) -> bool:
        """Tell whether another is preferred, though there is no limit."""
        return self.taken >= PREFERRED_CONCURRENCY and self.allowance.concurrency is None

    def adopt(self, allowance: Allowance) -> None:
        """Take another allowance; what has been used stays used."""
        self.allowance = allowance
        self.is_current = True
        self.requests = self._window(self.requests, allowance.requests_per_minute)
        self.tokens = self._window(self.tokens, allowance.tokens_per_minute)

    def refusal(self, tokens: int) -> tuple[str, float] | None:
        """Say what is in the way of one more, and for how many seconds; None for nothing."""
        concurrency = self.allowance.concurrency
        if concurrency is not None and self.taken >= concurrency:
            return "concurrency", _PLACE_WAIT_S
        if self.requests is not None and (wait_s := self.requests.wait_s(1)):
            return "requests", wait_s
        if self.tokens is not None and (wait_s := self.tokens.wait_s(tokens)):
            return "tokens", wait_s
        return None

    def enter(self, tokens: int) -> int:
        """Let one in; give the instant that `leave` wants to know."""
        self.taken += 1
        instant = 0
        if self.requests is not None:
            instant = self.requests.take(1)
        if self.tokens is not None:
            instant = self.tokens.take(min(tokens, self.tokens.limit))
        return instant

    def leave(self, instant: int, tokens: int, real_tokens: int | None, requests: int = 1) -> None:
        """Let it go.

        Args:
            instant: what `enter` gave.
            tokens: what `enter` was told.
            real_tokens: what it has been, None where nobody knows.
            requests: how many it has been.
        """
        self.taken -= 1
        if self.requests is not None and requests != 1:
            self.requests.settle(instant, 1, requests)
        if self.tokens is not None and real_tokens is not None:
            self.tokens.settle(instant, min(tokens, self.tokens.limit), real_tokens)

    def describe(self, reason: str) -> str:
        """Say a limit in words."""
        allowance = self.allowance
        return {
            "concurrency": f"{allowance.concurrency or PREFERRED_CONCURRENCY} at the same time",
            "requests": f"{allowance.requests_per_minute} requests a minute",
            "tokens": f"{allowance.tokens_per_minute} tokens a minute",
        }[reason]

    def _window(self, present: Window | None, limit: int | None) -> Window | None:
        if limit is None:
            return None
        if present is None:
            return Window(limit, self._clock)
        present.limit = limit
        return present


class Ticket:
    """One request's way in and out; `leave` must be called at its end, whatever the end is.

    Attributes:
        expected_tokens: of prompt and answer together; None until somebody needs to know.
        has_begun: whether it has been let through to a provider.
    """

    __slots__ = (
        "_admission", "_asked", "_has_place", "_instant", "_is_in", "_key", "_provider",
        "_provider_instant", "_tries", "expected_tokens", "has_begun",
    )  # fmt: skip

    def __init__(self, admission: Admission, key: Gate) -> None:
        self._admission = admission
        self._key = key
        self._provider: Gate | None = None
        self._asked: tuple[Mapping[str, Any], Sequence[str]] = ({}, ())
        self.expected_tokens: int | None = None
        self._instant = self._provider_instant = self._tries = 0
        self._is_in = self._has_place = self.has_begun = False

    @property
    def allowance(self) -> Allowance:
        """What the key may have."""
        return self._key.allowance

    def enter(self, body: Mapping[str, Any], answer_fields: Sequence[str]) -> bool:
        """Come in; False where a place must be waited for with `queue`.

        Args:
            body: what is asked.
            answer_fields: where it says how long the answer may be.

        Raises:
            Fault: a limit of the key is reached.
        """
        admission, key = self._admission, self._key
        self._asked = body, answer_fields
        tokens = self._tokens_for(key)
        refusal = key.refusal(tokens)
        if refusal is not None:
            raise self._refused(*refusal)
        self._instant = key.enter(tokens)
        self._is_in = True
        if admission.places.take():
            self._has_place = True
            admission.tally.calls += 1
            return True
        return False

    async def queue(self, timeout_s: float | None) -> None:
        """Wait for a place, `timeout_s` at most.

        Raises:
            Fault: there is none.
        """
        admission, tally = self._admission, self._admission.tally
        tally.queued += 1
        try:
            await admission.places.wait(timeout_s)
        except NoPlaceError as exc:
            fault = admission.overloaded(exc.reason)
            fault.fields = self.fields()
            raise fault from None
        finally:
            tally.queued -= 1
        self._has_place = True
        tally.calls += 1

    def choose(self, provider: str, row: Mapping[str, Any], *, is_last: bool = True) -> None:
        """Go to a provider, which is the plan's last or not, and away from an earlier one.

        Raises:
            RateLimitError: it is at its limit.
        """
        if self._provider is not None:
            self.drop(0)
        gate = self._admission.gate_of(provider, row)
        tokens = self._tokens_for(gate)
        refusal = gate.refusal(tokens)
        if refusal is None and gate.is_busy and not is_last:
            refusal = "concurrency", _PLACE_WAIT_S
        if refusal is not None:
            reason, wait_s = refusal
            self._admission.tally.rejected[f"provider_{reason}"] += 1
            msg = f"{provider}: the gateway's limit of {gate.describe(reason)} is reached."
            raise RateLimitError(
                msg, provider=provider, code=LOCAL_LIMIT, retryable=False, retry_after_s=wait_s
            )
        self._provider = gate
        self._provider_instant = gate.enter(tokens)
        self.has_begun = True

    def drop(self, tries: int) -> None:
        """Come back from the provider after so many tries that have failed; twice is fine."""
        gate, self._provider = self._provider, None
        if gate is not None:
            self._tries += tries
            gate.leave(self._provider_instant, self.expected_tokens or 0, 0, tries)

    def leave(self, record: Record) -> None:
        """Go; what was expected is settled with what it has been.  Twice is fine."""
        if not self._is_in:
            return
        self._is_in = False
        admission = self._admission
        if self._has_place:
            admission.tally.calls -= 1
            admission.places.give_back()
        usage = record.usage
        real: int | None = None
        if usage is not None:
            real = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        elif record.outcome not in _PARTLY_ANSWERED or not self.has_begun:
            real = 0
        tokens = self.expected_tokens or 0
        self._key.leave(self._instant, tokens, real, 1 if self.has_begun else 0)
        provider, self._provider = self._provider, None
        if provider is not None:
            tries = max(1, record.attempts - self._tries)
            provider.leave(self._provider_instant, tokens, real, tries)

    def fields(self) -> str:
        """Give the header lines that say how much of the key's limits is left; "" where it has none.

        In OpenAI's form (Rate limits in headers, read 2026-11-21).
        """
        key = self._key
        text = "" if key.requests is None else _fields_of("requests", key.requests)
        return text if key.tokens is None else text + _fields_of("tokens", key.tokens)

    def _tokens_for(self, gate: Gate) -> int:
        """Give the expected tokens, which are counted only where they are limited."""
        if gate.tokens is None:
            return 0
        if self.expected_tokens is None:
            self.expected_tokens = expected_tokens(*self._asked)
        return self.expected_tokens

    def _refused(self, reason: str, wait_s: float) -> Fault:
        self._admission.tally.rejected[f"key_{reason}"] += 1
        wait_s = ceil(wait_s)
        message = (
            f"The limit of this key is reached: {self._key.describe(reason)}. "
            f"Try again in {wait_s} s."
        )
        return Fault(
            429, "rate_limit", "rate_limit_exceeded", message,
            retry_after_s=wait_s, fields=self.fields(),
        )  # fmt: skip


def _fields_of(kind: str, window: Window) -> str:
    return (
        f"x-ratelimit-limit-{kind}: {window.limit}\r\n"
        f"x-ratelimit-remaining-{kind}: {window.remaining}\r\n"
        f"x-ratelimit-reset-{kind}: {_duration(window.reset_s)}\r\n"
    )


def _duration(seconds: float) -> str:
    """Write a duration as Go does: 1m2s."""
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
