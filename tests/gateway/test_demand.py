from __future__ import annotations

import pytest

from faultmaven.gateway.demand import (
    TOKENS_OF_OPEN_ANSWER,
    TOKENS_PER_ATTACHMENT,
    expected_tokens,
    limit_answer,
)
from faultmaven.gateway.fronts.gemini import GeminiFront
from faultmaven.gateway.fronts.openai_chat import ChatFront

CHAT = ChatFront.answer_fields
GEMINI = GeminiFront.answer_fields
TEXT = "four letters of words make a token " * 100


def prompt(content: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}]}


def test_a_prompt_has_a_token_for_four_bytes():
    assert expected_tokens(prompt(TEXT), ()) == pytest.approx(len(TEXT) / 4, abs=10)
    assert expected_tokens(prompt("é" * 400), ()) == pytest.approx(200, abs=10)


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ({}, TOKENS_OF_OPEN_ANSWER),
        ({"max_tokens": 1000}, 1000),
        ({"max_completion_tokens": 1000}, 1000),
        ({"max_tokens": None}, TOKENS_OF_OPEN_ANSWER),
        ({"max_tokens": 1000, "n": 3}, 3000),
        ({"max_tokens": -5, "n": -1}, 0),
    ],
)
def test_an_answer_has_what_it_may_have(said, tokens):
    body = {"prompt": "x"} | said

    assert expected_tokens(body, CHAT) == pytest.approx(tokens, abs=20)


def test_an_image_is_not_counted_by_its_letters():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}

    assert expected_tokens(prompt([image]), ()) < TOKENS_PER_ATTACHMENT + 50


def test_texts_written_as_numbers_have_a_token_each():
    assert expected_tokens({"input": [[1] * 500, [2] * 500]}, ()) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    ("said", "limited"),
    [
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({"max_tokens": 50}, {"max_tokens": 50}),
        ({"max_completion_tokens": 500, "max_tokens": 7}, {"max_completion_tokens": 100, "max_tokens": 7}),
        ({}, {}),
        ({"max_tokens": None}, {"max_tokens": None}),
    ],
)  # fmt: skip
def test_an_answer_that_is_too_long_is_shortened(said, limited):
    body = {"model": "m"} | said
    before = dict(body)

    assert limit_answer(body, CHAT, 100, add=False) == {"model": "m"} | limited
    assert body == before


def test_a_bound_is_added_only_where_it_is_wanted():
    assert limit_answer({}, CHAT, 100, add=True) == {"max_tokens": 100}
    assert limit_answer({"max_completion_tokens": 5}, CHAT, 100, add=True) == {
        "max_completion_tokens": 5
    }
    assert limit_answer({"input": "x"}, (), 100, add=True) == {"input": "x"}


@pytest.mark.parametrize("section", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("name", ["maxOutputTokens", "max_output_tokens"])
@pytest.mark.parametrize("value", [5000, "5000", 5e3])
def test_every_spelling_of_the_nested_field_is_shortened(section, name, value):
    body = {section: {name: value, "topP": 1}}

    assert limit_answer(body, GEMINI, 100, add=True) == {section: {name: 100, "topP": 1}}


def test_a_nested_bound_is_added():
    assert limit_answer({}, GEMINI, 9, add=True) == {"generationConfig": {"maxOutputTokens": 9}}
