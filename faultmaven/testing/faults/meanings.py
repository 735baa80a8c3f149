"""Answers whose form is right and whose content is odd: choices, usage, finish reasons, tools.

The choices and usage are OpenAI chat's; finish reasons and tools are edited in every dialect that
has them.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from faultmaven.testing.answers import ToolUse
from faultmaven.testing.dialects.base import Event
from faultmaven.testing.faults.registry import event_fault, fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultmaven.testing.exchange import Exchange


def _edit(events: list[Event], change: Callable[[dict[str, Any]], Any]) -> list[Event]:
    """Give copies of the events, each object changed in place."""
    edited = []
    for event in events:
        data = copy.deepcopy(event.data)
        if isinstance(data, dict):
            change(data)
        edited.append(Event(data, event.kind, event.name))
    return edited


def _each_message(data: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    for choice in data.get("choices") or []:
        for key in ("delta", "message"):
            if key in choice:
                change(choice[key])


@event_fault("empty-choices")
def empty_choices(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send `choices: []`: the plain answer's only choices, or an event more in a stream."""
    if not x.is_stream:
        return _edit(events, lambda data: data.update(choices=[]))
    empty = _edit(events[:1], lambda data: data.update(choices=[]))
    return [*empty, *events[:3], *empty, *events[3:]]


