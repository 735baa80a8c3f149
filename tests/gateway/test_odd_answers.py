"""Answers that are odd but good, odd but bad, and broken midway: what each lane makes of them."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import MESSAGES, UPSTREAM_KEY
from tests.gateway.lanes import LANES

every_lane = pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])

# The client must notice nothing of these.
GOOD = [
    "bom", "coalesced", "comment-flood:2000", "cr", "crlf", "done-then-hang", "done-then-more",
    "dup-done", "dup-keys", "early-hints", "gzip", "hop-headers", "http10", "json-for-stream",
    "missing-done", "missing-usage", "mixed-eol", "multi-data", "no-content-type",
    "no-final-newline", "no-space", "noise-fields", "nul-bytes", "ok", "out-of-order",
    "split-bytes", "split-utf8", "stream-for-json", "two-choices", "unknown-fields",
    "unknown-finish", "usage-each", "wrong-content-type",
]  # fmt: skip
# Before anything of the answer came: status, and code in the API that has one.
BAD = {
    "200-empty": (502, "upstream_protocol_error"),
    "200-error": (502, "upstream_error"),
    "200-html": (502, "upstream_protocol_error"),
    "204": (502, "upstream_protocol_error"),
    "auth-echo": (502, "upstream_auth_error"),
    "bad-headers": (502, "upstream_protocol_error"),
    "bad-status-line": (502, "upstream_protocol_error"),
    "big-int": (502, "upstream_protocol_error"),
    "cl-and-te": (502, "upstream_protocol_error"),
    "cl-negative": (502, "upstream_protocol_error"),
    "cl-twice": (502, "upstream_protocol_error"),
    "close-before-headers": (502, "upstream_unreachable"),
    "close-mid-headers": (502, "upstream_protocol_error"),
    "deep-json:100000": (502, "upstream_protocol_error"),
    "error-first": (502, "upstream_error"),
    "garbage": (502, "upstream_protocol_error"),
    "gzip-corrupt": (502, "upstream_protocol_error"),
    "gzip-lie": (502, "upstream_protocol_error"),
    "huge-header:64": (502, "upstream_protocol_error"),
    "invalid-json": (502, "upstream_protocol_error"),
    "json-array": (502, "upstream_protocol_error"),
    "json-scalar": (502, "upstream_protocol_error"),
    "many-headers:1000": (502, "upstream_protocol_error"),
    "nan": (502, "upstream_protocol_error"),
    "reset-before-headers": (502, "upstream_unreachable"),
    "reset-mid-headers": (502, "upstream_protocol_error"),
    "status-empty:502": (502, "upstream_error"),
    "status-html:502": (502, "upstream_error"),
    "status-huge:500:5": (502, "upstream_error"),
    "status-text:503": (503, "overloaded"),
    "truncated-json": (502, "upstream_protocol_error"),
    "unknown-encoding": (502, "upstream_protocol_error"),
    "utf16": (502, "upstream_protocol_error"),
}
BAD_BODIES = {
    "bad-chunk-size": (502, "upstream_protocol_error"),
    "cl-too-long": (502, "upstream_protocol_error"),
    "close-mid-body": (502, "upstream_protocol_error"),
    "invalid-utf8": (502, "upstream_protocol_error"),
    "reset-mid-body": (502, "upstream_protocol_error"),
}
# Of a stream that has begun: the code.  Anthropic's grammar has three events before the text.
BROKEN = {
    "close-mid-stream:9": "stream_incomplete",
    "error-event:9": "upstream_error",
    "error-then-done": "upstream_error",
    "giant-line:4": "upstream_protocol_error",
    "key-in-stream": "upstream_auth_error",
    "malformed-chunk:9": "upstream_protocol_error",
    "missing-finish": "stream_incomplete",
    "non-object-chunk:9": "upstream_protocol_error",
    "reset-mid-event:9": "stream_incomplete",
    "reset-mid-stream:9": "stream_incomplete",
    "truncate-stream:9": "stream_incomplete",
}
OURS = {
    "cache-control", "content-length", "content-type", "date", "retry-after", "transfer-encoding",
    "x-content-type-options", "x-faultmaven-attempts", "x-faultmaven-model",
    "x-faultmaven-provider", "x-faultmaven-route", "x-request-id", "request-id",
}  # fmt: skip


async def text_of(client, lane, spec, *, stream):
    async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
        assert reply.status == 200, await reply.text()
        body = await reply.text()
    if stream:
        assert lane.broken_by(body) is None
        assert lane.ends(body) == 1
    return lane.text_of(body, stream=stream)


@every_lane
@both_ways
async def test_an_odd_answer_says_what_a_usual_one_says(client, lane, stream):
    usual = await text_of(client, lane, "ok", stream=stream)

    said = {spec: await text_of(client, lane, spec, stream=stream) for spec in GOOD}

    assert len(usual) > 80
    assert {spec: text for spec, text in said.items() if text != usual} == {}


@every_lane
@both_ways
@pytest.mark.parametrize(("spec", "kinds"), [
    ("ok", (None, None)),
    ("wrong-content-type", ("content_type", "content_type")),
    ("wrong-content-type:text/html", ("content_type", "content_type")),
    ("no-content-type", ("content_type", "content_type")),
    ("wrong-content-type:text/event-stream", ("content_type", None)),
    ("wrong-content-type:application/json", (None, "content_type")),
    ("json-for-stream", (None, "not_streamed")),
    ("stream-for-json", ("streamed", None)),
    ("status:400", (None, None)),
])  # fmt: skip
async def test_an_answer_in_another_form_is_taken_and_counted(client, lane, stream, spec, kinds):
    if spec == "status:400":
        async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
            assert reply.status == 400
    else:
        assert len(await text_of(client, lane, spec, stream=stream)) > 80

    async with client.get("/metrics") as reply:
        lines = (await reply.text()).splitlines()
    counted = [line for line in lines if line.startswith("faultmaven_upstream_oddities_total")]
    kind = kinds[stream]
    assert counted == ([] if kind is None else [
        f'faultmaven_upstream_oddities_total{{kind="{kind}",provider="{lane.provider}"}} 1.0'
    ])  # fmt: skip


@every_lane
@both_ways
@pytest.mark.parametrize("spec", BAD)
async def test_a_bad_answer_is_an_error(client, lane, stream, spec):
    await check_bad(client, lane, spec, *BAD[spec], stream=stream)


@every_lane
@pytest.mark.parametrize("spec", BAD_BODIES)
async def test_a_bad_body_is_an_error(client, lane, spec):
    await check_bad(client, lane, spec, *BAD_BODIES[spec], stream=False)


async def check_bad(client, lane, spec, status, code, *, stream):
    async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
        body = await reply.text()
    error = lane.error_of(json.loads(body))
    assert reply.status == status
    assert reply.content_type == "application/json"
    assert "code" not in error or error["code"] == code
    assert UPSTREAM_KEY not in body
    assert "<" not in error["message"]
    assert len(error["message"]) <= 2001


@every_lane
@pytest.mark.parametrize("spec", BROKEN)
async def test_a_broken_stream_says_so_and_keeps_what_had_come(client, lane, spec, records):
    usual = await text_of(client, lane, "ok", stream=True)
    records.clear()

    async with client.post(lane.path, lane.body(spec, stream=True)) as reply:
        body = await reply.text()

    error = lane.broken_by(body)
    whole = "\n\n".join(part for part in body.split("\n\n") if "error" not in part)
    text = lane.text_of(whole, stream=True)
    assert reply.status == 200
    assert lane.ends(body) == 0
    assert "code" not in error or error["code"] == BROKEN[spec]
    assert UPSTREAM_KEY not in body
    assert usual.startswith(text) or text == "before "
    (record,) = records
    assert record.status == 200
    assert record.code == BROKEN[spec]
    assert (record.outcome == "incomplete") == (BROKEN[spec] == "stream_incomplete")
    assert record.output_tokens > 0


@every_lane
@both_ways
async def test_private_headers_of_the_upstream_stay_private(client, lane, stream):
    async with client.post(lane.path, lane.body("hop-headers", stream=stream)) as reply:
        assert {name.lower() for name in reply.headers} <= OURS


@every_lane
@both_ways
@pytest.mark.parametrize("spec", ["missing-usage"] + [f"bad-usage:{kind}" for kind in (
    "null", "string", "negative", "huge", "float", "list", "bool"
)])  # fmt: skip
async def test_tokens_that_cannot_be_true_are_estimated(client, lane, stream, spec, records):
    await text_of(client, lane, spec, stream=stream)

    (record,) = records
    assert record.usage_source == "estimated"
    assert 0 < record.input_tokens < 100
    assert 0 < record.output_tokens < 100


@every_lane
async def test_tokens_in_every_event_are_counted_once(client, lane, records):
    await text_of(client, lane, "usage-each", stream=True)

    (record,) = records
    assert (record.usage_source, record.output_tokens) == ("provider", 25)


@every_lane
@both_ways
async def test_a_filtered_answer_is_an_answer(start, upstream, lane, stream):
    async with (
        start(LLM_MAX_RETRIES="2") as client,
        client.post(lane.path, lane.body("content-filter", stream=stream)) as reply,
    ):
        body = await reply.text()

    assert reply.status == 200
    assert ("content_filter" if lane.front == "chat" else "refusal") in body
    assert len(upstream.requests) == 1


@every_lane
@both_ways
@pytest.mark.parametrize("spec", [
    "tool-args-invalid", "tool-args-empty", "tool-args-object", "tool-no-id", "tool-no-index",
    "tool-interleaved",
])  # fmt: skip
async def test_odd_tool_calls_are_calls(client, lane, stream, spec):
    async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
        body = await reply.text()

    assert reply.status == 200
    if stream and spec == "tool-interleaved" and lane.provider == "anthropic":
        # Pieces before their call are no stream of Anthropic's: what must understand it says so.
        assert bool(lane.broken_by(body)) is (lane.front == "chat")
        return
    if stream:
        assert lane.broken_by(body) is None
    calls = calls_of(lane, body, stream=stream)
    assert calls
    for name, identifier, arguments in calls:
        assert name
        assert identifier
        assert isinstance(arguments, str)
    assert len({identifier for _, identifier, _ in calls}) == len(calls)


def calls_of(lane, body, *, stream):
    """Give name, id and arguments of every call."""
    if lane.front == "chat":
        return chat_calls(lane, body, stream=stream)
    if not stream:
        blocks = json.loads(body)["content"]
        return [
            (b["name"], b["id"], json.dumps(b["input"])) for b in blocks if b["type"] == "tool_use"
        ]
    found = {}
    for event in map(json.loads, lane.events(body)):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            block = event["content_block"]
            found[event["index"]] = [block["name"], block["id"], ""]
        elif event.get("delta", {}).get("type") == "input_json_delta":
            found[event["index"]][2] += event["delta"]["partial_json"]
    return [tuple(call) for call in found.values()]


def chat_calls(lane, body, *, stream):
    if not stream:
        calls = json.loads(body)["choices"][0]["message"]["tool_calls"]
        return [(c["function"]["name"], c.get("id"), c["function"]["arguments"]) for c in calls]
    found = {}
    for event in map(json.loads, lane.events(body)):
        for choice in event["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                call = found.setdefault(piece["index"], [None, None, ""])
                call[0] = call[0] or piece["function"].get("name")
                call[1] = call[1] or piece.get("id")
                call[2] += piece["function"].get("arguments") or ""
    return [tuple(call) for call in found.values()]


@every_lane
@both_ways
async def test_half_a_surrogate_pair_becomes_valid_text(client, lane, stream):
    text = await text_of(client, lane, "surrogate", stream=stream)

    assert "\ufffd" in text
    assert text.encode()


async def test_nothing_said_is_null_where_it_is_relayed(client):
    async with client.chat("openai/fm:null-content") as reply:
        answer = await reply.json()

    assert answer["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize("spec", ["no-choices", "wrong-types"])
@both_ways
async def test_what_is_no_answer_is_refused(client, spec, stream):
    async with client.chat(f"openai/fm:{spec}", stream=stream) as reply:
        assert reply.status == 502
        assert (await reply.json())["error"]["code"] in (
            "upstream_protocol_error",
            "stream_incomplete",
        )


async def test_a_model_that_one_provider_lacks_may_be_the_next_ones(start, upstream):
    async with start(FALLBACK_PROVIDERS="groq") as client:
        upstream.script(["status:404", None])
        body = {"model": "some-model", "messages": MESSAGES}
        async with client.post("/v1/chat/completions", body) as reply:
            assert reply.status in (200, 404)
