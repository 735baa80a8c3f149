"""`POST /v1/responses`: OpenAI's newer API, without anything stored between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import invalid
from faultmaven.gateway.front import AsItIs, Ask
from faultmaven.gateway.fronts import openai_error
from faultmaven.gateway.fronts.openai_chat import check_kinds, now_s
from faultmaven.gateway.named_watch import NamedWatch
from faultmaven.gateway.watch import StreamWatch, data_event
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.estimate import text_bytes
from faultmaven.infrastructure.llm.wire.openai_responses import raise_failure, usage_from_wire
from faultmaven.infrastructure.llm.wire.openai_responses_encoder import (
    ResponsesStreamEncoder,
    response_to_wire,
)
from faultmaven.infrastructure.llm.wire.openai_responses_front import request_from_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.faults import Fault
    from faultmaven.gateway.front import Encoder
    from faultmaven.infrastructure.llm.sse import ServerSentEvent
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse, Usage

_NUMBER: Final = (int, float)
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "input": ((str, list), "a string or a list of items"),
    "instructions": ((str,), "a string"),
    "max_output_tokens": ((int,), "an integer"),
    "metadata": ((dict,), "an object"),
    "model": ((str,), "the name of a model"),
    "reasoning": ((dict,), "an object"),
    "stream": ((bool,), "true or false"),
    "temperature": (_NUMBER, "a number"),
    "text": ((dict,), "an object"),
    "tool_choice": ((str, dict), "a string or an object"),
    "tools": ((list,), "a list of tools"),
    "top_p": (_NUMBER, "a number"),
}
# What only a server that keeps answers could do.
_STORED: Final = ("previous_response_id", "conversation", "background", "prompt")
_LAST: Final = frozenset({"response.completed", "response.incomplete"})
_CONTENT: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.output_item.done",
    }
)


class ResponsesFront(AsItIs):
    """OpenAI Responses."""

    name = "openai_responses"
    wire_format: str | None = "openai_responses"
    passed_headers: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = ("max_output_tokens",)
    error_body = staticmethod(openai_error.error_body)

    def read(self, body: dict[str, Any]) -> Ask:
        """Check types, and that nothing stored is asked for; see `FrontEnd.read`."""
        check_kinds(body, _KINDS)
        for name in _STORED:
            if body.get(name):
                msg = f"{name} is not supported: no answers are stored here; send the whole input."
                raise invalid(msg, name, "unsupported_parameter")
        model = body.get("model")
        if not model:
            msg = "model is missing: name a model."
            raise invalid(msg, "model")
        if not body.get("input"):
            msg = "input is missing: give a text or items."
            raise invalid(msg, "input")
        return Ask(model, body.get("stream") is True, body)

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms; see `FrontEnd.make_request`."""
        call = request_from_wire(ask.body)
        ask.notes["namespaces"] = call.namespaces
        return call.request

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer; see `FrontEnd.write_answer`."""
        response.response_id = response.response_id or ask.request_id
        wire = response_to_wire(response, created=now_s(), namespaces=ask.notes.get("namespaces"))
        return codec.dumps(wire)

    def make_encoder(self, ask: Ask, model: str) -> ResponsesStreamEncoder:
        """Make what writes a streamed answer; see `FrontEnd.make_encoder`."""
        return ResponsesStreamEncoder(
            ask.request_id, model, now_s(), namespaces=ask.notes.get("namespaces")
        )

    def check_answer(self, data: Any) -> Usage | None:
        """Look at a relayed answer; see `FrontEnd.check_answer`."""
        if type(data) is not dict:
            msg = "the answer is not a JSON object"
            raise ResponseFormatError(msg, code="not_an_object")
        raise_failure(data)
        if type(data.get("output")) is not list:
            msg = "the answer has no output"
            raise ResponseFormatError(msg, code="malformed_response")
        return usage_from_wire(data)

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Make what looks at a relayed stream; see `FrontEnd.make_watch`."""
        del ask, finish_optional
        return ResponsesWatch()

    def error_event(self, fault: Fault, request_id: str, encoder: Encoder | None = None) -> bytes:
        """Give the events that end a stream in an error."""
        body = openai_error.error_body(fault, request_id)
        if not isinstance(encoder, ResponsesStreamEncoder):
            encoder = ResponsesStreamEncoder(request_id, "", now_s())
        return encoder.error(body)


class ResponsesWatch(NamedWatch):
    """Looks at the events of a response."""

    _usual = b"event: response.output_text.delta\ndata: "

    def _note(self, packets: list[dict[str, Any]]) -> bool:
        kinds = {packet["type"] for packet in packets}
        if not kinds.isdisjoint(_LAST) or "error" in kinds or "response.failed" in kinds:
            return False
        self.begun = self.begun or not kinds.isdisjoint(_CONTENT)
        self.said_bytes += sum(map(_delta_bytes, packets))
        return True

    def _read_event(self, event: ServerSentEvent, packet: dict[str, Any]) -> bytes:
        kind = packet.get("type") or event.event
        response = packet.get("response")
        if kind in ("error", "response.failed"):
            raise_failure(response if isinstance(response, dict) else {})
            raise parse_error_object(packet)
        if kind in _LAST and isinstance(response, dict):
            raise_failure(response)
            self.usage = usage_from_wire(response)
            self.finish_reason = str(response.get("status"))
            self.begun = self.begun or bool(response.get("output"))
            self.done = True
        self.begun = self.begun or kind in _CONTENT
        self.said_bytes += _delta_bytes(packet)
        return data_event(event, packet, named=True)

    def _is_end(self, event: ServerSentEvent) -> bool:
        return event.data == b"[DONE]"

    def _close(self) -> bool:
        return self.done


def _delta_bytes(packet: dict[str, Any]) -> int:
    """Give the bytes of a piece; the whole that follows the pieces counts nothing more."""
    delta = packet.get("delta")
    return text_bytes(delta) if type(delta) is str else 0
