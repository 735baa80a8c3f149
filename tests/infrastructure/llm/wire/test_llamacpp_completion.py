"""llama.cpp's raw completion on the wire."""

import json

import pytest
from hypothesis import given

from faultmaven.infrastructure.llm.errors import LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, Usage
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.llamacpp_completion import (
    LlamaCppStreamReader,
    messages_to_wire,
    request_to_wire,
    response_from_wire,
)
from tests.splits import cut_places, split

END = {
    "content": "",
    "stop": True,
    "model": "m",
    "stop_type": "limit",
    "tokens_predicted": 3,
    "tokens_evaluated": 5,
}
EVENTS = [{"content": "Grüße", "stop": False}, {"content": " an 🌍", "stop": False}, END]
STREAM = b"".join(b"data: " + json.dumps(e, ensure_ascii=False).encode() + b"\n\n" for e in EVENTS)


def ask(**options):
    return LLMRequest([LLMMessage(role="user", content="Hi")], **options)


def test_request_says_only_what_is_asked_for():
    body = request_to_wire(ask(temperature=None, extra={"top_k": 5}), "P")

    assert body == {"prompt": "P", "stream": False, "top_k": 5}


def test_request_carries_every_option():
    schema = {"type": "object"}
    request = ask(
        temperature=0,
        max_tokens=9,
        top_p=0.5,
        seed=1,
        stop="END",
        output_schema=schema,
        stream=True,
    )

    assert request_to_wire(request) == {
        "prompt": "",
        "stream": True,
        "n_predict": 9,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 1,
        "stop": ["END"],
        "json_schema": schema,
    }


def test_messages_are_text_turns():
    request = LLMRequest(
        [
            LLMMessage(role="developer", content="Be brief."),
            LLMMessage(role="user", content=[{"type": "text", "text": "Hi"}]),
        ],
        system_prompt="Be kind.",
    )

    assert messages_to_wire(request) == [
        {"role": "system", "content": "Be kind."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_response_is_read_whole():
    response = response_from_wire({**END, "content": "Hi", "stop_type": "eos"})

    assert (response.content, response.model, response.finish_reason) == ("Hi", "m", "stop")
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (5, 3, 8)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"error": {"message": "no", "code": 500}}, LLMError, id="error"),
        pytest.param({}, ResponseFormatError, id="nothing"),
        pytest.param({"content": 5}, ResponseFormatError, id="wrong type"),
        pytest.param([], ResponseFormatError, id="array"),
    ],
)
def test_response_that_is_none_is_an_error(body, error):
    with pytest.raises(error):
        response_from_wire(body)


@given(cut_places)
def test_stream_reads_the_same_for_any_split(cuts):
    reader = LlamaCppStreamReader()
    chunks = [chunk for part in split(STREAM, cuts) for chunk in reader.feed(part)]
    chunks += reader.finish()

    response = assemble(chunks)
    assert (response.content, response.finish_reason) == ("Grüße an 🌍", "length")
    assert (reader.done, reader.error) == (True, None)
    assert chunks[-1].usage == Usage(5, 3)


def test_stream_that_ends_early_says_so():
    reader = LlamaCppStreamReader()
    reader.feed(STREAM[:60])
    reader.finish()

    assert reader.error.code == "stream_incomplete"


def test_stream_error_ends_it():
    reader = LlamaCppStreamReader()
    reader.feed(b'data: {"error":{"message":"out of slots","code":503}}\n\n')

    assert "out of slots" in reader.error.message
