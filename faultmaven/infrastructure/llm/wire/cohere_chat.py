"""Cohere's chat: version 2 in full, and the answers of version 1.

Source: types of the official client cohere 7.3 and recorded traffic (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.types import ToolCall, Usage
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
from faultmaven.infrastructure.llm.wire.tool_pictures import with_pictures_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest, LLMResponse

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
FAILED: Final = frozenset({"ERROR", "TIMEOUT", "ERROR_LIMIT", "USER_CANCEL"})

# Mark blocks of `reasoning_details` as Cohere's: thoughts, and the plan that goes before tool calls.
THINKING_FORMAT: Final = "cohere-thinking-v2"
TOOL_PLAN_FORMAT: Final = "cohere-tool-plan-v2"

# Of OpenAI's fields.
_TAKEN: Final = frozenset({"frequency_penalty", "logprobs", "presence_penalty"})
_TOOL_CHOICES: Final = {"required": "REQUIRED", "none": "NONE"}
_THINKING_BUDGETS: Final = {"minimal": 512, "low": 1024, "medium": 8192}


def unsupported_parameters(request: LLMRequest) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for."""
    return foreign_fields(request, _TAKEN)


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a request as a body of `POST /v2/chat`; of the row nothing is read."""
    del options
    body: dict[str, Any] = {
        "model": model,
        "messages": list(_messages_to_wire(request)),
        "stream": request.stream,
    }
    body |= content.without_none(
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        p=request.top_p,
        seed=request.seed,
        stop_sequences=content.stop_list(request) or None,
        response_format=_format_to_wire(request),
        thinking=_thinking_to_wire(request.reasoning_effort),
    )
    if request.tools:
        body |= _tools_to_wire(request)
    return content.merge_extra(body, request.extra)


def _tools_to_wire(request: LLMRequest) -> dict[str, Any]:
    functions, forced = content.functions_of(request), content.forced_tool(request)
    if forced is not None:
        # One tool cannot be named: it is the only one offered, and one must be called.
        functions = [f for f in functions if f.get("name") == forced]
    choice = "required" if forced is not None else request.tool_choice
    return content.without_none(
        tools=[{"type": "function", "function": _without_strict(f)} for f in functions],
        tool_choice=_TOOL_CHOICES.get(str(choice)),
        strict_tools=any(f.get("strict") for f in functions) or None,
    )


def _without_strict(function: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in function.items() if name != "strict"}


def _format_to_wire(request: LLMRequest) -> dict[str, Any] | None:
    if not content.wants_json(request):
        return None
    schema = content.wanted_schema(request)
    return content.without_none(type="json_object", json_schema=schema or None)


def _thinking_to_wire(effort: str | None) -> dict[str, Any] | None:
    if effort is None:
        return None
    if effort == "none":
        return {"type": "disabled"}
    return content.without_none(type="enabled", token_budget=_THINKING_BUDGETS.get(effort))


def _messages_to_wire(request: LLMRequest) -> Iterator[dict[str, Any]]:
    if request.system_prompt:
        yield {"role": "system", "content": request.system_prompt}
    for message in with_pictures_apart(request).messages:
        role = message.get("role")
        if role == "assistant":
            yield _answer_to_wire(message)
        elif role == "tool":
            text = content.text_of(message.get("content"))
            yield {"role": "tool", "tool_call_id": message.get("tool_call_id"), "content": text}
        elif role in content.SYSTEM_ROLES:
            yield {"role": "system", "content": content.text_of(message.get("content"))}
        else:
            yield {"role": role, "content": _user_content(message.get("content"))}


def _user_content(value: object) -> str | list[dict[str, Any]]:
    if isinstance(value, str):
        return value
    return [_part_to_wire(part) for part in content.parts_of(value)]


def _part_to_wire(part: dict[str, Any]) -> dict[str, Any]:
    if content.is_text(part):
        return {"type": "text", "text": part.get("text") or ""}
    if part.get("type") == "image_url":
        image = part.get("image_url")
        return {
            "type": "image_url",
            "image_url": image if isinstance(image, dict) else {"url": image},
        }
    raise content.refuse_part(content.attachment_of(part).kind, "Cohere", "Send text or images.")


def _answer_to_wire(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {d.get("format"): d.get("text") for d in message.get("reasoning_details") or ()}
    text: Any = content.text_of(message.get("content"))
    if thinking := kept.get(THINKING_FORMAT):
        blocks = [{"type": "text", "text": text}] if text else []
        text = [{"type": "thinking", "thinking": thinking}, *blocks]
    calls = [
        {"id": call.get("id"), "type": "function", "function": call.get("function")}
        for call in message.get("tool_calls") or ()
    ]
    return content.without_none(
        role="assistant",
        content=text or None,
        tool_plan=kept.get(TOOL_PLAN_FORMAT) if calls else None,
        tool_calls=calls or None,
    )


def response_from_wire(data: object) -> LLMResponse:
    """Read a plain answer of version 2, or of version 1.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is not what Cohere sends.
    """
    body = as_object(data, "body")
    raw_reason = optional_text_in(body, "finish_reason")
    raise_failure(body, raw_reason)
    if "message" not in body or "finish_reason" not in body:
        return _response_from_v1(body, raw_reason)
    message = object_in(body, "message")
    blocks = list_in(message, "content")
    thinking = "".join(text_in(b, "thinking") for b in blocks)
    calls = [_call_from_wire(call, n) for n, call in enumerate(list_in(message, "tool_calls"))]
    return make_response(
        text="".join(text_in(b, "text") for b in blocks),
        reasoning=thinking,
        reasoning_details=make_details(thinking, text_in(message, "tool_plan")),
        tool_calls=calls,
        model=text_in(body, "model"),
        response_id=optional_text_in(body, "id"),
        usage=usage_from_wire(body.get("usage")),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=bool(calls)),
        finish_reason_raw=raw_reason,
        raw=data,
    )


def _response_from_v1(body: dict[str, Any], raw_reason: str | None) -> LLMResponse:
    if "text" not in body:
        raise malformed(None, "message", "an object")
    calls = [call_from_v1(call, n, body) for n, call in enumerate(list_in(body, "tool_calls"))]
    return make_response(
        text=text_in(body, "text"),
        tool_calls=calls,
        model="",
        response_id=optional_text_in(body, "response_id"),
        usage=usage_from_wire(body.get("meta")),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=bool(calls)),
        finish_reason_raw=raw_reason,
        raw=body,
    )


def raise_failure(body: dict[str, Any], raw_reason: str | None) -> None:
    """Raise the error that an answer, or the end of a stream, says it ended in.

    Raises:
        LLMError: there is an error text, or the finish reason is that of a failure.
    """
    if error := body.get("error"):
        raise parse_error_object({"message": error} if isinstance(error, str) else body)
    if raw_reason in FAILED:
        raise parse_error_object({"message": f"Cohere ended the answer with {raw_reason}."}, 500)
    if raw_reason is None and isinstance(body.get("message"), str):
        raise parse_error_object(body)


def make_details(thinking: str, tool_plan: str) -> list[dict[str, Any]]:
    """Keep what Cohere wants back with the turn."""
    kept = ((thinking, THINKING_FORMAT), (tool_plan, TOOL_PLAN_FORMAT))
    return [
        {"type": "reasoning.text", "text": text, "format": kind} for text, kind in kept if text
    ]


def usage_from_wire(usage: object) -> Usage | None:
    """Read token counts; what was counted goes before what is billed."""
    if not isinstance(usage, dict):
        return None
    counted = usage.get("tokens") or usage.get("billed_units")
    return Usage(
        input_tokens=count_in(counted, "input_tokens"),
        output_tokens=count_in(counted, "output_tokens"),
        cache_read_tokens=count_in(usage, "cached_tokens"),
        reasoning_tokens=count_in(counted, "reasoning_tokens"),
    )


def _call_from_wire(call: dict[str, Any], index: int) -> ToolCall:
    function = object_in(call, "function")
    name, arguments = text_in(function, "name"), content.arguments_text(function.get("arguments"))
    call_id = text_in(call, "id") or content.make_call_id(index, name, arguments)
    return ToolCall.make(call_id, name, arguments)


def call_from_v1(call: dict[str, Any], index: int, body: dict[str, Any]) -> ToolCall:
    """Read a tool call of version 1, which gives calls no ids."""
    name, arguments = text_in(call, "name"), content.arguments_text(call.get("parameters"))
    call_id = content.make_call_id(index, body.get("generation_id"), name, arguments)
    return ToolCall.make(call_id, name, arguments)
