"""Embeddings in every dialect but OpenAI's."""

import pytest

from faultmaven.infrastructure.llm.errors import (
    InvalidRequestError,
    LLMError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.wire.embeddings import EMBEDDING_DIALECTS

from .dialect_checks import recorded

VECTORS = [[0.5, -1.0], [0, 2.5]]
RECORDED = {
    "cohere-embed": "cohere",
    "gemini-embeddings": "gemini",
    "vertex-predict-embeddings": "vertex",
    "bedrock-embeddings": "titan",
    "hf-embeddings": "huggingface",
    "ollama-embed": "ollama",
}
REQUESTS = {
    "cohere": {
        "model": "m", "texts": ["A", "B"], "input_type": "search_document",
        "embedding_types": ["float"], "output_dimension": 8,
    },
    "gemini": {
        "requests": [
            {"model": "models/m", "content": {"parts": [{"text": t}]}, "outputDimensionality": 8}
            for t in ("A", "B")
        ]
    },
    "huggingface": {"inputs": ["A", "B"]},
    "ollama": {"model": "m", "input": ["A", "B"], "dimensions": 8},
    "vertex": {
        "instances": [{"content": "A"}, {"content": "B"}], "parameters": {"outputDimensionality": 8},
    },
}  # fmt: skip
ANSWERS = [
    ("cohere", {"embeddings": {"float": VECTORS}, "meta": {"billed_units": {"input_tokens": 7}}}, 7),
    ("cohere", {"embeddings": VECTORS}, None),
    ("gemini", {"embeddings": [{"values": v} for v in VECTORS], "usageMetadata": {"promptTokenCount": 7}}, 7),
    ("huggingface", VECTORS, None),
    ("ollama", {"embeddings": VECTORS, "prompt_eval_count": 7}, 7),
    ("vertex", {"predictions": [{"embeddings": {"values": v, "statistics": {"token_count": 3}}} for v in VECTORS]}, 6),
]  # fmt: skip


@pytest.mark.parametrize(("recording", "facts"), recorded(*RECORDED, kind="embeddings"))
def test_vectors_match_recording(recording, facts):
    dialect = EMBEDDING_DIALECTS[RECORDED[recording["dialect"]]]

    response = dialect.from_wire(recording["response"]["body"], "asked")

    assert {len(v) for v in response.vectors} == {facts["dimensions"]}
    assert (len(response.vectors), response.input_tokens) == (
        facts["count"],
        facts["input_tokens"],
    )
    assert response.model == (facts["model"] or "asked")


@pytest.mark.parametrize(("name", "expected"), REQUESTS.items())
def test_request_carries_texts_and_length(name, expected):
    assert EMBEDDING_DIALECTS[name].to_wire(["A", "B"], "m", 8) == expected


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_request_without_length_leaves_it_to_the_model(name):
    assert "8" not in str(EMBEDDING_DIALECTS[name].to_wire(["A", "B"], "m", None))


@pytest.mark.parametrize(("name", "body", "tokens"), ANSWERS)
def test_response_gives_vectors_and_tokens(name, body, tokens):
    response = EMBEDDING_DIALECTS[name].from_wire(body, "m")

    assert (response.vectors, response.model, response.input_tokens) == (VECTORS, "m", tokens)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("huggingface", [1.0, 2]),
        ("ollama", {"embedding": [1.0, 2], "model": "m"}),
        ("gemini", {"embedding": {"values": [1.0, 2]}}),
        ("titan", {"embedding": [1.0, 2]}),
    ],
)
def test_response_to_one_text_is_one_vector(name, body):
    assert EMBEDDING_DIALECTS[name].from_wire(body, "m").vectors == [[1.0, 2]]


@pytest.mark.parametrize("name", sorted(EMBEDDING_DIALECTS))
@pytest.mark.parametrize(
    "body",
    [None, {}, [], {"embeddings": [["1"]]}, {"embedding": "x"}, [[True]], {"predictions": 5}],
    ids=repr,
)
def test_response_of_wrong_shape_is_an_error(name, body):
    with pytest.raises(ResponseFormatError):
        EMBEDDING_DIALECTS[name].from_wire(body, "m")


@pytest.mark.parametrize("name", sorted(EMBEDDING_DIALECTS))
def test_response_that_is_an_error_raises_it(name):
    with pytest.raises(LLMError, match="bad day"):
        EMBEDDING_DIALECTS[name].from_wire({"error": {"message": "bad day"}}, "m")


def test_titan_takes_one_text_a_call():
    titan = EMBEDDING_DIALECTS["titan"]

    assert titan.to_wire(["A"], "m", 256) == {"inputText": "A", "dimensions": 256}
    with pytest.raises(InvalidRequestError, match="one text"):
        titan.to_wire(["A", "B"], "m", None)
