"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import invalid
from faultmaven.gateway.front import Ask
from faultmaven.gateway.fronts import openai_error
from faultmaven.gateway.odd_answers import (
    KNOWN_REASONS,
    is_usual,
    mend_content,
    mend_reason,
    mend_usage,
)
from faultmaven.gateway.odd_calls import CallPieces, mend_calls
from faultmaven.gateway.watch import StreamWatch, data_event
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.estimate import said_bytes
from faultmaven.infrastructure.llm.wire.openai_chat import (
    is_error_object,
    usage_from_wire,
    usage_object,
)
from faultmaven.infrastructure.llm.wire.openai_chat_front import (
    DONE,
    ChatStreamEncoder,
    request_from_wire,
    response_to_wire,
)
from faultmaven.infrastructure.llm.wire.shapes import as_integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.sse import ServerSentEvent
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse, Usage

_NUMBER: Final = (int, float)
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "frequency_penalty": (_NUMBER, "a number"),
    "logprobs": ((bool,), "true or false"),
    "max_completion_tokens": ((int,), "an integer"),
    "max_tokens": ((int,), "an integer"),
    "messages": ((list,), "a list of messages"),
    "metadata": ((dict,), "an object"),
    "model": ((str,), "the name of a model"),
    "n": ((int,), "an integer"),
    "parallel_tool_calls": ((bool,), "true or false"),
    "presence_penalty": (_NUMBER, "a number"),
    "reasoning_effort": ((str,), "a string"),
    "response_format": ((dict,), "an object"),
    "seed": ((int,), "an integer"),
    "stop": ((str, list), "a string or a list of strings"),
    "stream": ((bool,), "true or false"),
    "stream_options": ((dict,), "an object"),
    "temperature": (_NUMBER, "a number"),
    "tool_choice": ((str, dict), "a string or an object"),
    "tools": ((list,), "a list of tools"),
    "top_p": (_NUMBER, "a number"),
    "user": ((str,), "a string"),
}


def check_kinds(
    body: Mapping[str, Any], kinds: Mapping[str, tuple[tuple[type, ...], str]]
) -> None:
    """Check the types of the fields that are there; null is as good as absent, 6.0 is an integer.

    Raises:
        Fault: one has another type.
    """
    for name, value in body.items():
        known = kinds.get(name)
        if known is None or value is None:
            continue
        types, words = known
        if type(value) not in types and type(as_integer(value)) not in types:
            msg = f"{name} must be {words}."
            raise invalid(msg, name)


