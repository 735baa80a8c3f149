"""Sums that hosts state with their answers."""

import pytest

from faultmaven.infrastructure.llm.wire.reported_cost import reported_cost_usd


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": 0.00018, "is_byok": False}, 0.00018),
        ({"cost": 0.00022}, 0.00022),
        ({"cost": 1}, 1.0),
        ({"cost": 0, "is_byok": False}, 0.0),
        ({"cost": 0}, None),
        ({"cost": 0.00001, "is_byok": True}, None),
        ({"cost": {"currency": "USD", "input_cost": 2e-8, "total_cost": 3e-8}}, 3e-8),
        ({"cost": {"currency": "EUR", "total_cost": 3e-8}}, None),
        ({"cost": {"diem": 0, "usd": 0.0005842}}, 0.0005842),
        ({"cost_in_usd_ticks": 3_515_000}, 0.0003515),
        ({"cost_in_usd_ticks": 0}, None),
        ({"cost": "0.1"}, None),
        ({"cost": True}, None),
        ({"cost": -1}, None),
        ({"cost": float("nan")}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
    ids=str,
)
def test_a_stated_sum_is_read(usage, usd):
    assert (
        reported_cost_usd(usage) == pytest.approx(usd) if usd else reported_cost_usd(usage) == usd
    )
