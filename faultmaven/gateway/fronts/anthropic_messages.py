"""`POST /v1/messages`: Anthropic's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import invalid
from faultmaven.gateway.front import AsItIs, Ask
from faultmaven.gateway.fronts.openai_chat import check_kinds
from faultmaven.gateway.named_watch import NamedWatch
from faultmaven.gateway.watch import StreamWatch, data_event
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.wire.anthropic_encoder import StreamEncoder, response_to_wire
from faultmaven.infrastructure.llm.wire.anthropic_front import request_from_wire
from faultmaven.infrastructure.llm.wire.anthropic_messages import usage_from_wire
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.estimate import said_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.faults import Fault, Kind
    from faultmaven.gateway.front import Encoder
    from faultmaven.infrastructure.llm.sse import ServerSentEvent
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse, Usage

# Anthropic's clients read a request's id from it (anthropic 2.12, `_request_id`).
ID_HEADER: Final = "request-id"
_NUMBER: Final = (int, float)
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "max_tokens": ((int,), "an integer"),
    "messages": ((list,), "a list of messages"),
    "metadata": ((dict,), "an object"),
    "model": ((str,), "the name of a model"),
    "stop_sequences": ((list,), "a list of strings"),
    "stream": ((bool,), "true or false"),
    "system": ((str, list), "a string or a list of blocks"),
    "temperature": (_NUMBER, "a number"),
    "thinking": ((dict,), "an object"),
    "tool_choice": ((dict,), "an object"),
    "tools": ((list,), "a list of tools"),
    "top_k": ((int,), "an integer"),
    "top_p": (_NUMBER, "a number"),
}
_TYPES: Final[dict[Kind, str]] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "api_error",
    "internal": "api_error",
}


def error_body(fault: Fault, request_id: str) -> dict[str, Any]:
    """Give the body of an error, which is also its event in a stream."""
    body: dict[str, Any] = {
        "type": "error",
        "error": {"type": _TYPES[fault.kind], "message": fault.message},
    }
    if request_id:
        body["request_id"] = request_id
    return body


def read_messages(body: dict[str, Any]) -> Ask:
    """Check types, and that there are messages.

    Raises:
        Fault: something is missing or of the wrong type.
    """
    check_kinds(body, _KINDS)
    model = body.get("model")
    if not model:
        msg = "model: Field required"
        raise invalid(msg, "model")
    messages = body.get("messages")
    if not messages:
        msg = "messages: at least one message is required"
        raise invalid(msg, "messages")
    for place, message in enumerate(messages):
        if type(message) is not dict or type(message.get("role")) is not str:
            msg = f"messages.{place}: must be an object with a role"
            raise invalid(msg, f"messages.{place}")
    return Ask(model, body.get("stream") is True, body)


class MessagesFront(AsItIs):
    """Anthropic Messages."""

    name = "anthropic_messages"
    wire_format: str | None = "anthropic_messages"
    passed_headers: tuple[str, ...] = ("anthropic-beta", "anthropic-version")
    answer_fields: tuple[str, ...] = ("max_tokens",)
    error_body = staticmethod(error_body)

    def read(self, body: dict[str, Any]) -> Ask:
        """Check what can be checked cheaply; see `FrontEnd.read`."""
        ask = read_messages(body)
        if body.get("max_tokens") is None:
            msg = "max_tokens: Field required"
            raise invalid(msg, "max_tokens")
        return ask

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms; see `FrontEnd.make_request`."""
        return request_from_wire(ask.body)

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer; see `FrontEnd.write_answer`."""
        response.response_id = response.response_id or ask.request_id
        return codec.dumps(response_to_wire(response))

    def make_encoder(self, ask: Ask, model: str) -> Encoder:
        """Make what writes a streamed answer; see `FrontEnd.make_encoder`."""
        return StreamEncoder(ask.request_id, model)

    def check_answer(self, data: Any) -> Usage | None:
        """Look at a relayed answer; see `FrontEnd.check_answer`."""
        if type(data) is not dict:
            msg = "the answer is not a JSON object"
            raise ResponseFormatError(msg, code="not_an_object")
        if type(data.get("content")) is not list:
            if data.get("error") or data.get("type") == "error":
                raise parse_error_object(data)
            msg = "the answer has no content"
            raise ResponseFormatError(msg, code="malformed_response")
        return usage_from_wire(data.get("usage"))

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Make what looks at a relayed stream; see `FrontEnd.make_watch`."""
        del ask, finish_optional
        return MessagesWatch()

    def error_event(self, fault: Fault, request_id: str, encoder: Encoder | None = None) -> bytes:
        """Give the event that ends a stream in an error."""
        del encoder
        return b"event: error\ndata: %b\n\n" % codec.dumps(error_body(fault, request_id))


class MessagesWatch(NamedWatch):
    """Looks at Anthropic's events."""

    _usual = b"event: content_block_delta\ndata: "

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}

    def _note(self, packets: list[dict[str, Any]]) -> bool:
        telling, said = [], 0
        for packet in packets:
            if packet["type"] != "content_block_delta":
                telling.append(packet)
                continue
            delta = packet.get("delta")
            text = delta.get("text") if type(delta) is dict else None
            if type(text) is str and text.isascii():
                said += len(text)
            else:
                said += said_bytes(delta)
        if telling and any(p["type"] in ("error", "message_stop") for p in telling):
            return False
        self.begun = self.begun or len(telling) < len(packets)
        for packet in telling:
            self._note_one(packet)
        self.said_bytes += said
        return True

    def _note_one(self, packet: dict[str, Any]) -> None:
        kind = packet["type"]
        if kind == "message_start":
            counts = _counts_of(packet["message"])
            self._counts.update({n: v for n, v in counts.items() if n != "output_tokens"})
            self.usage = usage_from_wire(self._counts)
        elif kind == "message_delta":
            self._counts.update(_counts_of(packet))
            self.usage = usage_from_wire(self._counts)
            self.finish_reason = packet["delta"].get("stop_reason") or self.finish_reason
        elif kind == "content_block_start":
            self.begun = self.begun or packet["content_block"].get("type") == "tool_use"

    def _read_event(self, event: ServerSentEvent, packet: dict[str, Any]) -> bytes:
        kind = packet.get("type") or event.event
        if kind == "error" or packet.get("error"):
            raise parse_error_object(packet)
        if kind == "content_block_delta":
            if not isinstance(packet.get("delta"), dict):
                msg = "a delta of the stream is not an object"
                raise ResponseFormatError(msg, code="wrong_type")
            self.begun = True
            self.said_bytes += said_bytes(packet["delta"])
        elif kind == "message_stop":
            self.done = self.finish_reason is not None or self.begun
        else:
            self._note_one({**packet, "type": kind})
        return data_event(event, packet, named=True)

    def _is_end(self, event: ServerSentEvent) -> bool:
        return event.data == b"[DONE]"

    def _close(self) -> bool:
        # The stop reason comes with the last event but one.
        self.done = self.finish_reason is not None
        return self.done

    def _ending(self) -> bytes:
        return b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def _counts_of(holder: dict[str, Any]) -> dict[str, Any]:
    counts = holder.get("usage")
    return counts if type(counts) is dict else {}
