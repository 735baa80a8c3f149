"""Gemini's answers, read by the book."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.recordings.told import Told, events_of

_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}


def _reason_of(candidate: dict[str, Any], *, has_calls: bool) -> str | None:
    """Say why it ended; this API has no word of its own for calls."""
    reason = candidate.get("finishReason")
    if reason is None:
        return None
    found = _REASONS.get(reason, "content_filter")
    return "tool_calls" if has_calls and found == "stop" else found


def read_generated(answer: dict[str, Any]) -> Told:
    """Read a whole answer, or one event of a stream."""
    [candidate] = answer["candidates"]
    told = Told(turn=[candidate["content"]])
    assert candidate["content"]["role"] == "model"
    for part in candidate["content"]["parts"]:
        if call := part.get("functionCall"):
            told.calls.append((call["id"], call["name"], call["args"]))
        elif part.get("thought"):
            told.reasoning += part["text"]
        elif "inlineData" not in part:
            told.text += part["text"]
    told.finish = _reason_of(candidate, has_calls=bool(told.calls))
    if usage := answer.get("usageMetadata"):
        thoughts = usage.get("thoughtsTokenCount") or 0
        told.input_tokens = usage["promptTokenCount"]
        told.output_tokens = usage["candidatesTokenCount"] + thoughts
        told.cached_tokens = usage.get("cachedContentTokenCount")
        told.reasoning_tokens = thoughts
        total = usage["totalTokenCount"]
        assert total >= told.input_tokens + told.output_tokens, f"the sum is {usage}"
    return told


def read_generated_stream(text: str, *, strict: bool = True) -> Told:
    """Read events: each an answer of its own, the last one with the reason."""
    del strict
    told = Told()
    events = [event for _, event in events_of(text)]
    if "error" in events[-1]:
        told.error = events.pop()["error"]
    pieces = [read_generated(event) for event in events]
    assert not any(piece.finish for piece in pieces[:-1]), "something follows the finish reason"
    assert told.error or pieces[-1].finish, "the stream has no finish reason"
    for piece in pieces:
        told.text += piece.text
        told.reasoning += piece.reasoning
        told.calls += piece.calls
    parts = [part for piece in pieces for part in piece.turn[0]["parts"]]
    told.turn = [{"role": "model", "parts": parts}]
    if pieces:
        last = pieces[-1]
        told.finish, told.cached_tokens = last.finish, last.cached_tokens
        told.input_tokens, told.output_tokens = last.input_tokens, last.output_tokens
        told.reasoning_tokens = last.reasoning_tokens
    assert all(a["responseId"] == b["responseId"] for a, b in pairwise(events))
    return told
