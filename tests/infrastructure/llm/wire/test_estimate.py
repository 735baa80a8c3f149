"""Token counts where nobody has counted, and how reported ones correct them."""

import pytest

from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire.estimate import (
    TokenRatio,
    estimate_prompt_tokens,
    has_attachments,
)


def test_ratio_follows_what_is_reported():
    ratio = TokenRatio()

    for _ in range(3):
        ratio.add(1000, 500)

    assert ratio.correct(1000) == 500
    ratio.add(1000, 1500)
    assert 500 < ratio.correct(1000) < 1000


@pytest.mark.parametrize(("reported", "value"), [(10, 0.25), (10**9, 4.0), (0, 1.0), (-5, 1.0)])
def test_ratio_does_not_believe_a_broken_counter(reported, value):
    ratio = TokenRatio()

    ratio.add(1000, reported)

    assert ratio.value == value


def test_ratio_looks_at_few_calls_once_it_is_settled():
    ratio = TokenRatio()
    samples = 0
    for _ in range(168):
        if ratio.wants_sample(10_000):
            ratio.add(10, 10)
            samples += 1

    assert samples == 18
    assert not TokenRatio().wants_sample(100)


def test_attachments_are_told_from_text():
    text = {"type": "text", "text": "Hi"}
    image = {"type": "image_url", "image_url": {"url": "x"}}

    assert not has_attachments(LLMRequest([{"role": "user", "content": [text]}]))
    assert has_attachments(LLMRequest([{"role": "user", "content": [text, image]}]))
    assert estimate_prompt_tokens(LLMRequest([{"role": "user", "content": "x" * 40}])) == 14
