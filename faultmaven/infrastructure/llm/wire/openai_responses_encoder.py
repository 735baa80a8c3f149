"""OpenAI Responses, the client's side: answers and streams out, in the API's exact grammar.

Every event has its place: sequence number, output index, item id and content index, without which the
official clients break.  Blocks of reasoning travel sealed in `encrypted_content`, whatever dialect they are
of, so that they come back with the next turn.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.types import ToolCallDelta, Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import shown_usage
from faultmaven.infrastructure.llm.wire.openai_responses_front import SEALED_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMChunk, LLMResponse

_INCOMPLETE: Final[Mapping[FinishReason | None, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
# The names of a part's text, and of the events that carry it, by what it is.
_PARTS: Final = {
    "text": ("output_text", "text", "response.output_text"),
    "refusal": ("refusal", "refusal", "response.refusal"),
    "reasoning": ("summary_text", "text", "response.reasoning_summary_text"),
}

# The text of a stream is repeated by the events at its end, and kept until then.
MAX_TEXT_BYTES: Final = 16 * 1024 * 1024

Namespaces = dict[str, tuple[str, str]]


def response_to_wire(
    response: LLMResponse, *, created: int, namespaces: Namespaces | None = None
) -> dict[str, Any]:
    """Write a plain answer.

    Args:
        response: the answer.
        created: seconds since 1970, UTC.
        namespaces: where tools came from; see `ResponsesCall`.
    """
    encoder = ResponsesStreamEncoder(
        response.response_id or "faultmaven", response.model, created, namespaces=namespaces
    )
    encoder.encode_whole(response)
    return encoder.response()


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Write token counts; what is not known is 0."""
    taken, given = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": taken,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": taken + given,
    }


class _Item:
    """An output item that is being written."""

    __slots__ = ("data", "index", "is_open", "part", "text")

    def __init__(self, index: int, data: dict[str, Any]) -> None:
        self.index = index
        self.data = data
        self.is_open = True
        # What the open part is, one of _PARTS, and the text that it has so far, in UTF-8.
        self.part: str | None = None
        self.text = bytearray()

    def taken_text(self) -> str:
        """Give the text so far, and begin a new one."""
        text, self.text = self.text, bytearray()
        return text.decode("utf-8", "surrogatepass")

    @property
    def parts(self) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = self.data[
            "summary" if self.data["type"] == "reasoning" else "content"
        ]
        return parts


