"""llama.cpp's own `/completion`: a finished prompt in, text out, as one object or as events.

Source: the server of llama.cpp, build 10434, as it answers (tried 2026-11).  The chat template is
applied by the server's `/apply-template`, a request of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import ServerSentEvent, SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import make_response, normalise_finish
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    count_in,
    malformed,
    optional_text_in,
    text_in,
)
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest, LLMResponse

FINISH_REASONS: Mapping[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}


def messages_to_wire(request: LLMRequest) -> list[dict[str, Any]]:
    """Write the conversation as text turns, the body of `/apply-template`."""
    turns = [{"role": "system", "content": request.system_prompt}] if request.system_prompt else []
    for message in request.messages:
        role = "system" if message.role in content.SYSTEM_ROLES else message.role
        turns.append({"role": role, "content": content.text_of(message.content)})
    return turns


def request_to_wire(request: LLMRequest, prompt: str = "") -> dict[str, Any]:
    """Write a request as a body of `/completion`; `prompt` has the chat template applied."""
    body = content.without_none(
        n_predict=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        stop=content.stop_list(request) or None,
    )
    if content.wants_json(request):
        body["json_schema"] = content.wanted_schema(request) or {}
    return {"prompt": prompt, "stream": request.stream, **body, **request.extra}


def response_from_wire(data: object) -> LLMResponse:
    """Read an answer of `/completion`.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is not what llama.cpp sends.
    """
    body = as_object(data, "body")
    _raise_error(body)
    if "content" not in body:
        raise malformed(None, "content", "text")
    raw_reason = optional_text_in(body, "stop_type")
    return make_response(
        text=text_in(body, "content"),
        model=text_in(body, "model"),
        usage=_usage_from_wire(body),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=False),
        finish_reason_raw=raw_reason,
        raw=data,
    )


def _raise_error(body: dict[str, Any]) -> None:
    if body.get("error"):
        raise parse_error_object(body)


def _usage_from_wire(body: dict[str, Any]) -> Usage:
    return Usage(count_in(body, "tokens_evaluated"), count_in(body, "tokens_predicted"))


class LlamaCppStreamReader(StreamReader[ServerSentEvent]):
    """Reads the events of a streamed answer; the one with `stop: true` is the last."""

    def __init__(self) -> None:
        super().__init__(SSEDecoder())

    @override
    def _read(self, event: ServerSentEvent) -> Iterator[LLMChunk]:
        body = as_object(codec.loads_mended(event.data), "event")
        _raise_error(body)
        self.ending.identify(text_in(body, "model"))
        if text := text_in(body, "content"):
            yield LLMChunk(text=text)
        if body.get("stop") is True:
            self.ending.finish_reason_raw = optional_text_in(body, "stop_type")
            self.ending.usage = _usage_from_wire(body)
            self.done = True
            yield self.ending.chunk(FINISH_REASONS)