class ChatFront:
    """OpenAI Chat Completions."""

    name = "openai_chat"
    wire_format: str | None = "openai_chat"
    passed_headers: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = ("max_tokens", "max_completion_tokens")
    error_body = staticmethod(openai_error.error_body)
    error_event = staticmethod(openai_error.error_event)

    def read(self, body: dict[str, Any]) -> Ask:
        """Check types, and that there are messages; see `FrontEnd.read`."""
        check_kinds(body, _KINDS)
        model = body.get("model")
        if not model:
            msg = "model is missing: name a model."
            raise invalid(msg, "model")
        messages = body.get("messages")
        if not messages:
            msg = "messages must have at least one message."
            raise invalid(msg, "messages")
        for place, message in enumerate(messages):
            if type(message) is not dict or type(message.get("role")) is not str:
                msg = f"messages[{place}] must be an object with a role."
                raise invalid(msg, f"messages[{place}]")
        options = body.get("stream_options")
        wants_usage = options is not None and options.get("include_usage") is True
        return Ask(model, body.get("stream") is True, body, wants_usage)

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms; see `FrontEnd.make_request`."""
        return request_from_wire(ask.body).request

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer; see `FrontEnd.write_answer`."""
        wire = response_to_wire(response, created=now_s())
        if not response.response_id:
            wire["id"] = f"chatcmpl-{ask.request_id}"
        return codec.dumps(wire)

    def make_encoder(self, ask: Ask, model: str) -> ChatStreamEncoder:
        """Make what writes a streamed answer; see `FrontEnd.make_encoder`."""
        response_id = f"chatcmpl-{ask.request_id}"
        return ChatStreamEncoder(response_id, model, now_s(), include_usage=ask.include_usage)

    def check_answer(self, data: Any) -> Usage | None:
        """Look at a relayed answer; see `FrontEnd.check_answer`."""
        if type(data) is not dict:
            msg = "the answer is not a JSON object"
            raise ResponseFormatError(msg, code="not_an_object")
        choices = data.get("choices")
        if type(choices) is not list or not choices:
            _refuse_choiceless(data)
            return usage_from_wire(data.get("usage"))
        message = choices[0].get("message") if type(choices[0]) is dict else None
        content = message.get("content") if type(message) is dict else 0
        if content is not None and type(content) not in (str, list, dict):
            msg = "the answer's message is not a message"
            raise ResponseFormatError(msg, code="wrong_type")
        return usage_from_wire(usage_object(data))

    def mend_answer(self, data: Any, counted: Usage | None) -> bool:
        """Put a relayed answer into words that clients know; see `FrontEnd.mend_answer`."""
        try:
            mended = [_mend_choice(choice, data.get("id")) for choice in data["choices"]]
        except (AttributeError, KeyError, TypeError) as exc:
            msg = "the answer's message is not a message"
            raise ResponseFormatError(msg, code="wrong_type") from exc
        usage = data.get("usage")
        return (bool(usage) and mend_usage(usage, counted)) or any(mended)

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Make what looks at a relayed stream; see `FrontEnd.make_watch`."""
        return ChatWatch(include_usage=ask.include_usage, finish_optional=finish_optional)


def _mend_choice(choice: dict[str, Any], seed: object) -> bool:
    message = choice["message"]
    mended = mend_content(message)
    mended = mend_reason(choice, is_whole=True) or mended
    if calls := message.get("tool_calls"):
        is_cut_off = choice["finish_reason"] == "length"
        mended = mend_calls(calls, seed, is_cut_off=is_cut_off) or mended
    return mended


def _refuse_choiceless(data: dict[str, Any]) -> None:
    """Let an empty list of choices pass, and nothing else.

    Raises:
        LLMError: the body is an error, or no answer.
    """
    if is_error_object(data) or data.get("error"):
        raise parse_error_object(data)
    if data.get("choices") != []:
        msg = "the answer has no choices"
        raise ResponseFormatError(msg, code="no_choices")


def now_s() -> int:
    """Give the time of day in seconds since 1970."""
    return time.time_ns() // 1_000_000_000


class ChatWatch(StreamWatch):
    """Looks at `chat.completion.chunk` events.

    Args:
        include_usage: pass the chunk on that holds nothing but token counts.
        finish_optional: the provider may end an answer without a finish reason.
    """

    def __init__(self, *, include_usage: bool, finish_optional: bool = False) -> None:
        super().__init__()
        self._include_usage = include_usage
        self._finish_seen = finish_optional
        self._calls = CallPieces()

    def _read_block(self, block: bytes) -> bytes | None:
        mark = len(block)
        if block.endswith(DONE):
            mark -= len(DONE)
        if mark:
            if not block.startswith(b"data: {") or block.find(b"\n:", 0, mark) >= 0:
                return None
            packets = codec.loads(b"[%b]" % block[6 : mark - 2].replace(b"\n\ndata: ", b","))
            if len(packets) != block.count(b"\n\n", 0, mark):
                return None
            kept_back = self._note(packets)
            if kept_back is None:
                return None
            self.events += len(packets)
            if kept_back:
                events = block.split(b"\n\n")
                block = b"\n\n".join(e for n, e in enumerate(events) if n not in kept_back)
        if block.endswith(DONE):
            if not self._finish_seen:
                return None
            self.done = True
        return block

    def _note(self, packets: list[dict[str, Any]]) -> set[int] | None:
        """Note what ordinary chunks say, and give the places of those that the client did not ask for.

        None means that there is something that must be looked at one by one.
        """
        reason, begun, usage, said = None, self.begun, None, 0
        kept_back: set[int] = set()
        for place, packet in enumerate(packets):
            if "error" in packet:
                return None
            choices = packet["choices"]
            if choices:
                choice = choices[0]
                reason = choice.get("finish_reason") or reason
                delta = choice["delta"]
                content = delta.get("content")
                calls = delta.get("tool_calls")
                if (content is not None and content.__class__ is not str) or (
                    calls and not self._calls.are_usual(calls)
                ):
                    return None
                begun = begun or _has_content(delta)
                if content and content.isascii():
                    said += len(content)
                elif delta:
                    said += said_bytes(delta)
            elif packet.get("usage") and not self._include_usage:
                kept_back.add(place)
            usage = packet.get("usage") or usage
        if (reason or usage is not None) and not self._note_end(reason, usage):
            return None
        self.begun = begun
        self.said_bytes += said
        return kept_back

    def _note_end(self, reason: str | None, usage: Any) -> bool:
        """Note why the answer ended and its tokens; False, with nothing noted, where either is to be mended."""
        counted = usage_from_wire(usage)
        if not is_usual(usage, counted):
            return False
        if reason:
            if reason not in KNOWN_REASONS or self._calls.has_bare:
                return False
            self._finish_seen, self.finish_reason = True, reason
        self.usage = counted or self.usage
        return True

    def _read_event(self, event: ServerSentEvent, packet: dict[str, Any]) -> bytes:
        choices = packet.get("choices")
        if (
            event.event == "error"
            or packet.get("error")
            or (not choices and is_error_object(packet))
        ):
            raise parse_error_object(packet)
        counted = usage_object(packet)
        mended = self._read_usage(counted)
        if choices:
            mended = self._read_choice(choices[0], packet.get("id")) or mended
        elif counted and not self._include_usage:
            return b""
        return b"data: %b\n\n" % codec.dumps(packet) if mended else data_event(event, packet)

    def _read_usage(self, usage: Any) -> bool:
        """Note token counts; whether they had to be mended."""
        counted = usage_from_wire(usage)
        self.usage = counted or self.usage
        return mend_usage(usage, counted)

    def _read_choice(self, choice: dict[str, Any], seed: object) -> bool:
        """Note what a choice says; whether it had to be mended."""
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict) or type(delta.get("content")) in (int, float, bool, dict):
            msg = "a chunk's delta is not a message"
            raise ResponseFormatError(msg, code="wrong_type")
        mended = mend_content(delta)
        if (raw := choice.get("finish_reason")) is not None:
            self._finish_seen = True
            mended = mend_reason(choice, is_whole=False) or mended
            self.finish_reason = str(choice["finish_reason"])
        self.begun = self.begun or _has_content(delta)
        self.said_bytes += said_bytes(delta)
        if calls := delta.get("tool_calls"):
            mended = self._calls.mend(calls, seed) or mended
        if raw and self._calls.has_bare and self.finish_reason != "length":
            choice["delta"] = {**delta, "tool_calls": [*(calls or ()), *self._calls.complete()]}
            return True
        return mended

    def _is_end(self, event: ServerSentEvent) -> bool:
        return event.data == b"[DONE]"

    def _close(self) -> bool:
        self.done = self._finish_seen
        return self.done

    def _ending(self) -> bytes:
        return DONE


def _has_content(delta: Mapping[str, Any]) -> bool:
    """Tell whether a delta holds a part of an answer."""
    if delta.get("content"):
        return True
    return any(
        delta.get(name)
        for name in ("tool_calls", "reasoning_content", "reasoning", "refusal", "function_call")
    )
