"""When a circuit opens, who is let through, and how it closes."""

from __future__ import annotations

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.circuit import (
    UNWATCHED,
    Circuit,
    CircuitPolicy,
    Shared,
    is_failure,
)
from faultmaven.infrastructure.llm.retry import FakeClock

BROKEN = errors.ServerError("broken", status=500)
LIMITED = errors.RateLimitError("slower", status=429, retry_after_s=20.0)
BAD_KEY = errors.AuthenticationError("no", status=401)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def circuit(clock: FakeClock) -> Circuit:
    return make_circuit(clock)


def make_circuit(clock: FakeClock, draw: float = 0.5, **figures: float) -> Circuit:
    return Circuit(Shared(CircuitPolicy(**figures), clock.monotonic, lambda: draw), "acme", "m")


def fail(circuit: Circuit, times: int = 1, error: errors.LLMError = BROKEN) -> None:
    for _ in range(times):
        circuit.watch().failed(error)


def opened(clock: FakeClock, **figures: float) -> Circuit:
    circuit = make_circuit(clock, **figures)
    fail(circuit, 5)
    return circuit


def test_five_failures_in_a_row_open_it(circuit: Circuit) -> None:
    fail(circuit, 4)
    assert circuit.enter() is not None

    fail(circuit)
    assert circuit.state == "open"
    assert circuit.enter() is None


def test_a_success_ends_the_row(circuit: Circuit) -> None:
    for _ in range(4):
        fail(circuit, 4)
        circuit.watch().succeeded()

    assert circuit.state == "closed"


def test_half_of_twenty_within_the_window_open_it(circuit: Circuit) -> None:
    for _ in range(9):
        circuit.watch().succeeded()
        fail(circuit)
    assert circuit.state == "closed"

    circuit.watch().succeeded()
    fail(circuit)
    assert circuit.state == "open"


def test_what_is_older_than_the_window_counts_no_longer(
    circuit: Circuit, clock: FakeClock
) -> None:
    for _ in range(40):
        circuit.watch().succeeded()
        fail(circuit)
        clock.advance(3.5)

    assert circuit.state == "closed"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (errors.LLMConnectionError("x"), True),
        (errors.LLMTimeoutError("x", code="headers_timeout"), True),
        (errors.ServerError("x", status=500), True),
        (errors.OverloadedError("x", status=529), True),
        (errors.ResponseFormatError("x", code="invalid_json"), True),
        (errors.StreamInterruptedError("x", code="stream_incomplete"), True),
        (errors.LLMTimeoutError("x", status=408), False),
        (errors.InvalidRequestError("x", status=400), False),
        (errors.AuthenticationError("x", status=401), False),
        (errors.ModelNotFoundError("x", status=404), False),
        (errors.RateLimitError("x", status=429), False),
        (errors.BudgetExceededError("x", status=429), False),
        (errors.ContentFilterError("x"), False),
        (errors.ConfigurationError("x"), False),
        (errors.ResponseFormatError("x", code="schema_mismatch"), False),
        (errors.ResponseFormatError("x", code="response_too_large"), False),
        (errors.LLMTimeoutError("x", code="pool_timeout"), False),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'code', value)}",
)
def test_what_counts_as_a_failure(error: errors.LLMError, counts: bool) -> None:
    assert is_failure(error) is counts


@pytest.mark.parametrize(("waited_s", "state"), [(0.1, "closed"), (11.0, "open")])
def test_a_callers_short_deadline_is_no_failure(
    circuit: Circuit, clock: FakeClock, waited_s: float, state: str
) -> None:
    late = errors.LLMTimeoutError("late", code="deadline_exceeded")
    for _ in range(5):
        passage = circuit.watch()
        clock.advance(waited_s)
        passage.failed(late)

    assert circuit.state == state


def test_it_stays_open_longer_each_time_and_never_too_long(clock: FakeClock) -> None:
    circuit = make_circuit(clock)
    fail(circuit, 5)
    lengths = []
    for _ in range(12):
        lengths.append(circuit.show().until_s)
        clock.advance(lengths[-1])
        probe = circuit.enter()
        assert probe is not None
        probe.failed(BROKEN)

    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


@pytest.mark.parametrize(("draw", "open_s"), [(0.0, 27.0), (0.5, 30.0), (1.0, 33.0)])
def test_the_time_is_a_tenth_longer_or_shorter(
    clock: FakeClock, draw: float, open_s: float
) -> None:
    circuit = make_circuit(clock, draw)
    fail(circuit, 5)

    assert circuit.show().until_s == pytest.approx(open_s)


