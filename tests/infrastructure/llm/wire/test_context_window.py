"""Refusing prompts that cannot fit, without being wrong about those that can."""

import pytest

from faultmaven.infrastructure.llm.catalog import ModelInfo
from faultmaven.infrastructure.llm.errors import ContextLengthError
from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire.context_window import ContextWindows


def windows(limit=1000, **row):
    return ContextWindows(row, lambda model: ModelInfo("p", model, context_window=limit))


def prompt(tokens):
    return LLMRequest([{"role": "user", "content": "word" * tokens}])


@pytest.mark.parametrize("tokens", [10, 900, 1200])
def test_what_may_fit_is_sent(tokens):
    windows().check(prompt(tokens), "m", tokens * 4)


def test_what_cannot_fit_is_refused_with_both_numbers():
    with pytest.raises(ContextLengthError) as caught:
        windows().check(prompt(2000), "m", 8000)

    assert (caught.value.estimated_tokens, caught.value.limit_tokens) == (2004, 1000)


def test_a_small_body_fits_whatever_its_estimate():
    windows().check(prompt(2000), "m", 1000)


def test_the_rows_own_entry_goes_before_the_catalog():
    known = windows(models=["n", {"name": "m", "context_length": 5000}])

    known.check(prompt(2000), "m", 8000)
    with pytest.raises(ContextLengthError):
        known.check(prompt(2000), "n", 8000)


def test_without_a_window_nothing_is_refused_or_learnt():
    unknown = ContextWindows({}, lambda model: None)

    unknown.learn(prompt(2000), "m", 8000, 1)
    unknown.check(prompt(2000), "m", 8000)


def test_reported_tokens_move_the_line_for_their_model_only():
    known = windows()

    known.learn(prompt(800), "m", 3200, 400)
    known.learn(prompt(800), "m", 3200, None)
    known.check(prompt(2000), "m", 8000)
    with pytest.raises(ContextLengthError):
        known.check(prompt(2000), "n", 8000)


def test_invented_names_do_not_fill_the_memory():
    known = windows()

    for n in range(2000):
        known.check(prompt(1), f"model-{n}", 4)

    assert len(known._known) <= 512
