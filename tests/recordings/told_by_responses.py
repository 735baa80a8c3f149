"""OpenAI's responses, read by the book."""

from __future__ import annotations

from typing import Any

from tests.recordings.told import Told, events_of

_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}


def read_response(answer: dict[str, Any]) -> Told:
    """Read a response."""
    assert answer["object"] == "response"
    told = Told(finish="stop", turn=answer["output"])
    for item in answer["output"]:
        _add_item(told, item)
    if told.calls:
        told.finish = "tool_calls"
    if answer["status"] == "incomplete":
        told.finish = _INCOMPLETE[answer["incomplete_details"]["reason"]]
    else:
        assert answer["status"] == "completed", f"the status is {answer['status']}"
    if usage := answer.get("usage"):
        told.input_tokens, told.output_tokens = usage["input_tokens"], usage["output_tokens"]
        told.cached_tokens = (usage.get("input_tokens_details") or {}).get("cached_tokens")
        told.reasoning_tokens = (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
        assert usage["total_tokens"] >= usage["input_tokens"] + usage["output_tokens"]
    return told


def _add_item(told: Told, item: dict[str, Any]) -> None:
    kind = item["type"]
    if kind == "function_call":
        told.calls.append((item["call_id"], item["name"], item["arguments"]))
    elif kind == "reasoning":
        parts = [*item["summary"], *(item.get("content") or ())]
        told.reasoning += "".join(part["text"] for part in parts)
    elif kind == "message":
        for part in item["content"]:
            told.text += part.get("text", "")
            told.refusal += part.get("refusal", "")


_TEXTS = {
    "response.output_text": ("text", "content_index"),
    "response.refusal": ("refusal", "content_index"),
    "response.reasoning_summary_text": ("text", "summary_index"),
    "response.reasoning_text": ("text", "content_index"),
    "response.function_call_arguments": ("arguments", None),
}


def read_response_stream(text: str, *, strict: bool = True) -> Told:
    """Read events: each in its place, each delta in what is done, and all of it in the last one."""
    events = events_of(text)
    assert all(name == event["type"] for name, event in events), "an event has another's name"
    packets = [event for _, event in events]
    numbers = [event.get("sequence_number") for event in packets]
    assert numbers == list(range(numbers[0] or 0, len(numbers))), "events are not numbered on"
    assert packets[0]["type"] == "response.created"
    last = packets[-1]
    if last["type"] in ("response.failed", "error"):
        told = Told(error=last.get("error") or last["response"]["error"])
        _add_done_items(told, packets)
        return told
    assert last["type"] in ("response.completed", "response.incomplete"), "the end is no end"
    assert last["type"] == f"response.{last['response']['status']}"
    items = _items_of(packets, strict=strict)
    if strict:
        assert [*items.values()] == last["response"]["output"], "the end holds other items"
        assert packets[1]["type"] == "response.in_progress"
    return read_response(
        {**last["response"], "output": last["response"]["output"] or [*items.values()]}
    )


def _add_done_items(told: Told, packets: list[dict[str, Any]]) -> None:
    for packet in packets:
        kind = packet["type"].removesuffix(".delta")
        if kind == "response.output_text":
            told.text += packet.get("delta", "")
        if kind == "response.reasoning_summary_text":
            told.reasoning += packet.get("delta", "")


def _items_of(packets: list[dict[str, Any]], *, strict: bool) -> dict[int, dict[str, Any]]:
    """Follow the items from `added` to `done`; give them as they are in the end, by index."""
    opened: dict[int, dict[str, Any]] = {}
    done: dict[int, dict[str, Any]] = {}
    texts: dict[tuple[str, int, int | None], str] = {}
    for packet in packets:
        kind, index = packet["type"], packet.get("output_index")
        if index is None:
            continue
        if kind == "response.output_item.added":
            assert index == len(opened), "an item has another's place"
            opened[index] = packet["item"]
            continue
        assert index in opened.keys() - done.keys(), f"{kind} of an item that is not open"
        if strict and "item_id" in packet:
            assert packet["item_id"] == opened[index]["id"], f"{kind} has another item's id"
        if kind == "response.output_item.done":
            assert not strict or packet["item"]["id"] == opened[index]["id"]
            done[index] = packet["item"]
            continue
        what, _, when = kind.rpartition(".")
        if what not in _TEXTS:
            continue
        name, place = _TEXTS[what]
        key = (what, index, packet[place] if place else None)
        if when == "delta":
            texts[key] = texts.get(key, "") + packet["delta"]
        else:
            assert packet[name] == texts.get(key, ""), f"{kind} says something else"
    assert done.keys() == opened.keys(), "an item is not done"
    return dict(sorted(done.items()))