def test_long_after_it_closed_opening_is_the_first_time_again(clock: FakeClock) -> None:
    circuit = opened(clock)
    for wait_s, expected_s in ((0.0, 60.0), (301.0, 30.0)):
        clock.advance(100.0)
        for _ in range(2):
            probe = circuit.enter()
            assert probe is not None
            probe.succeeded()
        assert circuit.state == "closed"
        clock.advance(wait_s)
        fail(circuit, 5)
        assert circuit.show().until_s == expected_s


def test_one_probe_at_a_time_and_two_successes_close_it(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(30.0)

    first = circuit.enter()
    assert first is not None
    assert circuit.enter() is None
    first.succeeded()
    second = circuit.enter()
    assert second is not None
    assert circuit.enter() is None
    second.succeeded()
    assert circuit.state == "closed"


def test_a_probe_that_fails_opens_it_again(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(30.0)
    probe = circuit.enter()
    assert probe is not None
    probe.failed(BROKEN)

    assert circuit.show().state == "open"
    assert circuit.show().until_s == 60.0


@pytest.mark.parametrize("error", [errors.InvalidRequestError("x", status=400), None])
def test_a_probe_that_says_nothing_makes_room(
    clock: FakeClock, error: errors.LLMError | None
) -> None:
    circuit = opened(clock)
    clock.advance(30.0)
    probe = circuit.enter()
    assert probe is not None
    if error is None:
        probe.released()
    else:
        probe.failed(error)

    assert circuit.state == "half_open"
    assert circuit.enter() is not None


def test_a_stream_that_begins_is_enough_for_a_probe(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(30.0)
    first = circuit.enter()
    assert first is not None
    first.began()
    second = circuit.enter()
    assert second is not None
    second.began()
    first.succeeded()
    second.succeeded()

    assert circuit.state == "closed"


def test_a_probes_stream_that_breaks_opens_it_again(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(30.0)
    probe = circuit.enter()
    assert probe is not None
    probe.began()
    probe.failed(errors.StreamInterruptedError("cut"))

    assert circuit.state == "open"


def test_a_probe_that_is_never_heard_of_again_is_given_up(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(30.0)
    assert circuit.enter() is not None
    clock.advance(300.0)

    assert circuit.enter() is not None


def test_calls_from_before_it_opened_do_not_count(clock: FakeClock) -> None:
    circuit = make_circuit(clock)
    late = [circuit.watch() for _ in range(10)]
    fail(circuit, 5)
    clock.advance(30.0)
    assert circuit.enter() is not None
    late[0].failed(BROKEN)
    late[1].succeeded()
    late[2].succeeded()

    assert circuit.state == "half_open"


def test_a_limit_keeps_calls_away_for_its_time_only(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit, error=LIMITED)
    assert circuit.enter() is None
    assert isinstance(circuit.refusal(), errors.RateLimitError)
    assert circuit.refusal().retry_after_s == 20.0

    clock.advance(20.0)
    assert circuit.enter() is not None
    assert circuit.state == "closed"


def test_a_limit_keeps_calls_away_for_a_minute_at_most(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit, error=errors.RateLimitError("much slower", retry_after_s=1e9))
    clock.advance(60.0)

    assert circuit.enter() is not None


def test_a_limit_without_a_time_keeps_nobody_away(circuit: Circuit) -> None:
    fail(circuit, 10, errors.RateLimitError("slower", status=429))

    assert circuit.enter() is not None


def test_what_was_on_its_way_before_a_limit_does_not_end_it(
    circuit: Circuit, clock: FakeClock
) -> None:
    before = circuit.watch()
    fail(circuit, error=LIMITED)
    before.succeeded()
    assert circuit.enter() is None

    clock.advance(1.0)
    trial = circuit.enter_anyway()
    assert trial is not None
    trial.succeeded()
    assert circuit.enter() is not None


def test_a_limit_that_is_over_at_once_keeps_nobody_away(circuit: Circuit) -> None:
    fail(circuit, error=errors.RateLimitError("slower", retry_after_s=0.01))

    assert circuit.enter() is not None


def test_a_refused_key_yields_but_is_asked_where_there_is_nobody_else(circuit: Circuit) -> None:
    fail(circuit, error=BAD_KEY)

    assert circuit.enter() is None
    assert circuit.is_key_cooling
    assert circuit.enter_anyway() is not None
    assert circuit.enter_anyway() is not None


def test_a_call_with_nobody_else_to_ask_passes_once_a_second(clock: FakeClock) -> None:
    circuit = opened(clock)
    assert circuit.enter_anyway() is None
    clock.advance(1.0)
    trial = circuit.enter_anyway()
    assert trial is not None
    clock.advance(1.0)
    assert circuit.enter_anyway() is None, "one trial is on its way"
    trial.failed(BROKEN)

    assert circuit.show().until_s == 28.0, "a trial that fails makes it no longer"
    assert circuit.enter_anyway() is not None


def test_trials_that_succeed_close_it_before_its_time(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(1.0)
    trial = circuit.enter_anyway()
    assert trial is not None
    trial.succeeded()
    probe = circuit.enter()
    assert probe is not None
    probe.succeeded()

    assert circuit.state == "closed"


def test_who_may_not_be_kept_away_passes_and_counts_only_as_the_probe(clock: FakeClock) -> None:
    circuit = opened(clock)
    for _ in range(3):
        circuit.watch().succeeded()
    assert circuit.state == "open"
    clock.advance(30.0)
    for _ in range(2):
        circuit.watch().succeeded()

    assert circuit.state == "closed"


def test_the_refusal_says_when_to_come_back(clock: FakeClock) -> None:
    error = opened(clock).refusal()

    assert isinstance(error, errors.OverloadedError)
    assert (error.code, error.retry_after_s, error.retryable) == ("circuit_open", 30.0, True)
    assert "ServerError" in error.message


def test_it_tells_how_it_stands(clock: FakeClock) -> None:
    circuit = opened(clock)
    clock.advance(12.0)
    shown = circuit.show()
    clock.advance(18.0)

    assert (shown.state, shown.since_s, shown.until_s) == ("open", 12.0, 18.0)
    assert (shown.opens, shown.last_error) == (1, "ServerError")
    assert circuit.show().state == "half_open"


def test_calls_that_nobody_counts_count_for_nothing() -> None:
    for _ in range(10):
        UNWATCHED.failed(BROKEN)
        UNWATCHED.failed(LIMITED)
    UNWATCHED.succeeded()
    UNWATCHED.began()

    assert UNWATCHED.circuit.is_clear
    assert not UNWATCHED.is_stopped


class CircuitMachine(RuleBasedStateMachine):
    """Calls of every kind, in every order, with time passing between."""

    @initialize(draw=st.floats(0, 1), successes=st.integers(1, 3))
    def begin(self, draw: float, successes: int) -> None:
        self.clock = FakeClock()
        self.circuit = make_circuit(self.clock, draw, successes=successes)
        self.calls: list = []
        self.probes: list = []
        self.has_failed = False

    def let_through(self, passage) -> None:
        if passage is None:
            return
        if self.circuit.state == "closed":
            self.calls.append(passage)
        else:
            self.probes.append((passage, self.clock.monotonic()))

    @rule()
    def enter(self) -> None:
        self.let_through(self.circuit.enter())

    @rule()
    def enter_anyway(self) -> None:
        self.let_through(self.circuit.enter_anyway())

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), end=st.sampled_from(["ok", "began", "broken", "refused", "left"]))
    def end_call(self, data, end: str) -> None:
        self.tell(self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1))), end)

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), end=st.sampled_from(["ok", "began", "broken", "refused", "left"]))
    def end_probe(self, data, end: str) -> None:
        passage, _ = self.probes.pop(data.draw(st.integers(0, len(self.probes) - 1)))
        if end == "began":
            self.calls.append(passage)
        self.tell(passage, end)

    def tell(self, passage, end: str) -> None:
        if end == "ok":
            passage.succeeded()
        elif end == "began":
            passage.began()
        elif end == "broken":
            self.has_failed = True
            passage.failed(BROKEN)
        elif end == "refused":
            passage.failed(errors.InvalidRequestError("x", status=422))
        passage.released()

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 29.0, 35.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def never_two_probes(self) -> None:
        if not hasattr(self, "circuit"):
            return
        live = [p for p, since in self.probes if p.epoch == self.circuit.epoch]
        live = [
            p for p, since in self.probes if p in live and self.clock.monotonic() - since < 300.0
        ]
        assert len(live) <= 1

    @invariant()
    def never_open_without_a_failure(self) -> None:
        if hasattr(self, "circuit") and not self.has_failed:
            assert self.circuit.state == "closed"

    def teardown(self) -> None:
        """Whatever has happened: when the provider is well again, it is asked again."""
        if not hasattr(self, "circuit"):
            return
        self.clock.advance(331.0)
        for _ in range(3):
            passage = self.circuit.enter()
            assert passage is not None
            passage.succeeded()
        assert self.circuit.state == "closed"


CircuitMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
test_circuit_machine = CircuitMachine.TestCase
