"""Anthropic's messages, read by the book."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from tests.recordings.told import Told, events_of

_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def read_message(answer: dict[str, Any]) -> Told:
    """Read a message."""
    assert (answer["type"], answer["role"]) == ("message", "assistant")
    turn = [{"role": "assistant", "content": answer["content"]}]
    told = Told(finish=_STOPS.get(answer["stop_reason"]), turn=turn)
    assert answer["stop_reason"], "the message has no stop reason"
    for block in answer["content"]:
        _add_block(told, block)
    _add_message_usage(told, answer["usage"])
    return told


def _add_block(told: Told, block: dict[str, Any]) -> None:
    kind = block["type"]
    if kind == "text":
        told.text += block["text"]
    elif kind == "thinking":
        assert isinstance(block["signature"], str)
        told.reasoning += block["thinking"]
    elif kind == "tool_use":
        told.calls.append((block["id"], block["name"], block["input"]))


def _add_message_usage(told: Told, usage: dict[str, Any]) -> None:
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    told.input_tokens = usage["input_tokens"] + read + written
    told.output_tokens, told.cached_tokens = usage["output_tokens"], read
    spent = usage.get("output_tokens_details") or {}
    told.reasoning_tokens = spent.get("thinking_tokens")


_FIELDS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}


def read_message_stream(text: str, *, strict: bool = True) -> Told:
    """Read events: blocks one after the other, each with deltas of its kind, then why it ended."""
    events = events_of(text)
    assert all(name == event["type"] for name, event in events), "an event has another's name"
    packets = [event for _, event in events if event["type"] != "ping"]
    error = packets.pop()["error"] if packets[-1]["type"] == "error" else None
    kinds = [packet["type"] for packet in packets]
    assert kinds[0] == "message_start"
    assert kinds.count("message_start") == 1
    if error is None:
        assert kinds[-2:] == ["message_delta", "message_stop"], "the end is no end"
    inner = [packet for packet in packets if packet["type"].startswith("content_block")]
    told = Told(error=error, turn=[{"role": "assistant", "content": []}])
    for place, (index, group) in enumerate(groupby(inner, key=lambda packet: packet["index"])):
        assert index == place, "a block has another's index"
        block = _block_of([*group], cut_off=error is not None)
        _add_block(told, block)
        if block["type"] == "tool_use" and isinstance(block["input"], str):
            block = {**block, "input": _object_of(block["input"])}
        told.turn[0]["content"].append(block)
    usage = dict(packets[0]["message"]["usage"])
    for packet in packets:
        if packet["type"] == "message_delta":
            assert packet["delta"]["stop_reason"]
            told.finish = _STOPS.get(packet["delta"]["stop_reason"])
            usage |= {name: n for name, n in (packet.get("usage") or {}).items() if n is not None}
    _add_message_usage(told, usage)
    if strict:
        assert kinds.count("message_delta") <= 1
    return told


def _object_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _block_of(packets: list[dict[str, Any]], *, cut_off: bool) -> dict[str, Any]:
    first, *deltas = packets
    assert first["type"] == "content_block_start"
    if not cut_off:
        assert packets[-1]["type"] == "content_block_stop", "a block does not stop"
    block = dict(first["content_block"])
    texts: dict[str, str] = {}
    for place, packet in enumerate(deltas, 1):
        if packet["type"] == "content_block_stop":
            assert place == len(deltas), "something of a block follows its stop"
            continue
        assert packet["type"] == "content_block_delta"
        delta = packet["delta"]
        if delta["type"] not in _FIELDS:
            continue
        kind, name = _FIELDS[delta["type"]]
        assert block["type"] in (kind, f"server_{kind}"), f"{delta['type']} in a {block['type']}"
        texts[name] = texts.get(name, "") + delta[name]
    if "partial_json" in texts:
        assert block["input"] == {}
        block["input"] = texts.pop("partial_json") or {}
    return {**block, **{name: block.get(name, "") + value for name, value in texts.items()}}
