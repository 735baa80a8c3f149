"""The circuits of several processes as one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faultmaven.gateway.meter import Meter, merged
from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.health import Circuits

if TYPE_CHECKING:
    from prometheus_client.core import Metric


def meter_with(*broken: str) -> Meter:
    meter = Meter()
    meter.breakers.circuits = Circuits()
    meter.breakers.circuits.find("acme", "well").watch().succeeded()
    for model in broken:
        for _ in range(5):
            meter.breakers.circuits.find("acme", model).watch().failed(errors.ServerError("x"))
    return meter


def gauge_of(meter: Meter) -> dict[str, float]:
    family: Metric = next(f for f in meter.collect() if f.name == "faultmaven_circuit_open")
    return {sample.labels["model"]: sample.value for sample in family.samples}


def test_processes_with_an_open_circuit_are_added_up() -> None:
    pytest.importorskip("prometheus_client")
    one, two = meter_with("a", "b"), meter_with("b")

    assert gauge_of(merged(one, [two.to_bytes()])) == {"a": 1.0, "b": 2.0}


def test_models_that_never_failed_have_no_number() -> None:
    pytest.importorskip("prometheus_client")

    assert gauge_of(merged(meter_with(), [])) == {}


def test_a_meter_without_circuits_tells_of_none() -> None:
    assert Meter().breakers.of("acme") == []
    assert Meter().breakers.to_wire() == []
