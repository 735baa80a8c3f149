"""Stream framing and stream semantics: OpenAI chat from a raw socket, others where they differ."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from faultmaven.testing.answers import DEFAULT_TEXT

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
USAGE = {"stream_options": {"include_usage": True}}


async def test_truncate_stream_ends_in_good_order(ask):
    heard = await ask("fm:truncate-stream:5", stream=True)

    assert len(heard.objects) == 5
    assert heard.raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("spec", "finishes", "dones"),
    [
        ("missing-finish", 0, 0),
        ("missing-done", 1, 0),
        ("dup-done", 1, 2),
        ("done-then-more", 1, 1),
        ("empty-stream", 0, 0),
        ("ok", 1, 1),
    ],
)
async def test_ends(ask, spec, finishes, dones):
    heard = await ask(f"fm:{spec}", stream=True)

    choices = [choice for data in heard.objects for choice in data["choices"]]
    assert sum(choice["finish_reason"] is not None for choice in choices) == finishes
    assert heard.data.count("[DONE]") == dones
    assert (heard.data[-1:] == ["[DONE]"]) == (dones > 0 and spec != "done-then-more")


@pytest.mark.parametrize(
    ("spec", "at", "last"),
    [("error-event:4", 4, "{"), ("error-then-done", 4, "[DONE]"), ("error-first", 0, "{")],
)
async def test_errors_inside_a_stream(ask, spec, at, last):
    heard = await ask(f"fm:{spec}", stream=True)

    assert heard.status == 200
    assert "error" in heard.objects[at]
    assert heard.data[-1].startswith(last)


@pytest.mark.parametrize("spec", ["error-event:4", "error-then-done", "error-first"])
async def test_stream_errors_become_plain_ones(ask, spec):
    assert "error" in (await ask(f"fm:{spec}")).json


async def test_chunks_that_are_no_objects(ask):
    malformed = await ask("fm:malformed-chunk:3", stream=True)
    array = await ask("fm:non-object-chunk:3", stream=True)

    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(malformed.data[3])
    assert array.objects[3] == [1, 2, 3]


async def test_out_of_order_has_content_before_the_role(ask):
    heard = await ask("fm:out-of-order", stream=True)

    assert "role" not in heard.objects[0]["choices"][0]["delta"]
    assert heard.objects[2]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize("spec", ["split-utf8", "split-bytes", "coalesced", "comment-flood:5000"])
async def test_splitting_changes_no_text(ask, spec):
    heard = await ask(f"fm:{spec}", stream=True)

    assert heard.text == DEFAULT_TEXT


async def test_split_utf8_cuts_characters(ask):
    heard = await ask("fm:split-utf8", stream=True)

    assert "ü".encode() in heard.body
    assert "ü".encode() not in heard.raw


LINES = {
    "crlf": b"\r\n\r\n",
    "cr": b"\r\r",
    "mixed-eol": b"\r\r",
    "multi-data": b'\ndata: "object"',
    "no-space": b"data:{",
    "noise-fields": b"retry: 3000",
    "nul-bytes": b"id: a\x00b",
}


@pytest.mark.parametrize(("spec", "seen"), LINES.items(), ids=LINES)
async def test_line_framing(ask, spec, seen):
    assert seen in (await ask(f"fm:{spec}", stream=True)).body


async def test_no_final_newline_ends_at_the_data(ask):
    assert (await ask("fm:no-final-newline", stream=True)).body.endswith(b"data: [DONE]")


async def test_giant_line_is_one_event(ask):
    heard = await ask("fm:giant-line:1", stream=True)

    assert max(map(len, heard.data)) > 1 << 20


@pytest.mark.parametrize("stream", [False, True])
async def test_choices(ask, stream):
    empty = await ask("fm:empty-choices", stream=stream)
    none = await ask("fm:no-choices", stream=stream)
    two = await ask("fm:two-choices", stream=stream)

    def objects(heard):
        return heard.objects if stream else [heard.json]

    assert any(data["choices"] == [] for data in objects(empty))
    assert not any("choices" in data for data in objects(none))
    assert {c["index"] for data in objects(two) for c in data["choices"]} == {0, 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_content_of_the_wrong_type(ask, stream):
    null = await ask("fm:null-content", stream=stream)
    number = await ask("fm:wrong-types", stream=stream)

    assert b'"content":null' in null.body
    assert b'"content":5' in number.body
    assert stream == (b'"delta":null' in null.body)


@pytest.mark.parametrize("stream", [False, True])
async def test_finish_reasons(ask, stream):
    unknown = await ask("fm:unknown-finish", stream=stream)
    filtered = await ask("fm:content-filter", stream=stream)
    length = await ask("fm:length", stream=stream)

    assert b'"finish_reason":"quantum_exhaustion"' in unknown.body
    assert b'"finish_reason":"content_filter"' in filtered.body
    assert b'"finish_reason":"length"' in length.body


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_fields_are_everywhere(ask, stream):
    heard = await ask("fm:unknown-fields", stream=stream)

    assert all(data["x_flag"] for data in (heard.objects if stream else [heard.json]))


@pytest.mark.parametrize("stream", [False, True])
async def test_usage(ask, stream):
    missing = await ask("fm:missing-usage", stream=stream, **USAGE)
    negative = await ask("fm:bad-usage:negative", stream=stream, **USAGE)
    text = await ask("fm:bad-usage:string", stream=stream, **USAGE)
    null = await ask("fm:bad-usage:null", stream=stream, **USAGE)
    each = await ask("fm:usage-each", stream=stream, **USAGE)

    assert b'"usage"' not in missing.body
    assert b'"prompt_tokens":-5' in negative.body
    assert b'"completion_tokens":"many"' in text.body
    assert b'"usage":null' in null.body
    assert all(data["usage"]["total_tokens"] for data in (each.objects if stream else [each.json]))


async def test_tool_arguments(ask):
    invalid = await ask("fm:tool-args-invalid", tools=TOOLS)
    empty = await ask("fm:tool-args-empty", tools=TOOLS)
    data = await ask("fm:tool-args-object", tools=TOOLS)
    streamed = await ask("fm:tool-args-object", tools=TOOLS, stream=True)
    no_id = await ask("fm:tool-no-id", tools=TOOLS)

    def call(heard):
        return heard.json["choices"][0]["message"]["tool_calls"][0]

    assert call(invalid)["function"] == {"name": "weather", "arguments": '{"city": "Par'}
    assert call(empty)["function"]["arguments"] == ""
    assert call(data)["function"]["arguments"] == {"city": "Paris"}
    assert b'"arguments":{"city":"Paris"}' in streamed.body
    assert "id" not in call(no_id)


async def test_tool_calls_interleave(ask):
    heard = await ask("fm:tool-interleaved", stream=True)
    deltas = [c["delta"] for data in heard.objects for c in data["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]

    joined = {0: "", 1: ""}
    for call in calls:
        joined[call["index"]] += call["function"]["arguments"]
    assert [call["index"] for call in calls[:4]] == [0, 1, 0, 1]
    assert json.loads(joined[0]) == {"city": "Paris", "unit": "C"}
    assert json.loads(joined[1]) == {"city": "Berlin", "unit": "F"}


async def test_tool_no_index_leaves_indexes_out(ask):
    heard = await ask("fm:tool-no-index", stream=True)

    assert b'"tool_calls":[{"id"' in heard.body


OTHERS = {
    "/v1/messages": b"event: error",
    "/api/chat": b'{"error":"The server',
    "/v1/responses": b"event: error",
    "/v2/chat": b'"message":"The server had',
    "/v1beta/models/m:streamGenerateContent?alt=sse": b'"status":"INTERNAL"',
    "/model/m/converse-stream": b"internalServerException",
}


@pytest.mark.parametrize(("path", "seen"), OTHERS.items(), ids=OTHERS)
async def test_other_dialects_have_their_errors(ask, upstream, path, seen):
    upstream.script(["error-event:2", "status:429", "close-mid-stream:2", "truncate-stream:2"])
    broken = await ask(stream=True, path=path)
    refused = await ask(stream=True, path=path)
    closed = await ask(stream=True, path=path)
    truncated = await ask(stream=True, path=path)

    assert seen in broken.body
    assert refused.status == 429
    assert not closed.raw.endswith(b"0\r\n\r\n")
    assert truncated.raw.endswith(b"0\r\n\r\n")
    assert len(closed.body) == len(truncated.body)


async def test_event_stream_frames_have_both_checksums(ask):
    data = (await ask(path="/model/m/converse-stream", messages=[])).body
    events = []
    while data:
        total, headers, prelude_crc = struct.unpack("!III", data[:12])
        frame, data = data[:total], data[total:]
        assert zlib.crc32(frame[:8]) == prelude_crc
        assert zlib.crc32(frame[:-4]) == struct.unpack("!I", frame[-4:])[0]
        events.append(json.loads(frame[12 + headers : -4]))

    text = "".join(e["delta"].get("text", "") for e in events if "delta" in e)
    assert text == DEFAULT_TEXT
    assert events[-1]["usage"]["totalTokens"] > 0
