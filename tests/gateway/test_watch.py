"""However a stream is cut, the same goes to the client."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.gateway.fronts.anthropic_messages import MessagesWatch
from faultmaven.gateway.fronts.openai_chat import ChatWatch
from faultmaven.gateway.fronts.openai_responses import ResponsesWatch


def chat_event(content="x", finish=None, **more):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def named(kind, **fields):
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
CHAT = (
    chat_event("")
    + chat_event("Grüße \\n\\n data: [DONE]")
    + chat_event("b", "stop")
    + b'data: {"choices":[],"usage":'
    + json.dumps(USAGE).encode()
    + b"}\n\n"
    + b"data: [DONE]\n\n"
)
MESSAGES = (
    named("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}})
    + named("ping")
    + named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + named("content_block_delta", index=0, delta={"type": "text_delta", "text": "日本語"})
    + named("content_block_stop", index=0)
    + named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 4})
    + named("message_stop")
)
RESPONSES = (
    named("response.created", response={"status": "in_progress"}, sequence_number=0)
    + named("response.output_text.delta", delta="日", sequence_number=1)
    + named(
        "response.completed",
        response={
            "status": "completed",
            "output": [],
            "usage": {"input_tokens": 3, "output_tokens": 4},
        },
    )
)
STREAMS = {
    "chat": (lambda: ChatWatch(include_usage=True), CHAT),
    "messages": (MessagesWatch, MESSAGES),
    "responses": (ResponsesWatch, RESPONSES),
}


def relay(watch, pieces):
    passed = b"".join(watch.feed(piece) for piece in pieces)
    return passed + watch.finish()


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_any_cut_of_a_stream_gives_the_same_bytes(name, data):
    make, stream = STREAMS[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    watch = make()
    passed = relay(watch, pieces)

    assert passed == stream
    assert watch.done
    assert watch.error is None
    assert watch.begun
    assert (watch.usage.input_tokens, watch.usage.output_tokens) == (3, 4)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("ending", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@given(data=st.data())
def test_other_line_ends_are_written_anew(name, ending, data):
    make, stream = STREAMS[name]
    other = stream.replace(b"\n", ending)
    cut = data.draw(st.integers(0, len(other)))

    watch = make()

    assert relay(watch, [other[:cut], other[cut:]]) == stream
    assert watch.done


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_a_stream_cut_short_is_never_complete(name, data):
    make, stream = STREAMS[name]
    last = stream.rstrip(b"\n").rfind(b"\n\n")
    cut = data.draw(st.integers(0, stream.find(b"stop" if name != "responses" else b"completed")))

    watch = make()
    relay(watch, [stream[: min(cut, last)]])

    assert not watch.done
    assert watch.error is not None


@given(st.binary(max_size=200))
def test_noise_never_breaks_a_watch(noise):
    for make, stream in STREAMS.values():
        watch = make()
        watch.feed(stream[:40])
        watch.feed(noise)
        watch.finish()

        assert watch.done or watch.error is not None


def test_usage_that_was_not_asked_for_is_kept_back_and_counted():
    watch = ChatWatch(include_usage=False)

    passed = relay(watch, [CHAT])

    assert b'"usage"' not in passed
    assert passed.endswith(b"data: [DONE]\n\n")
    assert watch.usage.output_tokens == 4


def test_an_endless_line_is_given_up():
    watch = ChatWatch(include_usage=False)
    for _ in range(20):
        watch.feed(b"x" * 65536)

    assert watch.error is not None
    assert watch.error.code == "event_too_large"


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@given(data=st.data())
def test_a_large_event_is_refused_in_any_cut(name, ending, data):
    make, stream = STREAMS[name]
    first = stream[: stream.find(b"\n\n") + 2]
    large = first[:-3] + b" " * 600 + first[-3:]
    whole = (first + large + stream).replace(b"\n", ending)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    watch = make()
    watch.limit_bytes = 512
    passed = relay(watch, pieces)

    assert passed in (b"", first)
    assert watch.error is not None
    assert watch.error.code == "event_too_large"


@pytest.mark.parametrize("name", STREAMS)
def test_a_large_rest_is_refused_at_the_end(name):
    make, stream = STREAMS[name]
    first = stream[: stream.find(b"\n\n") + 2]

    watch = make()
    watch.limit_bytes = 512
    passed = relay(watch, [first + b"data: " + b"x" * 600])

    assert passed == first
    assert watch.error is not None
    assert watch.error.code == "event_too_large"


@pytest.mark.parametrize("name", STREAMS)
def test_a_higher_limit_lets_a_large_event_pass(name):
    make, stream = STREAMS[name]
    first = stream[: stream.find(b"\n\n") + 2]
    whole = first[:-3] + b" " * 2_000_000 + stream[len(first) - 3 :]

    watch = make()
    watch.limit_bytes = 4_000_000
    passed = relay(watch, [whole[at : at + 65536] for at in range(0, len(whole), 65536)])

    assert passed == whole
    assert watch.done
