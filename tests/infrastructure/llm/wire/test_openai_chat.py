"""OpenAI chat: what is sent, and what every shape of answer is read as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import (
    InvalidRequestError,
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.openai_chat import (
    is_strict_schema,
    request_to_wire,
    response_from_wire,
)
from faultmaven.infrastructure.llm.wire.openai_chat_stream import OpenAIChatStreamReader

HELLO = [LLMMessage(role="user", content="Hi")]


def answer(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "r1", "model": "m1", "choices": [choice]}


def sse(*packets: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(p)}\n\n" for p in packets]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "model": "m1",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def read(body: bytes, size: int = 0, **options: Any) -> tuple[Any, OpenAIChatStreamReader]:
    reader = OpenAIChatStreamReader(**options)
    size = size or len(body)
    chunks = [c for i in range(0, len(body), size) for c in reader.feed(body[i : i + size])]
    return assemble(chunks + reader.finish()), reader


def test_request_sends_only_what_is_set() -> None:
    body = request_to_wire(LLMRequest(HELLO, temperature=None), "m1")

    assert body == {"model": "m1", "messages": [{"role": "user", "content": "Hi"}]}


def test_request_keeps_zero_and_passes_further_fields() -> None:
    request = LLMRequest(HELLO, temperature=0, max_tokens=0, extra={"top_k": 5})

    body = request_to_wire(request, "m1")

    assert (body["temperature"], body["max_tokens"], body["top_k"]) == (0, 0, 5)


def test_request_puts_the_system_prompt_first() -> None:
    body = request_to_wire(LLMRequest(HELLO, system_prompt="Be brief"), "m1")

    assert body["messages"][0] == {"role": "system", "content": "Be brief"}


@pytest.mark.parametrize(
    ("stream_usage", "asked"), [("option", True), ("always", False), ("none", False)]
)
def test_stream_asks_for_usage_where_the_host_wants_to_be_asked(
    stream_usage: str, asked: bool
) -> None:
    body = request_to_wire(
        LLMRequest(HELLO, stream=True), "m1", options={"stream_usage": stream_usage}
    )

    assert body["stream"] is True
    assert ("stream_options" in body) is asked


@pytest.mark.parametrize(
    ("style", "sent"),
    [
        ("reasoning_effort", {"reasoning_effort": "low"}),
        ("reasoning.effort", {"reasoning": {"effort": "low"}}),
        ("thinking.type", {"thinking": {"type": "enabled"}}),
        ("enable_thinking", {"enable_thinking": True}),
    ],
)
def test_reasoning_effort_is_said_as_the_host_wants_it(style: str, sent: dict[str, Any]) -> None:
    options = {"reasoning": {"request": style}}

    body = request_to_wire(LLMRequest(HELLO, reasoning_effort="low"), "m1", options=options)

    assert body.items() >= sent.items()


@pytest.mark.parametrize(
    ("replay", "kept"),
    [
        (None, {}),
        ("reasoning_content", {"reasoning_content": "thought"}),
        (
            "reasoning_details",
            {"reasoning_details": [{"type": "reasoning.text", "text": "thought"}]},
        ),
    ],
)
def test_reasoning_goes_back_only_in_the_field_that_the_host_reads(
    replay: str | None, kept: dict[str, Any]
) -> None:
    details = [{"type": "reasoning.text", "text": "thought"}]
    turn = LLMMessage(
        role="assistant", content="ok", reasoning="thought", reasoning_details=details
    )

    body = request_to_wire(LLMRequest([turn]), "m1", options={"reasoning": {"replay": replay}})

    assert body["messages"] == [{"role": "assistant", "content": "ok", **kept}]


def test_schema_is_strict_only_where_it_can_be() -> None:
    closed = {
        "type": "object",
        "properties": {"a": {}},
        "required": ["a"],
        "additionalProperties": False,
    }

    assert is_strict_schema(closed)
    assert not is_strict_schema({"type": "object", "properties": {"a": {}}})
    assert not is_strict_schema({"anyOf": [closed, {"type": "object"}]})


def test_text_parts_are_joined_for_hosts_that_take_strings() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    body = request_to_wire(
        LLMRequest([LLMMessage(role="user", content=parts)]), "m1", options={"content": "string"}
    )

    assert body["messages"][0]["content"] == "ab"


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("plain", "plain", ""),
        (None, "", ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab", ""),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                {"type": "text", "text": "a"},
            ],
            "a",
            "t",
        ),
        ({"x": 1}, '{"x": 1}', ""),
    ],
)
def test_content_is_read_in_every_shape(content: Any, text: str, reasoning: str) -> None:
    response = response_from_wire(answer(content=content))

    assert (response.content, response.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    "body", [answer(content=5), {"choices": []}, {}, [1], "text", {"choices": "x"}]
)
def test_what_is_no_answer_is_an_error_and_never_text(body: Any) -> None:
    with pytest.raises(ResponseFormatError):
        response_from_wire(body)


def test_an_error_under_status_200_is_that_error() -> None:
    body = {"error": {"message": "bad tool", "type": "invalid_request_error", "code": None}}

    with pytest.raises(InvalidRequestError, match="bad tool"):
        response_from_wire(body)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}, {"x": 1}),
        ({"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}, {"x": 1}),
        ({"id": "a", "function": {"name": "f", "arguments": None}}, {}),
        ({"id": "a", "function": {"name": "f"}}, {}),
        ({"id": "a", "function": {"name": "f", "arguments": '{"x":'}}, None),
    ],
)
def test_tool_arguments_are_read_in_every_shape(call: dict[str, Any], expected: Any) -> None:
    response = response_from_wire(answer(content=None, tool_calls=[call]))

    assert response.tool_calls[0].arguments == expected
    assert response.finish_reason == "tool_calls"


def test_tool_call_without_an_id_gets_one() -> None:
    response = response_from_wire(
        answer(tool_calls=[{"function": {"name": "f", "arguments": "{}"}}])
    )

    assert response.tool_calls[0].id


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}, (5, 7)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (5, 10),
        ),
        ({"prompt_tokens": "5", "completion_tokens": 7}, (None, None)),
        ({"prompt_tokens": -5, "completion_tokens": 7}, (None, None)),
        ({"prompt_tokens": 1e30, "completion_tokens": 7}, (None, None)),
        (None, (None, None)),
    ],
)
def test_usage_is_believed_only_where_it_can_be_true(usage: Any, counts: Any) -> None:
    response = response_from_wire({**answer(content="x"), "usage": usage})

    assert (response.input_tokens, response.output_tokens) == counts


STORY = sse(
    delta(role="assistant", content=""),
    delta(reasoning_content="hm "),
    delta(content="Grüße, "),
    delta(content="Welt 🌍"),
    delta(
        tool_calls=[
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
        ]
    ),
    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}]),
    delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
    delta("tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
)


@settings(deadline=None)
@given(size=st.integers(1, len(STORY)))
def test_any_split_of_the_bytes_gives_the_same_answer(size: int) -> None:
    response, reader = read(STORY, size)

    assert reader.done
    assert (response.content, response.reasoning) == ("Grüße, Welt 🌍", "hm ")
    assert [(c.id, c.name, c.arguments) for c in response.tool_calls] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {}),
    ]
    assert (response.input_tokens, response.output_tokens, response.finish_reason) == (
        3,
        4,
        "tool_calls",
    )


@pytest.mark.parametrize(
    "pieces",
    [
        [
            [
                {"function": {"name": "f", "arguments": "{}"}},
                {"function": {"name": "g", "arguments": "{}"}},
            ]
        ],
        [
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
            [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}],
        ],
        [
            [{"id": "a", "function": {"name": "f", "arguments": ""}}],
            [{"id": "a", "function": {"arguments": "{}"}}],
            [{"id": "b", "function": {"name": "g", "arguments": None}}],
        ],
        [
            [{"index": 0, "function": {"arguments": "{"}}],
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}}],
            [{"index": 1, "id": "", "function": {"name": "g", "arguments": "{}"}}],
        ],
    ],
    ids=["no-index", "index-always-0", "told-apart-by-id", "arguments-first"],
)
def test_streamed_tool_calls_are_told_apart(pieces: list[list[dict[str, Any]]]) -> None:
    response, reader = read(sse(*[delta(tool_calls=p) for p in pieces], delta("stop")))

    assert reader.error is None
    assert [(c.name, c.arguments) for c in response.tool_calls] == [("f", {}), ("g", {})]
    assert response.finish_reason == "tool_calls"


def test_only_the_last_chunk_closes_the_answer() -> None:
    reader = OpenAIChatStreamReader()

    chunks = reader.feed(STORY)

    assert [c.finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert (last.finish_reason, last.model, last.response_id) == ("tool_calls", "m1", "r1")
    assert last.usage is not None


def test_stream_without_done_is_complete_if_it_has_finished() -> None:
    response, reader = read(sse(delta(content="a"), delta("stop"), done=False))

    assert reader.error is None
    assert response.content == "a"


@pytest.mark.parametrize("done", [True, False])
def test_stream_without_a_finish_reason_is_interrupted(done: bool) -> None:
    response, reader = read(sse(delta(content="a"), done=done))

    assert isinstance(reader.error, StreamInterruptedError)
    assert response.content == "a"


def test_finish_reason_may_be_optional() -> None:
    _, reader = read(sse(delta(content="a")), finish_reason_optional=True)

    assert reader.error is None
    assert reader.done


def test_nothing_counts_after_done() -> None:
    response, reader = read(sse(delta(content="a"), delta("stop")) + sse(delta(content="b")))

    assert reader.done
    assert response.content == "a"


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b"data: {nope\n\n", ResponseFormatError),
        (b"data: [1]\n\n", ResponseFormatError),
        (sse(delta(content=5), done=False), ResponseFormatError),
        (sse({"error": {"message": "boom", "type": "server_error"}}, done=False), LLMError),
        (b'event: error\ndata: {"message": "boom"}\n\n', LLMError),
    ],
)
def test_a_bad_event_ends_the_stream_and_keeps_what_came(bad: bytes, kind: type[LLMError]) -> None:
    response, reader = read(sse(delta(content="a"), done=False) + bad + sse(delta(content="b")))

    assert isinstance(reader.error, kind)
    assert response.content == "a"


def test_empty_choices_roles_and_further_choices_are_no_text() -> None:
    other = {"id": "r1", "choices": [{"index": 1, "delta": {"content": "other"}}]}
    body = sse(
        {"choices": []},
        delta(role="assistant"),
        delta(content=None),
        other,
        delta(content="a"),
        delta("stop"),
    )

    response, reader = read(body)

    assert reader.error is None
    assert response.content == "a"
