"""Plain text generation in the words of every family."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.text_generation import TextStreamReader, response_from_wire
from tests.splits import cut_places

from .dialect_checks import (
    assert_facts,
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)

DIALECTS = ("openai-completions", "watsonx-generation", "hf-inference")


def as_events(pieces):
    return "".join(f"data: {json.dumps(p, ensure_ascii=False)}\n\n" for p in pieces).encode()


COMPLETIONS = [
    {"id": "c", "model": "m", "choices": [{"text": "Grü", "finish_reason": None}]},
    {"id": "c", "model": "m", "choices": [{"text": "ezi", "finish_reason": "stop"}]},
    {
        "id": "c",
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    },
]
WATSONX = [
    {"model_id": "m", "results": [{"generated_text": t, "generated_token_count": n, "input_token_count": i, "stop_reason": r}]}
    for t, n, i, r in (("", 0, 3, "not_finished"), ("Grü", 2, 0, "not_finished"), ("ezi", 4, 0, "eos_token"))
]  # fmt: skip
STREAMS = pytest.mark.parametrize("pieces", [COMPLETIONS, WATSONX], ids=["completions", "watsonx"])


@pytest.mark.parametrize(("recording", "facts"), recorded(*DIALECTS, streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


@pytest.mark.parametrize(("recording", "facts"), recorded(*DIALECTS, streamed=True))
@settings(max_examples=6, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(TextStreamReader, stream_bytes(recording), facts, cuts)


@pytest.mark.parametrize(
    ("body", "finish", "tokens"),
    [
        ({"choices": [{"text": "Hi", "finish_reason": "length"}]}, "length", None),
        ({"results": [{"generated_text": "Hi", "stop_reason": "token_limit", "input_token_count": 3, "generated_token_count": 4}]}, "length", 4),
        ({"results": [{"outputText": "Hi", "completionReason": "FINISH", "tokenCount": 4.0}], "inputTextTokenCount": 3.0}, "stop", 4),
        ({"generation": "Hi", "stop_reason": "stop", "prompt_token_count": 3, "generation_token_count": 4}, "stop", 4),
        ({"outputs": [{"text": "Hi", "stop_reason": "length"}]}, "length", None),
        ({"generations": [{"text": "Hi", "finish_reason": "COMPLETE"}]}, "stop", None),
        ({"completion": "Hi", "stop_reason": "stop_sequence"}, "stop", None),
        ([{"generated_text": "Hi"}], None, None),
    ],
    ids=["openai", "watsonx", "titan", "llama", "mistral", "cohere", "claude", "hugging face"],
)  # fmt: skip
def test_response_is_read_by_its_shape(body, finish, tokens):
    response = response_from_wire(body)

    assert (response.content, response.finish_reason, response.output_tokens) == (
        "Hi",
        finish,
        tokens,
    )


@pytest.mark.parametrize("body", [None, [], [5], {}, {"choices": []}, {"text": 5}], ids=repr)
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_response_that_is_an_error_raises_it():
    with pytest.raises(LLMError, match="bad day"):
        response_from_wire({"error": "bad day"})


@STREAMS
@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(pieces, cuts):
    whole, parts = TextStreamReader(), TextStreamReader()
    data = as_events(pieces) + b"data: [DONE]\n\n"

    assert read_in_pieces(parts, data, cuts) == read_whole(whole, data)
    assert state_of(parts) == state_of(whole)


@STREAMS
def test_stream_assembles_to_the_answer(pieces):
    reader = TextStreamReader()
    chunks = reader.feed(as_events(pieces))

    assert reader.done
    assert assemble(chunks).content == "Grüezi"
    last = chunks[-1]
    assert (last.finish_reason, last.model) == ("stop", "m")
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 4)


def test_stream_without_counts_ends_with_done():
    reader = TextStreamReader()
    chunks = reader.feed(as_events(COMPLETIONS[:2]) + b"data: [DONE]\n\n")

    assert reader.done
    assert chunks[-1].usage.output_tokens is None


@STREAMS
def test_stream_that_stops_early_is_interrupted(pieces):
    reader = TextStreamReader()
    read_whole(reader, as_events(pieces[:1]))

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize("data", [b"{", b"5", b'{"text": 5}', b'{"error": "bad day"}'])
def test_stream_with_failure_keeps_what_came_before(data):
    reader = TextStreamReader()
    chunks = read_whole(reader, as_events(COMPLETIONS[:1]) + b"data: " + data + b"\n\n")

    assert assemble(chunks).content == "Grü"
    assert isinstance(reader.error, LLMError)


@given(st.binary(max_size=200))
def test_stream_of_anything_never_raises(data):
    reader = TextStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None
