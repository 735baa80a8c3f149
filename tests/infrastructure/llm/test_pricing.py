from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.catalog import Catalog, ModelInfo, Peak, Price, Rates, Tier
from faultmaven.infrastructure.llm.pricing import UNKNOWN, Cost, price_call, rates_of
from faultmaven.infrastructure.llm.types import Usage

RATES = Rates(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
MILLION = 1_000_000

counts = st.one_of(st.none(), st.integers(-10, 10**9))


def model(*prices: Price, mode: str = "chat") -> ModelInfo:
    return ModelInfo("acme", "big", mode=mode, prices=prices)  # type: ignore[arg-type]  # str


def test_price_of_the_groq_example():
    info = Catalog().find("groq", "llama-3.3-70b-versatile")

    cost = price_call(info, Usage(1000, 500))

    assert cost.usd == pytest.approx(0.000985, abs=1e-9)
    assert cost.status == "estimated"


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        pytest.param(Usage(MILLION, 0), 3.0, id="input"),
        pytest.param(Usage(0, MILLION), 15.0, id="output"),
        pytest.param(Usage(MILLION, 0, cache_read_tokens=MILLION), 0.3, id="all read"),
        pytest.param(Usage(MILLION, 0, cache_write_tokens=MILLION), 3.75, id="all written"),
        pytest.param(Usage(MILLION, 0, 600_000, 200_000), 0.18 + 0.75 + 0.6, id="split"),
        pytest.param(Usage(0, MILLION, reasoning_tokens=MILLION), 15.0, id="reasoning inside"),
        pytest.param(
            Usage(10, 0, cache_read_tokens=MILLION), 10 * 0.3e-6, id="more read than sent"
        ),
        pytest.param(Usage(0, 0), 0.0, id="nothing"),
    ],
)
def test_cached_tokens_have_their_own_rates(usage, usd):
    assert price_call(RATES, usage).usd == pytest.approx(usd)


def test_a_missing_cache_rate_is_the_input_rate():
    usage = Usage(MILLION, 0, 400_000, 400_000)

    assert price_call(Rates(2.0, 4.0), usage).usd == pytest.approx(2.0)
    assert price_call(Rates(2.0, 4.0, cache_read=0.0), usage).usd == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("priced", "usage"),
    [
        pytest.param(None, Usage(1, 1), id="no model"),
        pytest.param(model(), Usage(1, 1), id="no price"),
        pytest.param(model(Price(Rates())), Usage(1, 1), id="no rates"),
        pytest.param(Rates(input=1.0), Usage(1, 1), id="no output rate"),
        pytest.param(Rates(output=1.0), Usage(1, 1), id="no input rate"),
        pytest.param(RATES, Usage(), id="no usage"),
        pytest.param(RATES, Usage(input_tokens=1), id="no output tokens"),
        pytest.param(RATES, Usage(output_tokens=1), id="no input tokens"),
    ],
)
def test_what_is_unknown_costs_none_and_never_zero(priced, usage):
    assert price_call(priced, usage) == UNKNOWN
    assert Cost(None, "unknown") == UNKNOWN


def test_a_model_listed_as_free_costs_nothing():
    assert price_call(Rates(0.0, 0.0), Usage(5, 5)).usd == 0.0


def test_an_embedding_needs_no_output_tokens():
    info = model(Price(Rates(input=0.02)), mode="embedding")

    assert price_call(info, Usage(input_tokens=MILLION)).usd == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [(200_000, 0.2), (200_001, 0.400002), (500_001, 2.000004), (0, 0.0)],
    ids=["at the border", "above the first", "above the second", "none"],
)
def test_a_long_prompt_moves_the_whole_call_to_a_tier(tokens, usd):
    tiers = (Tier(200_000, Rates(2.0, 4.0)), Tier(500_000, Rates(4.0, 8.0)))
    info = model(Price(Rates(1.0, 2.0), tiers))

    assert price_call(info, Usage(tokens, 0)).usd == pytest.approx(usd)


def test_a_tier_without_cache_rates_raises_them_as_its_input_rate():
    info = model(Price(RATES, (Tier(10, Rates(6.0, 30.0)),)))

    assert rates_of(info, 11) == Rates(6.0, 30.0, 0.6, 7.5)


PEAK = Peak(2.0, ((1, 4), (6, 10)), frozenset({1, 2, 3, 4, 5}), frozenset({"2026-10-01"}))


@pytest.mark.parametrize(
    ("at", "usd"),
    [
        pytest.param(None, 1.0, id="no time"),
        pytest.param(datetime(2026, 11, 23, 1, 0, tzinfo=UTC), 2.0, id="start"),
        pytest.param(datetime(2026, 11, 23, 3, 59, 59, tzinfo=UTC), 2.0, id="last second"),
        pytest.param(datetime(2026, 11, 23, 4, 0, tzinfo=UTC), 1.0, id="end"),
        pytest.param(datetime(2026, 11, 23, 6, 30, tzinfo=UTC), 2.0, id="second span"),
        pytest.param(datetime(2026, 11, 22, 6, 30, tzinfo=UTC), 1.0, id="Sunday"),
        pytest.param(datetime(2026, 10, 1, 6, 30, tzinfo=UTC), 1.0, id="holiday"),
        pytest.param(datetime(2026, 11, 23, 6, 30), 2.0, id="no zone is UTC"),  # noqa: DTZ001  # the case
        pytest.param(
            datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8))),
            2.0,
            id="09:30 in Beijing",
        ),
    ],
)
def test_peak_hours_multiply_every_rate(at, usd):
    info = model(Price(Rates(1.0, 1.0), peak=PEAK))

    assert price_call(info, Usage(MILLION, 0), at).usd == pytest.approx(usd)


def test_deepseek_costs_twice_as_much_at_peak():
    info = Catalog().find("deepseek", "deepseek-flash")
    usage = Usage(MILLION, MILLION)

    calm = price_call(info, usage, datetime(2026, 11, 23, 12, tzinfo=UTC)).usd
    peak = price_call(info, usage, datetime(2026, 11, 23, 8, tzinfo=UTC)).usd

    assert calm == pytest.approx(0.75)
    assert peak == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("day", "usd"),
    [(31, 1.0), (1, 2.0), (None, 2.0)],
    ids=["the day before", "the first day", "no day"],
)
def test_prices_hold_between_their_dates(day, usd):
    info = model(
        Price(Rates(1.0, 1.0), ends="2026-02-01"), Price(Rates(2.0, 2.0), starts="2026-02-01")
    )
    at = None if day is None else datetime(2026, 1 if day == 31 else 2, day, tzinfo=UTC)

    assert price_call(info, Usage(MILLION, 0), at).usd == pytest.approx(usd)


def test_a_day_that_no_price_covers_is_unknown():
    info = model(Price(Rates(1.0, 1.0), starts="2026-02-01"))

    assert price_call(info, Usage(1, 1), datetime(2026, 1, 1, tzinfo=UTC)) == UNKNOWN


@given(counts, counts, counts, counts)
def test_a_cost_is_never_negative_and_never_above_the_dearest_way(sent, answered, read, written):
    usd = price_call(RATES, Usage(sent, answered, read, written)).usd

    if usd is not None:
        dearest = (max(sent, 0) * 3.75 + max(answered, 0) * 15.0) / MILLION
        assert 0.0 <= usd <= dearest * (1 + 1e-9)
