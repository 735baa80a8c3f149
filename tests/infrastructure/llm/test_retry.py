"""Retries, on a clock that moves only when something sleeps on it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    InvalidRequestError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    OverloadedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
)
from faultmaven.infrastructure.llm.retry import (
    SYSTEM_CLOCK,
    FakeClock,
    RetryBudget,
    RetryPolicy,
    apply_retry_headers,
    call_with_retries,
    parse_retry_after,
    should_retry,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class Upstream:
    """Fails with the given errors, one a call, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_call_with_retries_returns_after_two_failures():
    upstream, clock = Upstream(ServerError("a"), LLMConnectionError("b")), FakeClock()

    assert await call_with_retries(upstream, policy=RetryPolicy(), clock=clock) == "answer"
    assert upstream.calls == 3
    assert clock.sleeps[0] <= 0.5
    assert clock.sleeps[1] <= 1.0


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (ServerError("x", status=503), 3),
        (OverloadedError("x", status=529), 3),
        (LLMConnectionError("x", code="connect_refused"), 3),
        (LLMConnectionError("x", code="tls_error", retryable=False), 1),
        (LLMConnectionError("x", code="dns_failure"), 2),
        (ResponseFormatError("x", code="protocol_error"), 2),
        (ResponseFormatError("x", code="invalid_json"), 2),
        (RateLimitError("x", status=429), 3),
        (RateLimitError("x", status=429, retry_after_s=61), 1),
        (BudgetExceededError("x", status=429, retryable=True), 1),
        (AuthenticationError("x", status=401), 1),
        (InvalidRequestError("x", status=400), 1),
        (LLMTimeoutError("x"), 3),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.code or value.status}" if isinstance(value, LLMError) else str(value),
)  # fmt: skip
async def test_call_with_retries_tries_as_often_as_the_error_allows(error, calls):
    upstream = Upstream(*[error] * 9)

    with pytest.raises(type(error)) as caught:
        await call_with_retries(upstream, policy=RetryPolicy(), clock=FakeClock())

    assert caught.value is error
    assert upstream.calls == calls


async def test_call_with_retries_lets_other_exceptions_through():
    upstream = Upstream(KeyError("bug"))

    with pytest.raises(KeyError):
        await call_with_retries(upstream, policy=RetryPolicy(), clock=FakeClock())

    assert upstream.calls == 1


async def test_call_with_retries_never_sleeps_past_the_deadline():
    clock, upstream = FakeClock(), Upstream(*[RateLimitError("x", retry_after_s=2.0)] * 3)

    with pytest.raises(RateLimitError):
        await call_with_retries(
            upstream, policy=RetryPolicy(), clock=clock, deadline=clock.monotonic() + 3
        )

    assert upstream.calls == 2
    assert len(clock.sleeps) == 1


@pytest.mark.parametrize(("left_s", "calls"), [(30, 1), (70, 2)])
async def test_call_with_retries_repeats_a_timeout_only_if_it_fits(left_s, calls):
    clock, upstream = FakeClock(), Upstream(LLMTimeoutError("x"))

    with suppress(LLMTimeoutError):
        await call_with_retries(
            upstream,
            policy=RetryPolicy(),
            clock=clock,
            deadline=clock.monotonic() + left_s,
            attempt_timeout_s=60,
        )

    assert upstream.calls == calls


async def test_call_with_retries_tells_of_each_failure():
    told: list[tuple[str, bool]] = []
    upstream = Upstream(*[ServerError("x")] * 3)

    with pytest.raises(ServerError):
        await call_with_retries(
            upstream,
            policy=RetryPolicy(),
            clock=FakeClock(),
            on_failure=lambda error, delay_s: told.append((error.message, delay_s is None)),
        )

    assert told == [("x", False), ("x", False), ("x", True)]


