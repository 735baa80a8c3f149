"""Ollama's own API: requests as it wants them, answers and streams as it gives them."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import (
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import LLMRequest, make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.ollama_chat import (
    OllamaStreamReader,
    request_to_wire,
    response_from_wire,
    unsupported_parameters,
)
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

DIALECTS = ("ollama-chat", "ollama-generate")
ANSWER = {
    "model": "qwen3:4b",
    "created_at": "2026-08-05T08:10:56Z",
    "message": {"role": "assistant", "content": "Hi", "thinking": "Greet."},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 11,
    "eval_count": 3,
}
CALL = {"function": {"name": "weather", "arguments": {"city": "Zürich"}}}


def lines(*objects):
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()


def piece(message, **fields):
    return {"model": "m", "created_at": "t", "message": message, "done": False, **fields}


STREAM = lines(
    piece({"content": "", "thinking": "Hm"}),
    piece({"content": "Grü"}),
    piece({"content": "ezi"}),
    piece({"content": "", "tool_calls": [CALL]}),
    piece({"content": "", "tool_calls": [CALL]}),
    piece({"content": ""}, done=True, done_reason="stop", prompt_eval_count=5, eval_count=7),
)


@pytest.mark.parametrize(("recording", "facts"), recorded(*DIALECTS, streamed=False))
def test_response_matches_recording(recording, facts):
    assert_facts(response_from_wire(recording["response"]["body"]), facts)


@pytest.mark.parametrize(("recording", "facts"), recorded(*DIALECTS, streamed=True))
@settings(max_examples=8, deadline=None)
@given(cuts=cut_places)
def test_stream_matches_recording(recording, facts, cuts):
    assert_stream_matches(OllamaStreamReader, stream_bytes(recording), facts, cuts)


def test_response_gives_text_thinking_and_counts():
    response = response_from_wire(ANSWER)

    assert (response.content, response.reasoning) == ("Hi", "Greet.")
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (11, 3, 14)
    assert (response.finish_reason, response.usage_source) == ("stop", "reported")


def test_response_with_calls_invents_distinct_ids():
    body = {**ANSWER, "message": {"content": "", "tool_calls": [CALL, CALL]}}

    first, second = response_from_wire(body).tool_calls

    assert first.arguments == {"city": "Zürich"}
    assert first.id != second.id
    assert response_from_wire(body).finish_reason == "tool_calls"


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_response_without_answer_has_no_finish_reason(reason):
    response = response_from_wire({"model": "m", "done": True, "done_reason": reason})

    assert (response.finish_reason, response.finish_reason_raw) == (None, reason)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        None,
        {},
        {"message": 5},
        {"message": {"content": 5}},
        {"message": {"tool_calls": {}}},
    ],
    ids=repr,
)
def test_response_of_wrong_shape_is_an_error(body):
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_response_that_is_an_error_raises_it():
    with pytest.raises(LLMError, match="not found"):
        response_from_wire({"error": "model 'x' not found"})


@pytest.mark.parametrize("count", [None, "7", -1, 1e30, 2.5, True])
def test_response_with_impossible_count_has_none(count):
    response = response_from_wire({**ANSWER, "eval_count": count})

    assert (response.output_tokens, response.usage_source) == (None, "none")


@given(cuts=cut_places)
def test_stream_reads_the_same_in_any_pieces(cuts):
    whole, pieces = OllamaStreamReader(), OllamaStreamReader()

    assert read_in_pieces(pieces, STREAM, cuts) == read_whole(whole, STREAM)
    assert state_of(pieces) == state_of(whole)


def test_stream_gives_deltas_then_one_last_chunk():
    reader = OllamaStreamReader()
    chunks = read_whole(reader, STREAM)
    answer = assemble(chunks)

    assert (answer.content, answer.reasoning) == ("Grüezi", "Hm")
    assert [c.id for c in answer.tool_calls] == [c.id for c in answer.tool_calls if c.id]
    assert len({c.id for c in answer.tool_calls}) == 2
    assert (chunks[-1].finish_reason, chunks[-1].model) == ("tool_calls", "m")
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.output_tokens) == (5, 7)
    assert reader.done


def test_stream_cut_off_says_what_had_come():
    reader = OllamaStreamReader()
    read_whole(reader, STREAM[: STREAM.index(b"ezi") - 20])

    assert isinstance(reader.error, StreamInterruptedError)


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b'{"message": 5}\n', b'{"done": false}\n'])
def test_stream_with_malformed_line_keeps_what_came_before(line):
    reader = OllamaStreamReader()
    chunks = read_whole(reader, lines(piece({"content": "A"})) + line + STREAM)

    assert [c.text for c in chunks] == ["A"]
    assert isinstance(reader.error, ResponseFormatError)


def test_stream_with_error_line_ends_in_that_error():
    reader = OllamaStreamReader()
    chunks = read_whole(reader, lines(piece({"content": "A"}), {"error": "an unknown error"}))

    assert [c.text for c in chunks] == ["A"]
    assert "an unknown error" in str(reader.error.upstream_message or reader.error)


@given(st.binary(max_size=200))
def test_stream_of_anything_never_raises(data):
    reader = OllamaStreamReader()
    read_whole(reader, data)

    assert reader.done or reader.error is not None


def test_request_maps_parameters():
    request = make_request(
        "Hi",
        max_tokens=5,
        temperature=0,
        options={
            "system_prompt": "Be brief.", "stop": "END", "seed": 0, "top_p": 0.5, "top_k": 3,
            "reasoning_effort": "high", "keep_alive": "5m", "options": {"num_ctx": 4096},
        },
    )  # fmt: skip

    assert request_to_wire(request, "m") == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "stream": False,
        "options": {
            "num_predict": 5, "temperature": 0, "top_p": 0.5, "seed": 0, "stop": ["END"],
            "top_k": 3, "num_ctx": 4096,
        },
        "think": "high",
        "keep_alive": "5m",
    }  # fmt: skip


def test_request_sends_think_as_bool_to_older_servers():
    request = make_request("Hi", options={"reasoning_effort": "low"})

    body = request_to_wire(request, "m", options={"reasoning": {"request": "think.bool"}})

    assert body["think"] is True


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output_schema": {"type": "object"}}, {"type": "object"}),
        ({"response_format": {"type": "json_object"}}, "json"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}},
            {"a": 1},
        ),
        ({"response_format": {"type": "text"}}, None),
    ],
    ids=["schema", "json_object", "json_schema", "text"],
)
def test_request_maps_wanted_format(fields, expected):
    assert request_to_wire(make_request("Hi", options=fields), "m").get("format") == expected


def test_request_carries_a_tool_conversation():
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "X"}'},
    }
    request = LLMRequest(
        [
            {"role": "developer", "content": "Use tools."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            ]},
            {"role": "assistant", "content": None, "reasoning": "Ask.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[{"type": "function", "function": {"name": "weather"}}],
    )  # fmt: skip

    body = request_to_wire(request, "m")

    assert body["messages"] == [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "Look", "images": ["QUJD"]},
        {
            "role": "assistant", "content": "", "thinking": "Ask.",
            "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": {"city": "X"}}}],
        },
        {"role": "tool", "content": "sunny", "tool_name": "weather", "tool_call_id": "c1"},
    ]  # fmt: skip
    assert body["tools"] == request.tools


def test_request_refuses_address_of_image():
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    with pytest.raises(UnsupportedParameterError, match="data: URIs"):
        request_to_wire(LLMRequest([{"role": "user", "content": [part]}]), "m")


@pytest.mark.parametrize(
    ("choice", "sent", "unsupported"),
    [("auto", True, ()), ("none", False, ()), ("required", True, ("tool_choice",))],
)
def test_request_says_which_tool_choice_it_cannot_take(choice, sent, unsupported):
    tools = [{"type": "function", "function": {"name": "weather"}}]
    request = make_request("Hi", options={"tools": tools, "tool_choice": choice})

    assert ("tools" in request_to_wire(request, "m")) is sent
    assert unsupported_parameters(request) == unsupported
