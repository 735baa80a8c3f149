"""OpenAI's chat completions, read by the book."""

from __future__ import annotations

from typing import Any

from tests.recordings.told import Told, events_of


def read_chat(answer: dict[str, Any]) -> Told:
    """Read a chat completion; of several choices the first one."""
    choice = answer["choices"][0]
    assert choice["finish_reason"], "the choice has no finish reason"
    told = Told(finish=choice["finish_reason"])
    _add_message(told, choice["message"])
    for call in choice["message"].get("tool_calls") or ():
        told.calls.append((call["id"], call["function"]["name"], call["function"]["arguments"]))
    _add_chat_usage(told, answer.get("usage"))
    told.turn = [choice["message"]]
    return told


def read_chat_stream(text: str, *, strict: bool = True) -> Told:
    """Read chunks: one role, one finish reason, token counts behind it, and `[DONE]` unless it failed."""
    events = [data for _, data in events_of(text)]
    reader = _ChunkReader(strict=strict)
    if isinstance(events[-1], dict) and "error" in events[-1]:
        reader.told.error = events.pop()["error"]
    else:
        assert events.pop() == "[DONE]", "the stream does not end with its mark"
    for event in events:
        _add_chat_usage(reader.told, event.get("usage"))
        for choice in event["choices"]:
            if not choice["index"]:
                reader.add(choice)
    if strict:
        assert len({(event["id"], event["model"]) for event in events}) == 1
    return reader.close()


class _ChunkReader:
    """Joins the chunks of the first choice."""

    def __init__(self, *, strict: bool) -> None:
        self.told = Told()
        self._strict = strict
        self._has_begun = False
        self._calls: dict[int, dict[str, Any]] = {}
        self._details: list[dict[str, Any]] = []

    def add(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        if self._strict:
            assert not self.told.finish, "something follows the finish reason"
            assert self._has_begun == ("role" not in delta), "the role is not in the first chunk"
        self._has_begun = True
        _add_message(self.told, delta)
        self._details += delta.get("reasoning_details") or ()
        for piece in delta.get("tool_calls") or ():
            self._add_call(piece)
        self.told.finish = choice.get("finish_reason") or self.told.finish

    def _add_call(self, piece: dict[str, Any]) -> None:
        index, function = piece["index"], piece.get("function") or {}
        if index not in self._calls:
            assert piece["id"], "a call begins without an id"
            assert function["name"], "a call begins without a name"
            call = {name: value for name, value in piece.items() if name != "index"}
            self._calls[index] = {**call, "function": {**function, "arguments": ""}}
        self._calls[index]["function"]["arguments"] += function.get("arguments") or ""

    def close(self) -> Told:
        told, calls = self.told, [*self._calls.values()]
        assert [*self._calls] == sorted(self._calls), "the calls' indexes are not in order"
        assert told.finish or told.error, "the stream has no finish reason"
        told.calls = [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
        ]
        turn = {"role": "assistant", "content": told.text, "reasoning_content": told.reasoning}
        details = self._details or None
        told.turn = [{**turn, "tool_calls": calls or None, "reasoning_details": details}]
        return told


def _add_message(told: Told, message: dict[str, Any]) -> None:
    content = message.get("content")
    assert content is None or isinstance(content, str), f"content is a {type(content).__name__}"
    told.text += content or ""
    told.refusal += message.get("refusal") or ""
    told.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""


def _add_chat_usage(told: Told, usage: dict[str, Any] | None) -> None:
    if not usage:
        return
    told.input_tokens, told.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    told.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    spent = usage.get("completion_tokens_details") or {}
    told.reasoning_tokens = spent.get("reasoning_tokens")