@event_fault("two-choices")
def two_choices(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send a second choice, with other text, beside the first."""

    def change(data: dict[str, Any]) -> None:
        for choice in list(data.get("choices") or []):
            second = copy.deepcopy(choice) | {"index": 1}
            data["choices"].append(second)
            _each_message({"choices": [second]}, _shout)

    return _edit(events, change)


def _shout(message: dict[str, Any]) -> None:
    if message.get("content"):
        message["content"] = str(message["content"]).upper()


@event_fault("no-choices")
def no_choices(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Leave the field `choices` out."""
    return _edit(events, lambda data: data.pop("choices", None))


@event_fault("null-content")
def null_content(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send null as content, and in a stream also null as a delta."""

    def change(data: dict[str, Any]) -> None:
        _each_message(data, lambda message: message.update(content=None))

    edited = _edit(events, change)
    if len(edited) > 2:
        nothing = _edit(edited[1:2], _null_deltas)
        edited[2:2] = nothing
    return edited


def _null_deltas(data: dict[str, Any]) -> None:
    for choice in data.get("choices") or []:
        choice["delta"] = None


@event_fault("wrong-types")
def wrong_types(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send a number as content."""

    def number(message: dict[str, Any]) -> None:
        if message.get("content"):
            message["content"] = 5

    return _edit(events, lambda data: _each_message(data, number))


_FINISH_FIELDS = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason")


def _finish(data: Any, word: str) -> None:
    """Put another finish reason wherever a dialect keeps it."""
    if isinstance(data, list):
        for item in data:
            _finish(item, word)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key in _FINISH_FIELDS and isinstance(value, str):
                data[key] = word
            else:
                _finish(value, word)


@event_fault("unknown-finish")
def unknown_finish(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Give a finish reason that nobody has heard of."""
    return _edit(events, lambda data: _finish(data, "quantum_exhaustion"))


@fault("content-filter")
async def content_filter(x: Exchange) -> None:
    """Finish because of the filter, after some text."""
    x.say(["I cannot "])
    x.answer = replace(x.answer, finish_reason="content_filter")
    await x.ok()


@fault("length")
async def length(x: Exchange) -> None:
    """Finish because the token limit was reached, in the middle of the text."""
    x.say(list(x.answer.chunks[:3]))
    x.answer = replace(x.answer, finish_reason="length")
    await x.ok()


_USAGE_FIELDS = ("usage", "usageMetadata", "prompt_eval_count", "eval_count")


def _drop_usage(data: Any) -> None:
    if isinstance(data, dict):
        for key in _USAGE_FIELDS:
            data.pop(key, None)
        for value in data.values():
            _drop_usage(value)


@event_fault("missing-usage")
def missing_usage(_x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Leave usage out everywhere."""
    return _edit([event for event in events if event.kind != "usage"], _drop_usage)


_BAD_USAGE: dict[str, Any] = {
    "null": None,
    "string": {"prompt_tokens": "12", "completion_tokens": "many", "total_tokens": "?"},
    "negative": {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    "huge": {"prompt_tokens": 1e30, "completion_tokens": 1e30, "total_tokens": 2e30},
    "float": {"prompt_tokens": 3.7, "completion_tokens": 2.2, "total_tokens": 5.9},
    "partial": {"prompt_tokens": 12},
    "list": [1, 2, 3],
    "bool": {"prompt_tokens": True, "completion_tokens": False, "total_tokens": True},
}


@event_fault("bad-usage:KIND")
def bad_usage(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send usage that is null, string, negative, huge, float, partial, list or bool."""
    usage = _BAD_USAGE[x.args[0] if x.args else "negative"]

    def change(data: dict[str, Any]) -> None:
        if data.get("usage") is not None:
            data["usage"] = copy.deepcopy(usage)

    return _edit(events, change)


@event_fault("usage-each")
def usage_each(x: Exchange, events: list[Event]) -> Sequence[Event]:
    """Send the whole usage in every event."""
    whole = x.dialect.body(x.question, x.answer)
    if not isinstance(whole, dict) or "usage" not in whole:
        return events
    return _edit(events, lambda data: data.update(usage=whole["usage"]))


def _call(x: Exchange, *arguments: str) -> None:
    """Let the answer call tools, the first declared one or `lookup`, with these arguments."""
    names = [tool.name for tool in x.question.tools] or ["lookup"]
    uses = [
        ToolUse(f"call_{index}", names[index % len(names)], text)
        for index, text in enumerate(arguments)
    ]
    x.say([])
    x.answer = replace(x.answer, tool_uses=uses, finish_reason="tool_calls")


@fault("tool-args-invalid")
async def tool_args_invalid(x: Exchange) -> None:
    """Call a tool with arguments that are no JSON."""
    _call(x, '{"city": "Par')
    await x.ok()


@fault("tool-args-empty")
async def tool_args_empty(x: Exchange) -> None:
    """Call a tool with empty text as arguments."""
    _call(x, "")
    await x.ok()


def _each_call(data: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> None:
    def in_message(message: dict[str, Any]) -> None:
        for call in message.get("tool_calls") or []:
            change(call)

    _each_message(data, in_message)


@fault("tool-args-object")
async def tool_args_object(x: Exchange) -> None:
    """Call a tool with an object as arguments, where text belongs."""
    _call(x, "{}")
    arguments = {"city": "Paris"}
    events = x.events()
    if x.is_stream:
        events = [e for e in events if e.kind != "tool" or '"name"' in e.text]
    await x.reply_events(
        _edit(events, lambda d: _each_call(d, lambda c: c["function"].update(arguments=arguments)))
    )


@fault("tool-interleaved")
async def tool_interleaved(x: Exchange) -> None:
    """Call two tools whose pieces come in turn."""
    _call(x, '{"city": "Paris", "unit": "C"}', '{"city": "Berlin", "unit": "F"}')
    events = x.events()
    tools = [event for event in events if event.kind == "tool"]
    at = events.index(tools[0]) if tools else 0
    others = [event for event in events if event.kind != "tool"]
    half = len(tools) // 2
    turns = [event for pair in zip(tools[:half], tools[half:], strict=False) for event in pair]
    await x.reply_events([*others[:at], *turns, *others[at:]])


@fault("tool-no-id")
async def tool_no_id(x: Exchange) -> None:
    """Call two tools without giving ids."""
    _call(x, '{"city": "Paris"}', '{"city": "Berlin"}')
    await x.reply_events(
        _edit(x.events(), lambda data: _each_call(data, lambda call: call.pop("id", None)))
    )


@fault("tool-no-index")
async def tool_no_index(x: Exchange) -> None:
    """Stream two tool calls without giving indexes."""
    _call(x, '{"city": "Paris"}', '{"city": "Berlin"}')
    await x.reply_events(
        _edit(x.events(), lambda data: _each_call(data, lambda call: call.pop("index", None)))
    )
