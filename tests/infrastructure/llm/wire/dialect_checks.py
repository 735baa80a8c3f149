"""Judging dialects by recorded exchanges: the same checks for each of them.

The recordings lie in the folder that the environment variable FAULTMAVEN_RECORDINGS names; without it
there are none, and the tests over them are skipped.
"""

import base64
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

from faultmaven.infrastructure.llm.wire.assemble import assemble
from tests.infrastructure.llm.wire.error_words import word_of
from tests.splits import split

FOLDER = os.environ.get("FAULTMAVEN_RECORDINGS", "")


@cache
def _tables():
    folder = Path(FOLDER)
    index = json.loads((folder / "INDEX.json").read_text("utf-8"))
    facts = json.loads((folder / "expected.json").read_text("utf-8"))
    return folder, index, facts


class Recording(dict):
    """A recorded exchange, or its facts, that is called by its id in reports."""

    def __repr__(self):
        return str(self.get("id", self.get("type")))


def recorded(*dialects, kind="response", streamed=None, exclude=()):
    """Give pytest parameters: every recorded exchange of the dialects that has facts of a kind."""
    if not FOLDER:
        return [
            pytest.param(None, None, marks=pytest.mark.skip("FAULTMAVEN_RECORDINGS is not set"))
        ]
    folder, index, facts = _tables()
    found = []
    for row in index:
        expected = facts.get(row["id"])
        if row["dialect"] not in dialects or expected is None or expected["type"] != kind:
            continue
        if row["id"] in exclude:
            continue
        exchange = Recording(json.loads((folder / row["path"]).read_text("utf-8")))
        if streamed is None or streamed == (stream_bytes(exchange) is not None):
            found.append(pytest.param(exchange, Recording(expected), id=row["id"]))
    return found


def stream_bytes(exchange):
    """Give a streamed body as bytes, None for a plain one."""
    response = exchange["response"]
    if "raw_b64" in response:
        return base64.b64decode(response["raw_b64"])
    text = response.get("sse", response.get("ndjson"))
    if text is not None:
        return text.encode("utf-8")
    if isinstance(response.get("body"), list):
        return json.dumps(response["body"]).encode()
    return None


def read_whole(reader, data):
    """Feed a body at once; give the chunks."""
    return reader.feed(data) + reader.finish()


def read_in_pieces(reader, data, cuts):
    """Feed a body cut at the given places; give the chunks."""
    chunks = [chunk for part in split(data, cuts) for chunk in reader.feed(part)]
    return chunks + reader.finish()


def state_of(reader):
    """Give what a reader says of itself, comparable."""
    error = reader.error and (type(reader.error), reader.error.message, reader.error.code)
    return reader.done, reader.skipped, error


def assert_stream_matches(make_reader, data, expected, cuts=()):
    """Read a stream and compare it with the facts."""
    reader = make_reader()
    chunks = read_in_pieces(reader, data, cuts)
    failure = expected.get("stream_error") or expected.get("choice_error")

    if failure:
        assert reader.error is not None
        if failure.get("message"):
            assert failure["message"] in (reader.error.upstream_message or reader.error.message)
        accepted = [failure["class"], *failure.get("class_also", ())]
        assert word_of(reader.error) in accepted
        assert reader.error.retryable == failure["retryable"]
        assert_text(assemble(chunks), expected)
        return
    assert reader.error is None
    assert reader.done
    last = chunks[-1]
    assert last.usage is not None
    assert_facts(assemble(chunks), expected)
    assert (last.finish_reason_raw, last.model or None) == (
        raw_reason(expected),
        expected["model"],
    )
    assert last.response_id == expected["response_id"]


def assert_facts(response, expected):
    """Compare an answer with the facts of its recording."""
    assert_text(response, expected)
    assert_tool_calls(response.tool_calls, expected)
    assert response.refusal == (expected["refusal"] or None)
    accepted = [expected["finish_reason"], *expected.get("finish_reason_also", ())]
    assert response.finish_reason in accepted
    assert response.finish_reason_raw == raw_reason(expected)
    for ours, theirs in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_tokens", "cached_tokens"),
        ("cache_write_tokens", "cache_write_tokens"),
        ("reasoning_tokens", "reasoning_tokens"),
    ):
        got, want = getattr(response, ours), expected[theirs]
        assert want in (got, got or None), f"{ours}: {got} is not {want}"
    assert (response.model or None) == expected["model"]
    assert response.response_id == expected["response_id"]


def raw_reason(expected):
    """Give the provider's finish reason as text; where enums were asked for as integers it is one."""
    raw = expected["finish_reason_raw"]
    return None if raw is None else str(raw)


def assert_text(response, expected):
    """Compare the words alone."""
    assert response.content == expected["text"]
    thinking = expected.get("reasoning_text") or ""
    assert re.sub(r"\s", "", response.reasoning) == re.sub(r"\s", "", thinking)


def assert_tool_calls(calls, expected):
    """Compare tool calls; where the provider gave no id, any will do."""
    wanted = expected["tool_calls"]
    if wanted is None:
        return
    assert [c.name for c in calls] == [w["name"] for w in wanted]
    assert [c.arguments for c in calls] == [w["arguments"] for w in wanted]
    assert len({c.id for c in calls}) == len(calls)
    for call, want in zip(calls, wanted, strict=True):
        assert call.id
        assert want["id"] in (None, call.id)