async def test_call_with_retries_gives_its_place_back_when_cancelled():
    budget = RetryBudget(capacity=0, always=1)

    class Forever(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(
        call_with_retries(
            Upstream(ServerError("x")), policy=RetryPolicy(), budget=budget, clock=Forever()
        )
    )
    await asyncio.sleep(0)
    assert not budget.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert budget.acquire()


async def test_a_concurrent_storm_costs_ten_retries_and_three():
    budget, calls = RetryBudget(), 0
    gate = asyncio.Event()

    async def down() -> str:
        nonlocal calls
        calls += 1
        raise ServerError("down")

    class Gated(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await gate.wait()

    tasks = [
        asyncio.ensure_future(
            call_with_retries(
                down, policy=RetryPolicy(max_retries=1), budget=budget, clock=Gated()
            )
        )
        for _ in range(100)
    ]
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(result, ServerError) for result in results)
    assert 100 < calls <= 113


def test_retry_budget_refunds_successes():
    budget = RetryBudget(capacity=10, always=0)

    assert budget.acquire()
    assert not budget.acquire()
    for _ in range(20):
        budget.succeeded()

    assert budget.tokens == 10


@pytest.mark.parametrize(
    ("error", "retry", "low", "high"),
    [
        (ServerError("x"), 0, 0, 0.5),
        (ServerError("x"), 1, 0, 1.0),
        (ServerError("x"), 9, 0, 8.0),
        (OverloadedError("x"), 0, 0, 1.0),
        (ServerError("x", status=429), 1, 0, 2.0),
        (RateLimitError("x", retry_after_s=10), 0, 10, 11),
        (RateLimitError("x", retry_after_s=-1), 0, 0, 1.0),
        (RateLimitError("x", retry_after_s=float("inf")), 0, 0, 1.0),
    ],
)
def test_policy_draws_from_the_whole_range(error, retry, low, high):
    policy = RetryPolicy(max_retries=10)

    assert policy.delay_s(error, retry, lambda: 0.0) == pytest.approx(low)
    assert policy.delay_s(error, retry, lambda: 1.0) == pytest.approx(high)


def test_policy_survives_any_number_of_retries():
    assert RetryPolicy(max_retries=10**6).delay_s(ServerError("x"), 10**5, lambda: 1.0) == 8.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "300", "retry-after": "9"}, 0.3),
        ({"retry-after-ms": "abc", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1e9"}, 1e9),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:05 GMT"}, 5.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:59:55 GMT"}, None),
        ({"retry-after": "Saturday, 21-Nov-26 12:00:05 GMT"}, 5.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:05 -0000"}, 5.0),
        ({"retry-after": "Sat, 99 Nov 2026 12:00:05 GMT"}, None),
    ],
    ids=str,
)
def test_parse_retry_after(headers, expected):
    assert parse_retry_after(headers, NOW) == expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_parse_retry_after_takes_any_text(milliseconds, value):
    delay_s = parse_retry_after({"retry-after-ms": milliseconds, "retry-after": value})

    assert delay_s is None or 0 < delay_s < float("inf")


@given(st.integers(min_value=1, max_value=10**6))
def test_parse_retry_after_reads_any_http_date(seconds):
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert parse_retry_after({"retry-after": date}, NOW) == seconds


@pytest.mark.parametrize(
    ("error", "advice", "expected"),
    [
        (ServerError("x", status=503), None, True),
        (ServerError("x", status=503), "false", False),
        (InvalidRequestError("x", status=400), "true", True),
        (InvalidRequestError("x", status=400), None, False),
        (InvalidRequestError("x", status=408), None, True),
        (ServerError("x", status=409), None, False),
        (ServerError("x", status=409), "true", True),
        (ServerError("x", status=503), "maybe", True),
        (BudgetExceededError("x", status=429), "true", False),
    ],
)
def test_should_retry(error, advice, expected):
    headers = {} if advice is None else {"x-should-retry": advice}

    assert should_retry(error, headers) is expected
    assert apply_retry_headers(error, headers).retryable is expected


def test_apply_retry_headers_keeps_the_bodys_delay():
    error = RateLimitError("x", retry_after_s=3)

    assert apply_retry_headers(error, {}).retry_after_s == 3
    assert apply_retry_headers(error, {"retry-after": "7"}).retry_after_s == 7


async def test_system_clock_is_the_loops():
    before = SYSTEM_CLOCK.monotonic()

    await SYSTEM_CLOCK.sleep(0)

    assert SYSTEM_CLOCK.monotonic() >= before
