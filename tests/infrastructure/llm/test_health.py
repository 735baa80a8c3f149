"""All circuits together: found again, shown, and never too many."""

from __future__ import annotations

from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.health import CircuitPolicy, Circuits
from faultmaven.infrastructure.llm.retry import FakeClock


def test_each_model_of_each_provider_has_its_own() -> None:
    circuits = Circuits()
    one = circuits.find("acme", "a")

    assert circuits.find("acme", "a") is one
    assert circuits.find("acme", "b") is not one
    assert circuits.find("other", "a") is not one


def test_states_are_shown_in_order_and_of_one_provider() -> None:
    circuits = Circuits()
    for provider, model in (("b", "m"), ("a", "n"), ("a", "m")):
        circuits.find(provider, model).watch().succeeded()

    assert [(s.provider, s.model) for s in circuits.states()] == [
        ("a", "m"), ("a", "n"), ("b", "m"),
    ]  # fmt: skip
    assert [s.model for s in circuits.states("b")] == ["m"]


def test_invented_models_do_not_fill_the_memory() -> None:
    clock = FakeClock()
    circuits = Circuits(CircuitPolicy(max_circuits=10), now=clock.monotonic)
    broken = circuits.find("acme", "broken")
    for _ in range(5):
        broken.watch().failed(errors.ServerError("x"))
    for number in range(100):
        circuits.find("acme", f"invented-{number}").watch().succeeded()
    assert len(circuits) == 10

    clock.advance(60.0)
    circuits.find("acme", "new").watch().succeeded()
    assert len(circuits) == 2
    assert circuits.find("acme", "broken") is broken


def test_what_has_been_open_for_too_long_is_forgotten_where_room_is_wanted() -> None:
    clock = FakeClock()
    circuits = Circuits(CircuitPolicy(max_circuits=1), now=clock.monotonic)
    for _ in range(5):
        circuits.find("acme", "gone").watch().failed(errors.ServerError("x"))
    clock.advance(400.0)
    circuits.find("acme", "new")

    assert [s.model for s in circuits.states()] == ["new"]


def test_a_section_of_the_file_gives_the_figures() -> None:
    policy = CircuitPolicy.of({"failures": 3, "open_s": 1.5})

    assert (policy.failures, policy.open_s, policy.max_open_s) == (3, 1.5, 300.0)


def test_renewed_circuits_are_closed_and_have_the_new_figures() -> None:
    circuits = Circuits()
    for _ in range(5):
        circuits.find("acme", "m").watch().failed(errors.ServerError("x"))
    circuits.renew(CircuitPolicy(failures=1))
    assert circuits.find("acme", "m").enter() is not None

    circuits.find("acme", "m").watch().failed(errors.ServerError("x"))
    assert circuits.find("acme", "m").enter() is None
