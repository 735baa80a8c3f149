"""Retries: which errors, how long to wait, how many for all calls together; one owner, `call_with_retries`."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from faultmaven.infrastructure.llm.errors import (
    BudgetExceededError,
    LLMError,
    LLMTimeoutError,
    OverloadedError,
    RateLimitError,
    ResponseFormatError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# What is rarely cured by waiting is tried again once, beside every answer that breaks its own format:
# that may be one bad machine behind a balancer.
_ONCE_MORE: Final = frozenset({"dns_failure"})
# A model that missed the schema may hit it the next time, as often as the row allows.
_AS_OFTEN_AS_ALLOWED: Final = frozenset({"schema_mismatch"})


class Clock(Protocol):
    """Time as the retry loop sees it: a monotonic instant in seconds, and waiting."""

    def monotonic(self) -> float:
        """Give the instant, in seconds from an arbitrary start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's monotonic clock and the running loop's timers."""

    def monotonic(self) -> float:
        """Give `time.monotonic()`, which is also the event loop's time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Final[Clock] = SystemClock()


class FakeClock:
    """A clock for tests: it moves only when told, or when something sleeps on it.

    Attributes:
        sleeps: the seconds of every sleep, in order.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        """Give the instant it was moved to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the instant forward."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Move forward at once, after letting other tasks run."""
        self.sleeps.append(seconds)
        await asyncio.sleep(0)
        self.advance(seconds)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which waits one provider is tried again.

    Attributes:
        max_retries: tries after the first.
        max_protocol_retries: of those, how many may follow an answer that broke its format.
        base_s: the first wait is drawn from 0 to this, and it doubles with each retry.
        throttle_base_s: the same where the provider said that it is too busy (429, 529).
        cap_s: no wait of ours is longer.
        server_delay_cap_s: a provider that asks for more than this is given up instead.
        server_delay_jitter: share of the provider's delay that is added at most.
    """

    max_retries: int = 2
    max_protocol_retries: int = 1
    base_s: float = 0.5
    throttle_base_s: float = 1.0
    cap_s: float = 8.0
    server_delay_cap_s: float = 60.0
    server_delay_jitter: float = 0.1

    def delay_s(
        self, error: LLMError, retry: int, draw: Callable[[], float] = random.random
    ) -> float | None:
        """Give the seconds to wait before retry number `retry` (from 0), None to give up.

        `draw` gives a number from 0 to 1.
        """
        if retry >= self._retries_for(error):
            return None
        asked_s = error.retry_after_s
        if asked_s is not None and math.isfinite(asked_s) and asked_s > 0:
            if asked_s > self.server_delay_cap_s:
                return None
            return asked_s * (1 + self.server_delay_jitter * draw())
        base_s = self.throttle_base_s if _is_throttling(error) else self.base_s
        # The exponent is bounded so that no number of retries overflows a float.
        return draw() * min(self.cap_s, base_s * 2.0 ** min(retry, 32))

    def _retries_for(self, error: LLMError) -> int:
        if not error.retryable or isinstance(error, BudgetExceededError):
            return 0
        breaks_format = isinstance(error, ResponseFormatError)
        if error.code in _ONCE_MORE or (breaks_format and error.code not in _AS_OFTEN_AS_ALLOWED):
            return min(self.max_retries, self.max_protocol_retries)
        return self.max_retries


class RetryBudget:
    """Bounds the retries of all calls with one provider and key, so that an outage is not multiplied.

    A token bucket: a retry costs 10 of 100 tokens and a success gives 1 back, so retries settle at a
    tenth of the successes.  A few concurrent retries are always allowed, so that a quiet provider that
    recovers is not given up.
    """

    __slots__ = ("_always", "_capacity", "_cost", "_in_flight", "_refund", "_tokens")

    def __init__(
        self, capacity: float = 100.0, cost: float = 10.0, refund: float = 1.0, always: int = 3
    ) -> None:
        self._capacity = capacity
        self._cost = cost
        self._refund = refund
        self._always = always
        self._tokens = capacity
        self._in_flight = 0

    @property
    def tokens(self) -> float:
        """What is left in the bucket."""
        return self._tokens

    def acquire(self) -> bool:
        """Take the right to one retry, wait included; the caller must `release` it after the try."""
        if self._tokens >= self._cost:
            self._tokens -= self._cost
        elif self._in_flight >= self._always:
            return False
        self._in_flight += 1
        return True

    def release(self) -> None:
        """Give the place of one retry back."""
        self._in_flight -= 1

    def succeeded(self) -> None:
        """Count a call that succeeded, retried or not."""
        if self._tokens < self._capacity:
            self._tokens = min(self._capacity, self._tokens + self._refund)


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read how many seconds the provider asks to wait: `retry-after-ms`, else `Retry-After`.

    Args:
        headers: case-insensitive, or with names in lower case.
        now: the instant that an HTTP date is compared with, None for the present one.

    Returns:
        A finite number above 0, however large; None where nothing usable is said (absent, zero, negative,
        infinite, in the past, not a number or date), which means "your own backoff".
    """
    milliseconds = _positive(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000 or None
    value = headers.get("retry-after")
    seconds = _positive(value)
    if seconds is not None or value is None:
        return seconds
    return _seconds_until(value, now or datetime.now(UTC))


def should_retry(error: LLMError, headers: Mapping[str, str] | None = None) -> bool:
    """Say whether a request that got this answer may be sent again.

    `x-should-retry` decides where the provider sends it, except that an exhausted quota is never
    retried; then 408 is retried and 409 is not; then the error's own kind decides.
    """
    if isinstance(error, BudgetExceededError):
        return False
    advice = headers.get("x-should-retry", "").strip().lower() if headers else ""
    if advice in {"true", "false"}:
        return advice == "true"
    if error.status == 408:
        return True
    return error.retryable and error.status != 409


def apply_retry_headers(
    error: LLMError, headers: Mapping[str, str], now: datetime | None = None
) -> LLMError:
    """Set `retryable` and `retry_after_s` from the answer's headers; a delay in the body stays if none."""
    error.retryable = should_retry(error, headers)
    delay_s = parse_retry_after(headers, now)
    if delay_s is not None:
        error.retry_after_s = delay_s
    return error


async def call_with_retries(
    attempt: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    budget: RetryBudget | None = None,
    deadline: float | None = None,
    attempt_timeout_s: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
    on_failure: Callable[[LLMError, float | None], None] | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> T:
    """Await `attempt()` until it succeeds, its error is final, or retries, budget or time are spent.

    Args:
        attempt: makes one try.  Only an `LLMError` is retried; anything else passes through.
        policy: how often and how long.
        budget: the retries of all calls with this provider and key together, None for no bound.
        deadline: instant of `clock` that no wait may reach.
        attempt_timeout_s: a try that timed out is repeated only if this much is left before the deadline.
        clock: the time.
        on_failure: told of every failed try, with the seconds until the next one or None if that was it.
        may_go_on: asked before the wait for another try and after it.

    Raises:
        LLMError: the last try's error.
    """
    budget = budget or _UNBOUNDED
    retry = 0
    held = False
    try:
        while True:
            try:
                result = await attempt()
            except LLMError as error:
                if held:
                    budget.release()
                    held = False
                delay_s = policy.delay_s(error, retry)
                delay_s = delay_s if may_go_on() else None
                if delay_s is not None and deadline is not None:
                    needed_s = delay_s + _next_try_s(error, attempt_timeout_s)
                    delay_s = delay_s if clock.monotonic() + needed_s < deadline else None
                held = delay_s is not None and budget.acquire()
                if on_failure is not None:
                    on_failure(error, delay_s if held else None)
                if delay_s is None or not held:
                    raise
                failure = error
            else:
                budget.succeeded()
                return result
            await clock.sleep(delay_s)
            if not may_go_on():
                raise failure
            del failure  # its traceback holds this frame
            retry += 1
    finally:
        if held:
            budget.release()


_UNBOUNDED: Final = RetryBudget(cost=0.0)


def _next_try_s(error: LLMError, attempt_timeout_s: float | None) -> float:
    """Give the time that a repetition must be expected to take: what timed out once may do so again."""
    return (attempt_timeout_s or 0.0) if isinstance(error, LLMTimeoutError) else 0.0


def _is_throttling(error: LLMError) -> bool:
    return isinstance(error, RateLimitError | OverloadedError) or error.status in (429, 529)


def _positive(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        instant = parsedate_to_datetime(date)
        if instant.tzinfo is None:
            # "-0000" and dates without a zone; HTTP dates are always GMT (RFC 9110, 5.6.7).
            instant = instant.replace(tzinfo=UTC)
        seconds = (instant - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None
