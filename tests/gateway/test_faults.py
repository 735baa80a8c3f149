"""What clients see of an upstream's faults, before and after the first piece of an answer."""

from __future__ import annotations

import json

import pytest

from faultmaven.gateway.faults import fault_of
from faultmaven.infrastructure.llm import errors as llm
from tests.gateway.conftest import UPSTREAM_KEY, events_of

SHORT = "providers:\n  openai:\n    base: openai\n    timeout: 1\n"

# Spec: status and code for both a plain answer and a stream.
BEFORE = {
    "200-empty": (502, "upstream_protocol_error"),
    "200-error": (502, "upstream_error"),
    "200-html": (502, "upstream_protocol_error"),
    "auth-echo": (502, "upstream_auth_error"),
    "bad-status-line": (502, "upstream_protocol_error"),
    "big-int": (502, "upstream_protocol_error"),
    "cl-and-te": (502, "upstream_protocol_error"),
    "close-before-headers": (502, "upstream_unreachable"),
    "close-mid-headers": (502, "upstream_protocol_error"),
    "context-length": (400, "context_length_exceeded"),
    "deep-json:2000": (502, "upstream_protocol_error"),
    "error-first": (502, "upstream_error"),
    "garbage": (502, "upstream_protocol_error"),
    "gzip-lie": (502, "upstream_protocol_error"),
    "huge-body:20": (502, "response_too_large"),
    "huge-header:64": (502, "upstream_protocol_error"),
    "invalid-json": (502, "upstream_protocol_error"),
    "json-array": (502, "upstream_protocol_error"),
    "nan": (502, "upstream_protocol_error"),
    "quota": (429, "insufficient_quota"),
    "redirect:307": (502, "unexpected_redirect"),
    "status-html:502": (502, "upstream_error"),
    "status:400": (400, "invalid_request_error"),
    "status:401": (502, "upstream_auth_error"),
    "status:402": (502, "upstream_auth_error"),
    "status:403": (502, "upstream_auth_error"),
    "status:404": (404, "model_not_found"),
    "status:413": (413, "invalid_request_error"),
    "status:422": (422, "invalid_request_error"),
    "status:429": (429, "rate_limit_exceeded"),
    "status:500": (502, "upstream_error"),
    "status:503": (503, "overloaded"),
    "status:504": (504, "upstream_error"),
    "status:529": (503, "overloaded"),
    "truncated-json": (502, "upstream_protocol_error"),
    "unknown-encoding": (502, "upstream_protocol_error"),
    "wrong-types": (502, "upstream_protocol_error"),
}
# Faults of a stream that has begun: the code of the error event.
AFTER = {
    "close-mid-stream:3": "stream_incomplete",
    "error-event:2": "upstream_error",
    "error-then-done": "upstream_error",
    "giant-line:2": "upstream_protocol_error",
    "key-in-stream": "upstream_auth_error",
    "malformed-chunk:2": "upstream_protocol_error",
    "missing-finish": "stream_incomplete",
    "non-object-chunk:2": "upstream_protocol_error",
    "reset-mid-event:2": "stream_incomplete",
    "stall-mid-stream:2": "upstream_timeout",
    "truncate-stream:2": "stream_incomplete",
}
# Oddities that the client must not notice in a stream.
GOOD = [
    "bom", "coalesced", "comment-flood:500", "cr", "crlf", "done-then-more", "dup-done",
    "early-hints", "gzip", "http10", "missing-done", "missing-usage", "mixed-eol", "multi-data",
    "no-content-type", "no-final-newline", "no-space", "noise-fields", "nul-bytes",
    "out-of-order", "split-bytes", "split-utf8", "unknown-fields", "usage-each",
    "wrong-content-type",
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("spec", BEFORE)
async def test_a_fault_before_the_answer_is_a_status(client, spec, stream):
    status, code = BEFORE[spec]

    async with client.chat(f"openai/fm:{spec}", stream=stream) as reply:
        text = await reply.text()

    error = json.loads(text)["error"]
    assert (reply.status, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert reply.content_type == "application/json"
    assert reply.headers["x-faultmaven-attempts"] == "1"
    assert UPSTREAM_KEY not in text
    assert "127.0.0.1" not in text
    assert len(text) < 4096
    if status >= 500 or status == 429:
        assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("spec", AFTER)
async def test_a_fault_in_the_answer_is_an_event_and_no_end_mark(start, spec):
    async with start(SHORT) as client, client.chat(f"openai/fm:{spec}", stream=True) as reply:
        text = await reply.text()

    relayed = events_of(text)
    assert reply.status == 200
    assert "[DONE]" not in relayed
    assert json.loads(relayed[-1])["error"]["code"] == AFTER[spec]
    assert all("error" not in json.loads(event) for event in relayed[:-1])
    assert UPSTREAM_KEY not in text


@pytest.mark.parametrize("spec", GOOD)
async def test_an_odd_stream_reaches_the_client_straight(client, spec):
    async with client.chat(f"openai/fm:{spec}", stream=True) as reply:
        relayed = events_of(await reply.text())

    text = "".join(
        choice["delta"].get("content") or ""
        for event in relayed[:-1]
        for choice in json.loads(event)["choices"]
        if choice["index"] == 0
    )
    assert relayed.count("[DONE]") == 1
    assert relayed[-1] == "[DONE]"
    assert text.startswith("Grüße aus dem Prüfstand")
    assert text.endswith("日本語 too.")


@pytest.mark.parametrize("path", ["plain", "stream"])
async def test_half_a_surrogate_pair_becomes_valid_json(client, path):
    async with client.chat("openai/fm:surrogate", stream=path == "stream") as reply:
        text = await reply.text()

    assert reply.status == 200
    assert "\ufffd" in text


async def test_private_headers_of_the_upstream_stay_private(client):
    async with client.chat("openai/fm:hop-headers") as reply:
        names = {name.lower() for name in reply.headers}

    known = {"content-type", "content-length", "date", "x-content-type-options", "x-request-id"}
    assert names <= known | {
        f"x-faultmaven-{n}" for n in ("provider", "model", "route", "attempts")
    }


async def test_too_many_requests_says_when_to_come_back(client):
    async with client.chat("openai/fm:status:429:retry-after=7") as reply:
        assert reply.status == 429
        assert reply.headers["retry-after"] == "7"


async def test_anthropic_clients_get_anthropic_errors(client):
    async with client.messages("anthropic/fm:status:529") as reply:
        body = await reply.json()

    assert reply.status == 503
    assert body["type"] == "error"
    assert body["error"]["type"] == "overloaded_error"
    assert body["request_id"] == reply.headers["x-request-id"]


async def test_anthropic_streams_break_off_in_anthropics_way(client):
    async with client.messages("anthropic/fm:close-mid-stream:6", stream=True) as reply:
        text = await reply.text()

    assert text.rstrip().rpartition("\n\n")[2].startswith("event: error\ndata: ")
    assert "message_stop" not in text


def test_every_error_of_ours_has_a_status_and_a_code():
    kinds = [llm.LLMError, *_subclasses(llm.LLMError)]
    for kind in kinds:
        fault = fault_of(kind("what happened"))
        assert 400 <= fault.status <= 504
        assert fault.code.isidentifier()


def _subclasses(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from _subclasses(sub)


@pytest.mark.parametrize(
    "where", ["the address http://10.0.0.7:1234/v1", "http://10.0.0.7:1234/v1"]
)
def test_a_providers_address_is_left_out(where):
    error = llm.LLMConnectionError(f"Check {where} (set by A_B) and the network.")

    assert fault_of(error).message == "Check its address (set by A_B) and the network."


@pytest.mark.parametrize("code", ["invalid_schema", "no_embeddings"])
def test_what_no_configuration_mends_is_the_requests_fault(code):
    fault = fault_of(llm.ConfigurationError("No.", code=code))

    assert (fault.status, fault.code) == (400, code)


def test_who_finds_no_free_connection_is_told_to_come_again():
    fault = fault_of(llm.LLMTimeoutError("full", code="pool_timeout"))

    assert (fault.status, fault.code, fault.retry_after_s) == (503, "overloaded", 1)


@pytest.mark.parametrize(("asked_s", "told_s"), [(0.2, 1), (30.4, 31), (61.0, 61)])
def test_nobody_is_told_to_come_too_early(asked_s, told_s):
    assert fault_of(llm.RateLimitError("wait", retry_after_s=asked_s)).retry_after_s == told_s
