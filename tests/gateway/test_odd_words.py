"""Relayed answers in words of a host's own: what its clients get is what they know."""

from __future__ import annotations

import json

import pytest

from faultmaven.gateway.front import Ask
from faultmaven.gateway.fronts.anthropic_messages import MessagesWatch
from faultmaven.gateway.fronts.openai_chat import ChatFront
from faultmaven.infrastructure.llm.errors import ResponseFormatError

PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
    {"type": "text", "text": "Hi"},
]
CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": ""}}


def mended(message, finish="stop", usage=None):
    """Give a plain answer as it is passed on, and whether it was changed."""
    data = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    if usage is not None:
        data["usage"] = usage
    front = ChatFront()
    counted = front.check_answer(data)
    return data, front.mend_answer(data, counted)


def passed(*events):
    """Give the events of a stream as they are passed on, the mark of the end left out."""
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    watch = ChatFront().make_watch(Ask("m", True, {}), finish_optional=False)
    told = watch.feed(data + b"data: [DONE]\n\n") + watch.finish()
    assert watch.error is None
    *blocks, mark, end = told.decode().split("\n\n")
    assert (mark, end) == ("data: [DONE]", "")
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def chunk(delta, finish=None, **more):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def test_content_in_parts_is_text_with_reasoning_beside_it():
    data, changed = mended({"role": "assistant", "content": PARTS})
    first, _ = passed(chunk({"content": PARTS}), chunk({}, "stop"))

    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    assert changed
    assert data["choices"][0]["message"] == message
    assert first["choices"][0]["delta"] == {"content": "Hi", "reasoning_content": "Hm."}


def test_content_that_the_host_has_parsed_is_text_again():
    data, _ = mended({"role": "assistant", "content": {"city": "Paris"}})

    assert json.loads(data["choices"][0]["message"]["content"]) == {"city": "Paris"}


@pytest.mark.parametrize(
    ("raw", "reason"), [("eos", "stop"), ("", "stop"), (None, "stop"), ("odd", "odd")]
)
def test_a_finish_reason_is_one_that_clients_know_where_we_know_it(raw, reason):
    data, _ = mended({"role": "assistant", "content": "Hi"}, raw)

    assert data["choices"][0]["finish_reason"] == reason


def test_a_streamed_finish_reason_is_one_that_clients_know():
    found = passed(chunk({"content": "Hi"}, ""), chunk({}, "end_turn"))

    assert [event["choices"][0]["finish_reason"] for event in found] == ["", "stop"]


@pytest.mark.parametrize("arguments", ["", None])
@pytest.mark.parametrize(("reason", "told"), [("tool_calls", "{}"), ("length", None)])
def test_no_arguments_are_an_object(arguments, reason, told):
    call = {**CALL, "function": {"name": "now", "arguments": arguments}}

    data, _ = mended({"role": "assistant", "content": None, "tool_calls": [call]}, reason)

    made = data["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert made == (told or arguments)


@pytest.mark.parametrize("arguments", ["", None])
def test_a_streamed_call_without_arguments_gets_them_with_the_reason(arguments):
    function = {"name": "now", "arguments": arguments}
    found = passed(
        chunk({"tool_calls": [{**CALL, "index": 0, "function": function}]}),
        chunk({"tool_calls": [{**CALL, "index": 1, "id": "c2"}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"a":1}'}}]}),
        chunk({}, "tool_calls"),
        chunk({}, "tool_calls"),
    )

    ends = [event["choices"][0]["delta"].get("tool_calls") for event in found[3:]]
    assert ends == [[{"index": 0, "function": {"arguments": "{}"}}], None]


ODD_COUNTS = {
    "reasoning-apart": (
        {
            "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 16,
            "completion_tokens_details": {"reasoning_tokens": 9},
        },
        {"completion_tokens": 11},
    ),
    "cache-elsewhere": (
        {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
        {"prompt_tokens_details": {"cached_tokens": 4}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_COUNTS)
def test_token_counts_are_where_clients_look_for_them(case):
    usage, change = ODD_COUNTS[case]

    data, changed = mended({"role": "assistant", "content": "Hi"}, usage=dict(usage))
    *_, last = passed(chunk({"content": "Hi"}, "stop"), {"choices": [], "usage": usage})

    assert changed
    assert data["usage"] == last["usage"] == usage | change


def test_an_ordinary_answer_is_left_alone():
    call = {**CALL, "function": {"name": "now", "arguments": "{}"}}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}

    _, changed = mended({"role": "assistant", "content": "Hi", "tool_calls": [call]}, usage=usage)

    assert not changed


def test_calls_that_are_none_are_no_answer():
    with pytest.raises(ResponseFormatError):
        mended({"role": "assistant", "content": None, "tool_calls": "odd"})


def test_an_event_without_a_name_is_given_its_own():
    watch = MessagesWatch()

    assert watch.feed(b'data: {"type":"ping"}\n\n') == b'event: ping\ndata: {"type":"ping"}\n\n'
