"""OpenAI Responses, the client's side: answers and streams in the API's exact grammar."""

import json
from collections import defaultdict

import pytest
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.sse import SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, ToolCallDelta, Usage
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.openai_responses import response_from_wire
from faultmaven.infrastructure.llm.wire.openai_responses_encoder import (
    ResponsesStreamEncoder,
    response_to_wire,
)
from faultmaven.infrastructure.llm.wire.openai_responses_stream import ResponsesStreamReader

from .dialect_checks import read_whole

DETAILS = {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1"}
LAST = LLMChunk(
    finish_reason="stop", usage=Usage(3, 4, 1, None, 2), model="m", response_id="r"
)  # fmt: skip
CHUNKS = [
    LLMChunk(reasoning="H"),
    LLMChunk(reasoning="m", reasoning_details=[DETAILS]),
    LLMChunk(text="Grü"),
    LLMChunk(text="ezi"),
    LLMChunk(tool_calls=[ToolCallDelta.make(0, "c1", "f", '{"a"')]),
    LLMChunk(tool_calls=[ToolCallDelta.make(1, "c2", "ns__g")]),
    LLMChunk(tool_calls=[ToolCallDelta.make(0, arguments=":1}")]),
    LLMChunk(
        finish_reason="tool_calls", usage=Usage(3, 4, 1, None, 2), model="m", response_id="r"
    ),
]

chunks_of_any_kind = st.lists(
    st.one_of(
        st.builds(LLMChunk, text=st.text(min_size=1, max_size=5)),
        st.builds(LLMChunk, reasoning=st.text(min_size=1, max_size=5)),
        st.builds(LLMChunk, refusal=st.text(min_size=1, max_size=5)),
        st.just(LLMChunk(reasoning_details=[DETAILS])),
        st.builds(
            lambda index, text: LLMChunk(
                tool_calls=[ToolCallDelta.make(index, f"c{index}", "f", text)]
            ),
            st.integers(0, 2),
            st.text(max_size=5),
        ),
    ),
    max_size=12,
)


def encoded(chunks, **options):
    encoder = ResponsesStreamEncoder("r", "m", 0, **options)
    return b"".join([*(encoder.encode(chunk) for chunk in chunks), encoder.end()])


def events_of(data):
    blocks = data.decode().split("\n\n")[:-1]
    pairs = [block.split("\n") for block in blocks]
    assert all(name == f"event: {json.loads(d[6:])['type']}" for name, d in pairs)
    return [json.loads(d[6:]) for _, d in pairs]


def test_stream_has_the_events_of_the_api_in_order():
    kinds = [
        e["type"].removeprefix("response.")
        for e in events_of(encoded([LLMChunk(text="Hi"), LAST]))
    ]

    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip


def test_stream_read_back_is_the_same_answer():
    reader = ResponsesStreamReader()
    answer = assemble(read_whole(reader, encoded(CHUNKS, namespaces={"ns__g": ("ns", "g")})))

    assert (reader.done, reader.skipped, reader.error) == (True, 0, None)
    assert (answer.content, answer.reasoning) == ("Grüezi", "Hm")
    assert [(c.id, c.name, c.arguments) for c in answer.tool_calls] == [
        ("c1", "f", {"a": 1}),
        ("c2", "g", {}),
    ]
    assert (answer.input_tokens, answer.output_tokens, answer.reasoning_tokens) == (3, 4, 2)
    assert (answer.finish_reason, answer.model, answer.response_id) == (
        "tool_calls",
        "m",
        "resp_r",
    )


def test_call_of_a_tool_in_a_namespace_names_it():
    events = events_of(encoded(CHUNKS, namespaces={"ns__g": ("ns", "g")}))

    calls = [item for item in events[-1]["response"]["output"] if item["type"] == "function_call"]
    assert [(c.get("namespace"), c["name"]) for c in calls] == [(None, "f"), ("ns", "g")]


@given(chunks=chunks_of_any_kind)
@settings(deadline=None)
def test_stream_keeps_the_grammar_whatever_comes(chunks):
    events = events_of(encoded([*chunks, LAST]))

    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    opened, closed, texts = {}, {}, defaultdict(str)
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(opened)
            opened[event["output_index"]] = event["item"]["id"]
        elif kind == "response.output_item.done":
            closed[event["output_index"]] = event["item"]
        elif "item_id" in event:
            assert opened[event["output_index"]] == event["item_id"]
            assert event["output_index"] not in closed
            if kind.endswith(".delta"):
                part = event.get("content_index", event.get("summary_index"))
                texts[event["output_index"], part] += event["delta"]
    assert list(opened) == list(range(len(closed)))
    output = events[-1]["response"]["output"]
    assert [closed[index] for index in sorted(closed)] == output
    for (index, part), text in texts.items():
        item = output[index]
        said = item.get("content") or item.get("summary")
        found = item["arguments"] if part is None else said[part]
        assert text == (found if part is None else found.get("text", found.get("refusal")))


@given(chunks=chunks_of_any_kind)
@settings(deadline=None)
def test_stream_of_anything_reads_back_the_same(chunks):
    sent = assemble([*chunks, LAST])
    got = assemble(read_whole(ResponsesStreamReader(), encoded([*chunks, LAST])))

    assert (got.content, got.reasoning, got.refusal) == (
        sent.content,
        sent.reasoning,
        sent.refusal,
    )
    calls = {(c.id, c.arguments_raw or "{}") for c in sent.tool_calls}
    assert {(c.id, c.arguments_raw) for c in got.tool_calls} == calls
    assert len(got.reasoning_details) == len(sent.reasoning_details)


@pytest.mark.parametrize(
    ("reason", "kind", "details"),
    [
        ("length", "response.incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "response.incomplete", {"reason": "content_filter"}),
        ("stop", "response.completed", None),
        (None, "response.completed", None),
    ],
)
def test_stream_ends_as_the_answer_did(reason, kind, details):
    last = events_of(encoded([LLMChunk(text="A"), LLMChunk(finish_reason=reason)]))[-1]

    assert (last["type"], last["response"]["incomplete_details"]) == (kind, details)
    assert f"response.{last['response']['status']}" == kind


def test_stream_that_fails_says_so_in_both_ways():
    encoder = ResponsesStreamEncoder("r", "m", 0)
    data = encoder.encode(LLMChunk(text="A"))
    data += encoder.error({"error": {"message": "bad day", "type": "server_error", "code": "x"}})
    events = events_of(data)

    assert [e["type"] for e in events[-2:]] == ["error", "response.failed"]
    assert (events[-2]["message"], events[-2]["error"]["message"]) == ("bad day", "bad day")
    assert events[-1]["response"]["error"] == {"code": "x", "message": "bad day"}
    reader = ResponsesStreamReader()
    read_whole(reader, data)
    assert "bad day" in str(reader.error.upstream_message or reader.error)


def test_empty_answer_is_complete():
    response = events_of(encoded([]))[-1]["response"]

    assert (response["status"], response["output"]) == ("completed", [])
    assert response["usage"]["total_tokens"] == 0


def test_plain_answer_read_back_is_the_same():
    sent = assemble(CHUNKS)

    wire = response_to_wire(sent, created=7)
    got = response_from_wire(wire)

    assert (wire["object"], wire["created_at"], wire["status"]) == ("response", 7, "completed")
    assert (got.content, got.reasoning) == (sent.content, sent.reasoning)
    assert [(c.id, c.arguments) for c in got.tool_calls] == [("c1", {"a": 1}), ("c2", {})]
    assert (got.input_tokens, got.output_tokens, got.cache_read_tokens) == (3, 4, 1)
    assert (got.finish_reason, got.response_id) == ("tool_calls", "resp_r")


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}}
NO_PICTURES = [
    {"type": "audio", "audio": {"data": "aGk="}},
    {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
    {"type": "image_url", "image_url": {"url": "data:audio/L16;base64,aGk="}},
]


def test_what_a_model_draws_is_an_item_of_its_own():
    encoder = ResponsesStreamEncoder("r", "m", 0)
    chunks = [LLMChunk(text="Here:"), LLMChunk(media=[PICTURE, *NO_PICTURES]), LAST]

    data = b"".join(map(encoder.encode, chunks)) + encoder.end()

    packets = [json.loads(e.data) for e in SSEDecoder().feed(data)]
    places = [p["output_index"] for p in packets if p["type"] == "response.output_item.done"]
    message, drawn = packets[-1]["response"]["output"]
    assert places == [0, 1]
    assert message["type"] == "message"
    assert drawn == {
        "id": drawn["id"],
        "type": "image_generation_call",
        "status": "completed",
        "result": "aGk=",
        "output_format": "webp",
    }
    read = assemble(read_whole(ResponsesStreamReader(), data))
    assert (read.content, read.media) == ("Here:", [PICTURE])
    assert response_from_wire(response_to_wire(read, created=0)).media == [PICTURE]
