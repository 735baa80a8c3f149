from __future__ import annotations

from faultmaven.gateway.board import Board
from faultmaven.gateway.meter import MAX_MODELS, Meter, merged
from faultmaven.gateway.record import Record
from faultmaven.infrastructure.llm.types import Usage


def record(model="m", **fields):
    made = Record("r", "openai_chat", "key1", 0.0, provider="p", model=model, attempts=1, **fields)
    made.duration_s = made.duration_s or 0.02
    return made


def test_numbers_of_workers_add_up():
    first, second = Meter(), Meter()
    board = Board(2)
    for meter in (first, second):
        meter.finish(record(usage=Usage(3, 4), cost_usd=0.5, first_s=0.2))
        meter.note_oddity("p", "content_type")
    first.in_flight, second.in_flight = 1, 2
    board.write(1, second.to_bytes())

    text = merged(first, board.others(0)).expose().decode()

    assert (
        'faultmaven_requests_total{front="openai_chat",model="m",outcome="ok",provider="p"} 2.0'
        in text
    )
    assert 'faultmaven_tokens_total{kind="output",model="m",provider="p"} 8.0' in text
    assert 'faultmaven_cost_usd_total{model="m",provider="p"} 1.0' in text
    assert "faultmaven_in_flight 3.0" in text
    assert 'faultmaven_upstream_oddities_total{kind="content_type",provider="p"} 2.0' in text
    assert 'le="0.025"' in text


def test_models_that_clients_invent_do_not_fill_the_memory():
    meter = Meter()
    for number in range(MAX_MODELS * 3):
        meter.finish(record(model=f"m{number}"))

    text = meter.expose().decode()

    assert text.count("faultmaven_requests_total{") == MAX_MODELS + 1
    assert 'model="other",outcome="ok",provider="p"} 400.0' in text


def test_names_are_escaped_in_the_text():
    meter = Meter()
    meter.finish(record(model='a"b\\c\nd'))

    assert 'model="a\\"b\\\\c\\nd"' in meter.expose().decode()
