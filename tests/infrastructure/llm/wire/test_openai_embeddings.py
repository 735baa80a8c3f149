"""OpenAI embeddings: every encoding of a vector, and what is none."""

import base64
from array import array

import pytest

from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.wire.openai_embeddings import embeddings_from_wire
from tests.infrastructure.llm.wire.dialect_checks import recorded

# A page of usage figures, which only passed by the same path.
NO_VECTORS = ("openai.openai-embeddings.embeddings.e2bf73ba7a",)


def body(*vectors, **fields):
    entries = [{"index": i, "embedding": v} for i, v in enumerate(vectors)]
    return {"data": entries, "model": "m1", **fields}


def test_vectors_come_in_the_order_of_the_texts():
    swapped = body([1.0], [2.0])
    swapped["data"].reverse()

    assert embeddings_from_wire(swapped, "m").vectors == [[1.0], [2.0]]


def test_base64_holds_floats_or_bytes():
    floats = base64.b64encode(array("f", [0.5, -2.0]).tobytes()).decode()
    numbers = base64.b64encode(array("b", [3, -4]).tobytes()).decode()

    assert embeddings_from_wire(body(floats), "m").vectors == [[0.5, -2.0]]
    assert embeddings_from_wire(body(numbers), "m", numbers="int8").vectors == [[3.0, -4.0]]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [({"prompt_tokens": 3}, 3), ({"total_tokens": 4}, 4), ({}, None), (None, None)],
)
def test_tokens_are_the_prompts(usage, tokens):
    assert embeddings_from_wire(body([1.0], usage=usage), "m").input_tokens == tokens


@pytest.mark.parametrize(
    "wrong",
    [body("not base64!"), body(base64.b64encode(b"abc").decode()), body(5), {}, [], {"data": 1}],
)
def test_what_is_no_vector_is_an_error(wrong):
    with pytest.raises(ResponseFormatError):
        embeddings_from_wire(wrong, "m")


def test_error_under_status_200_is_that_error():
    with pytest.raises(LLMError, match="no such model"):
        embeddings_from_wire({"error": {"message": "no such model"}}, "m")


@pytest.mark.parametrize(
    ("exchange", "expected"), recorded("openai-embeddings", kind="embeddings", exclude=NO_VECTORS)
)
def test_recorded_vectors_give_their_facts(exchange, expected):
    numbers = "int8" if expected.get("encoding") == "base64_int8" else "float"

    answer = embeddings_from_wire(exchange["response"]["body"], "", numbers=numbers)

    assert len(answer.vectors) == expected["count"]
    assert {len(vector) for vector in answer.vectors} == {expected["dimensions"]}
    assert answer.input_tokens == expected["input_tokens"]
    assert (answer.model or None) == expected["model"]