class ResponsesStreamEncoder:
    """Writes one answer: `encode` each chunk, then `end`, or `error` instead.

    Args:
        response_id: one for all events of the answer.
        model: the name that the client is told.
        created: seconds since 1970, UTC.
        namespaces: where tools came from; see `ResponsesCall`.
    """

    def __init__(
        self,
        response_id: str,
        model: str,
        created: int,
        *,
        namespaces: Namespaces | None = None,
    ) -> None:
        self._id = response_id if response_id.startswith("resp_") else f"resp_{response_id}"
        self._model = model
        self._created = created
        self._namespaces = namespaces or {}
        self._events: list[bytes] = []
        self._sequence_number = 0
        self._has_begun = False
        self._items: list[_Item] = []
        self._calls: dict[int, _Item] = {}
        self._current: _Item | None = None
        self._usage = Usage()
        self._finish_reason: FinishReason | None = None
        self._kept_bytes = 0

    def encode(self, chunk: LLMChunk) -> bytes:
        """Write one chunk; `b""` where it holds nothing for the client.

        Raises:
            ResponseFormatError: the answer has got larger than what its last events can repeat.
        """
        self._begin()
        if chunk.reasoning:
            self._say("reasoning", chunk.reasoning)
        for detail in chunk.reasoning_details or ():
            self._detail(detail)
        if chunk.text:
            self._say("text", chunk.text)
        if chunk.refusal:
            self._say("refusal", chunk.refusal)
        for part in chunk.media or ():
            self._picture(part)
        for delta in chunk.tool_calls or ():
            self._call(delta)
        self._usage = chunk.usage or self._usage
        self._finish_reason = chunk.finish_reason or self._finish_reason
        if self._kept_bytes > MAX_TEXT_BYTES:
            msg = f"the answer has more than the {MAX_TEXT_BYTES >> 20} MiB that a Responses stream may have"
            raise ResponseFormatError(msg, code="response_too_large", retryable=False)
        return self._taken()

    def encode_whole(self, response: LLMResponse) -> None:
        """Take a whole answer, for its `response`; no events are kept."""
        if response.reasoning:
            self._say("reasoning", response.reasoning)
        for detail in response.reasoning_details:
            self._detail(detail)
        if response.content:
            self._say("text", response.content)
        if response.refusal:
            self._say("refusal", response.refusal)
        for part in response.media:
            self._picture(part)
        for index, call in enumerate(response.tool_calls):
            delta = ToolCallDelta.make(index, call.id, call.name, call.arguments_raw)
            delta.update({k: v for k, v in call.items() if k == "extra_content"})
            self._call(delta)
        self._usage = shown_usage(response)
        self._finish_reason = response.finish_reason
        self._leave_all()
        self._taken()

    def end(self) -> bytes:
        """Write the end of a complete answer."""
        self._begin()
        self._leave_all()
        response = self.response()
        self._event(f"response.{response['status']}", response=response)
        return self._taken()

    def error(self, body: Mapping[str, Any]) -> bytes:
        """Write an error after the beginning; nothing may follow it.

        `body` is an error as OpenAI's API has it: `{error: {message, type, param, code}}`.
        """
        self._begin()
        error = dict(body.get("error") or {})
        flat = {name: error.get(name) for name in ("code", "message", "param")}
        # Documented flat and sent nested: clients look for either, or only for the last event.
        self._event("error", **flat, error=error)
        failed = self.response() | {
            "status": "failed",
            "error": {
                "code": error.get("code") or "server_error",
                "message": error.get("message"),
            },
            "incomplete_details": None,
        }
        self._event("response.failed", response=failed)
        return self._taken()

    def response(self, status: str | None = None) -> dict[str, Any]:
        """Give the response as far as it has come; `status` None is that of a complete answer."""
        reason = _INCOMPLETE.get(self._finish_reason)
        if status is None:
            status = "completed" if reason is None else "incomplete"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "model": self._model,
            "output": [item.data for item in self._items],
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None if status == "in_progress" else usage_to_wire(self._usage),
        }

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._event("response.created", response=self.response("in_progress"))
            self._event("response.in_progress", response=self.response("in_progress"))

    def _event(self, kind: str, **fields: Any) -> None:
        body = {"type": kind, "sequence_number": self._sequence_number, **fields}
        self._sequence_number += 1
        self._events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), codec.dumps(body)))

    def _taken(self) -> bytes:
        events, self._events = self._events, []
        return b"".join(events)

    def _open(self, prefix: str, data: dict[str, Any]) -> _Item:
        index = len(self._items)
        item = _Item(index, {"id": f"{prefix}_{self._id.removeprefix('resp_')}_{index}", **data})
        self._event("response.output_item.added", output_index=index, item=item.data)
        self._items.append(item)
        return item

    def _close(self, item: _Item) -> None:
        if not item.is_open:
            return
        item.is_open = False
        if item.part is not None:
            self._close_part(item)
        if item.data["type"] == "function_call":
            if not item.text:
                # Clients parse the text, and no arguments are no JSON.
                self._say_arguments(item, "{}")
            item.data["arguments"] = item.taken_text()
            done = "response.function_call_arguments.done"
            self._event(done, **self._place(item), arguments=item.data["arguments"])
        if "status" in item.data:
            item.data["status"] = "completed"
        self._event("response.output_item.done", output_index=item.index, item=item.data)

    def _leave(self) -> None:
        """Close the open text or reasoning; calls stay open, as more of them may come at any time."""
        if self._current is not None:
            self._close(self._current)
        self._current = None

    def _leave_all(self) -> None:
        for item in self._items:
            self._close(item)
        self._current = None

    @staticmethod
    def _place(item: _Item) -> dict[str, Any]:
        return {"item_id": item.data["id"], "output_index": item.index}

    def _say(self, what: str, text: str) -> None:
        kind = "reasoning" if what == "reasoning" else "message"
        item = self._current
        if item is None or item.data["type"] != kind:
            item = self._begin_item(kind)
        if item.part != what:
            if item.part is not None:
                self._close_part(item)
            self._open_part(item, what)
        self._keep(item, text)
        extra: dict[str, Any] = {"logprobs": []} if what == "text" else {}
        self._event(f"{_PARTS[what][2]}.delta", **self._part_place(item), delta=text, **extra)

    def _begin_item(self, kind: str) -> _Item:
        self._leave()
        if kind == "reasoning":
            item = self._open("rs", {"type": "reasoning", "summary": []})
        else:
            data = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
            item = self._open("msg", data)
        self._current = item
        return item

    def _part_place(self, item: _Item) -> dict[str, Any]:
        name = "summary_index" if item.data["type"] == "reasoning" else "content_index"
        return {**self._place(item), name: len(item.parts)}

    def _open_part(self, item: _Item, what: str) -> None:
        item.part = what
        self._part_event(item, "added", _part(what, ""))

    def _close_part(self, item: _Item) -> None:
        what, text = item.part or "text", item.taken_text()
        done: dict[str, Any] = {_PARTS[what][1]: text}
        if what == "text":
            done["logprobs"] = []
        self._event(f"{_PARTS[what][2]}.done", **self._part_place(item), **done)
        part = _part(what, text)
        self._part_event(item, "done", part)
        item.parts.append(part)
        item.part = None

    def _part_event(self, item: _Item, when: str, part: dict[str, Any]) -> None:
        kind = "reasoning_summary_part" if item.data["type"] == "reasoning" else "content_part"
        self._event(f"response.{kind}.{when}", **self._part_place(item), part=part)

    def _detail(self, detail: Mapping[str, Any]) -> None:
        """Seal what the provider wants back into the reasoning that it belongs to."""
        item = self._current
        if item is None or item.data["type"] != "reasoning":
            item = self._begin_item("reasoning")
        item.data["encrypted_content"] = _sealed(detail)
        self._close(item)
        self._current = None

    def _picture(self, part: Mapping[str, Any]) -> None:
        """Write an image as the item of the API's own tool for them; sound has no place here."""
        found = content.picture_of(part)
        inline = found.inline if found is not None else None
        if inline is None or not inline.media_type.startswith("image/"):
            return
        self._leave()
        data = {"type": "image_generation_call", "status": "in_progress", "result": None}
        item = self._open("ig", data)
        item.data["result"] = inline.data
        item.data["output_format"] = inline.media_type.removeprefix("image/")
        self._close(item)

    def _call(self, delta: ToolCallDelta) -> None:
        item = self._calls.get(delta.index)
        if item is None:
            self._leave()
            item = self._calls[delta.index] = self._open("fc", self._call_data(delta))
        if delta.arguments:
            self._say_arguments(item, delta.arguments)

    def _keep(self, item: _Item, text: str) -> None:
        """Keep a piece, for the events at the end repeat the whole."""
        kept = text.encode("utf-8", "surrogatepass")
        item.text += kept
        self._kept_bytes += len(kept)

    def _say_arguments(self, item: _Item, text: str) -> None:
        self._keep(item, text)
        kind = "response.function_call_arguments.delta"
        self._event(kind, **self._place(item), delta=text)

    def _call_data(self, delta: ToolCallDelta) -> dict[str, Any]:
        space, name = self._namespaces.get(delta.name or "", (None, delta.name or ""))
        data: dict[str, Any] = {
            "type": "function_call",
            "status": "in_progress",
            "call_id": delta.id,
            "name": name,
            "arguments": "",
        }
        if space is not None:
            data["namespace"] = space
        if "extra_content" in delta:
            data["extra_content"] = delta["extra_content"]
        return data


def _part(what: str, text: str) -> dict[str, Any]:
    kind, name, _ = _PARTS[what]
    part: dict[str, Any] = {"type": kind, name: text}
    return {**part, "annotations": [], "logprobs": []} if what == "text" else part


def _sealed(detail: Mapping[str, Any]) -> str:
    return SEALED_PREFIX + base64.urlsafe_b64encode(codec.dumps(dict(detail))).decode("ascii")
