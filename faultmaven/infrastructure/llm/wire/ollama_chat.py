"""Ollama's own API: `/api/chat` and `/api/generate`, a JSON object or one object a line.

Source: types of the official client ollama 0.6.3 and recorded traffic (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import NDJSONDecoder
from faultmaven.infrastructure.llm.types import (
    LLMChunk,
    LLMResponse,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import make_response, normalise_finish
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    count_in,
    list_in,
    malformed,
    object_in,
    optional_text_in,
    text_in,
)
from faultmaven.infrastructure.llm.wire.foreign import foreign_fields
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest

# "load" and "unload" have no word: the model was loaded or dropped, and nothing was answered.
FINISH_REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}

# What a caller may give at the top and Ollama takes inside `options`.
OPTION_FIELDS = frozenset({
    "frequency_penalty", "min_p", "mirostat", "mirostat_eta", "mirostat_tau", "num_batch", "num_ctx",
    "num_gpu", "num_keep", "num_thread", "presence_penalty", "repeat_last_n", "repeat_penalty",
    "top_k", "typical_p",
})  # fmt: skip

# Of OpenAI's fields.
_TAKEN = frozenset({"frequency_penalty", "logprobs", "presence_penalty", "top_logprobs"})

# Ollama knows three levels, and false (client 0.6.3).
THINK_LEVELS: Mapping[str, bool | str] = {
    "none": False, "minimal": "low", "low": "low", "medium": "medium",
    "high": "high", "xhigh": "high", "max": "high",
}  # fmt: skip


def unsupported_parameters(request: LLMRequest) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for."""
    forced = request.tool_choice == "required" or content.forced_tool(request) is not None
    return (*(("tool_choice",) if forced else ()), *foreign_fields(request, _TAKEN))


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a request as a body of `/api/chat`.

    Args:
        request: what is asked for.
        model: the server's name for the model.
        options: the provider's row; `reasoning.request` "think.bool" sends `think` as true or false,
            for servers and models that know no levels.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": list(_messages_to_wire(request)),
        # The default is to stream, so it is always said.
        "stream": request.stream,
        "options": content.without_none(
            num_predict=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            stop=content.stop_list(request) or None,
        ),
    }
    if request.tools and request.tool_choice != "none":
        body["tools"] = request.tools
    if content.wants_json(request):
        body["format"] = content.wanted_schema(request) or "json"
    if request.reasoning_effort is not None:
        level = THINK_LEVELS.get(request.reasoning_effort, request.reasoning_effort)
        style = (options or {}).get("reasoning", {}).get("request")
        body["think"] = bool(level) if style == "think.bool" else level
    return content.merge_extra(body, request.extra, "options", OPTION_FIELDS)


def _messages_to_wire(request: LLMRequest) -> Iterator[dict[str, Any]]:
    names = content.tool_names_by_id(request.messages)
    if request.system_prompt:
        yield {"role": "system", "content": request.system_prompt}
    for message in request.messages:
        role = message.get("role")
        turn: dict[str, Any] = {
            "role": "system" if role in content.SYSTEM_ROLES else role,
            "content": content.text_of(message.get("content")),
        }
        if images := [_image_to_wire(p) for p in _other_parts(message)]:
            turn["images"] = images
        if thinking := message.get("reasoning"):
            turn["thinking"] = thinking
        if calls := message.get("tool_calls"):
            turn["tool_calls"] = [_call_to_wire(call) for call in calls]
        if role == "tool":
            call_id = str(message.get("tool_call_id", ""))
            turn["tool_name"] = message.get("name") or names.get(call_id, call_id)
            turn["tool_call_id"] = call_id
        yield turn


def _other_parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [p for p in content.parts_of(message.get("content")) if not content.is_text(p)]


def _image_to_wire(part: dict[str, Any]) -> str:
    attachment = content.attachment_of(part)
    inline = attachment.inline
    if inline is None or not inline.media_type.startswith("image/"):
        remedy = "Send images as data: URIs, and files as text."
        what = attachment.kind if inline else f"address of a {attachment.kind}"
        raise content.refuse_part(what, "Ollama", remedy)
    return inline.data


def _call_to_wire(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = content.arguments_object(function.get("arguments"))
    return content.without_none(
        id=call.get("id"), function={"name": function.get("name"), "arguments": arguments}
    )


def response_from_wire(data: object) -> LLMResponse:
    """Read an answer of `/api/chat` or `/api/generate`.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is not what Ollama sends.
    """
    body = as_object(data, "body")
    _raise_error(body)
    message = _message_of(body)
    calls = [_call_from_wire(c, n, body) for n, c in enumerate(list_in(message, "tool_calls"))]
    raw_reason = optional_text_in(body, "done_reason")
    return make_response(
        text=text_in(message, "content"),
        reasoning=text_in(message, "thinking"),
        tool_calls=calls,
        model=text_in(body, "model"),
        usage=_usage_from_wire(body),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=bool(calls)),
        finish_reason_raw=raw_reason,
        raw=data,
    )


def _raise_error(body: dict[str, Any]) -> None:
    if body.get("error"):
        raise parse_error_object(body)


def _message_of(body: dict[str, Any]) -> dict[str, Any]:
    # /api/generate keeps text and thinking at the top level, the text under "response".
    if "response" in body:
        return {"content": body["response"], "thinking": body.get("thinking")}
    if "message" not in body and not body.get("done"):
        raise malformed(None, "message", "an object")
    return object_in(body, "message")


def _call_from_wire(call: dict[str, Any], index: int, body: dict[str, Any]) -> ToolCall:
    function = object_in(call, "function")
    name, arguments = text_in(function, "name"), content.arguments_text(function.get("arguments"))
    call_id = text_in(call, "id") or content.make_call_id(
        index, body.get("created_at"), name, arguments
    )
    return ToolCall.make(call_id, name, arguments)


def _usage_from_wire(body: dict[str, Any]) -> Usage:
    return Usage(count_in(body, "prompt_eval_count"), count_in(body, "eval_count"))


class OllamaStreamReader(StreamReader[bytes]):
    """Reads the lines of a streamed answer; the one with `done: true` is the last."""

    def __init__(self) -> None:
        super().__init__(NDJSONDecoder())

    @override
    def _read(self, event: bytes) -> Iterator[LLMChunk]:
        body = as_object(codec.loads_mended(event), "line")
        _raise_error(body)
        self.ending.identify(text_in(body, "model"))
        message = _message_of(body)
        chunk = LLMChunk(text=text_in(message, "content"), reasoning=text_in(message, "thinking"))
        calls = list_in(message, "tool_calls")
        if calls:
            chunk.tool_calls = [self._delta(call, body) for call in calls]
        if chunk.text or chunk.reasoning or calls:
            yield chunk
        if body.get("done"):
            self.ending.finish_reason_raw = optional_text_in(body, "done_reason")
            self.ending.usage = _usage_from_wire(body)
            self.done = True
            yield self.ending.chunk(FINISH_REASONS)

    def _delta(self, call: dict[str, Any], body: dict[str, Any]) -> ToolCallDelta:
        # The server's own index starts again with every line: calls come whole, so count them.
        index = self.ending.tool_calls
        whole = _call_from_wire(call, index, body)
        self.ending.tool_calls += 1
        return ToolCallDelta.make(index, whole.id, whole.name, whole.arguments_raw)
