"""OpenAI Responses, the provider's side: requests out, answers in.

Source: types of the official client openai 3.52 and recorded traffic of nine hosts (read 2026-11).
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
from faultmaven.infrastructure.llm.wire.openai_chat import is_strict_schema
from faultmaven.infrastructure.llm.wire.reported_cost import reported_cost_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest, LLMResponse

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "completed": "stop",
    "incomplete:max_output_tokens": "length",
    "incomplete:max_tokens": "length",
    "incomplete:content_filter": "content_filter",
}

# Marks blocks of `reasoning_details` as this dialect's, so that no other provider's come back to it.
DETAILS_FORMAT: Final = "openai-responses-v1"

# Of the other fields of chat completions.
_TAKEN: Final = frozenset({
    "max_tool_calls", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention",
    "safety_identifier", "service_tier", "store", "top_logprobs", "user", "verbosity",
})  # fmt: skip


def unsupported_parameters(request: LLMRequest) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for."""
    unset = [name for name in ("stop", "seed") if getattr(request, name) is not None]
    return (*unset, *foreign_fields(request, _TAKEN))


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a request as a body of `POST /responses`.

    Args:
        request: what is asked for.
        model: the provider's name for the model.
        options: the provider's row; `reasoning.request` "reasoning_summary" asks for a summary of the
            thoughts with every effort, which some hosts give to verified accounts only.
    """
    body: dict[str, Any] = {
        "model": model,
        "input": [item for message in request.messages for item in _items_of(message)],
    }
    body |= content.without_none(
        instructions=request.system_prompt,
        max_output_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        tools=[_tool_to_wire(tool) for tool in request.tools or ()] or None,
        tool_choice=_tool_choice_to_wire(request),
        text=_text_format(request),
        stream=request.stream or None,
    )
    if request.reasoning_effort is not None:
        style = ((options or {}).get("reasoning") or {}).get("request")
        body["reasoning"] = {"effort": request.reasoning_effort}
        if style == "reasoning_summary":
            body["reasoning"]["summary"] = "auto"
        if request.reasoning_effort != "none":
            # Without it nothing can go back on the next turn where the provider keeps no state.
            body["include"] = ["reasoning.encrypted_content"]
    extra = dict(request.extra)
    if verbosity := extra.pop("verbosity", None):
        body["text"] = {**body.get("text", {}), "verbosity": verbosity}
    return content.merge_extra(body, extra)


def _items_of(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    role = message.get("role")
    if role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": message.get("tool_call_id"),
            "output": _input_content(message.get("content")) or "",
        }
    elif role == "assistant":
        yield from _answer_items(message)
    else:
        yield {"type": "message", "role": role, "content": _input_content(message.get("content"))}


def _answer_items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Write an assistant's turn; reasoning goes before what followed it."""
    thoughts = [
        block
        for block in message.get("reasoning_details") or ()
        if block.get("format") == DETAILS_FORMAT and block.get("type") == "reasoning.encrypted"
    ]
    yield from (_thought_to_wire(block) for block in thoughts if not block.get("index"))
    if text := content.text_of(message.get("content")):
        yield {"type": "message", "role": "assistant", "content": text}
    for number, call in enumerate(message.get("tool_calls") or ()):
        if number:
            yield from (
                _thought_to_wire(block) for block in thoughts if block.get("index") == number
            )
        function = call.get("function") or {}
        yield {
            "type": "function_call",
            "call_id": call.get("id"),
            "name": function.get("name"),
            "arguments": content.arguments_text(function.get("arguments")) or "{}",
        }


def _thought_to_wire(block: Mapping[str, Any]) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text} for text in block.get("summary") or ()]
    return content.without_none(
        type="reasoning", id=block.get("id"), summary=summary, encrypted_content=block.get("data")
    )


def _input_content(value: object) -> str | list[dict[str, Any]]:
    if isinstance(value, str):
        return value
    return [_part_to_wire(part) for part in content.parts_of(value)]


def _part_to_wire(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text") or ""}
    body = part.get(str(kind))
    if kind == "image_url":
        image = body if isinstance(body, dict) else {"url": body}
        return content.without_none(
            type="input_image", image_url=image.get("url"), detail=image.get("detail")
        )
    if kind == "file" and isinstance(body, dict):
        return {"type": "input_file", **body}
    # input_audio, and parts that are this dialect's own already.
    return part


def _tool_to_wire(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    # Strict is the default here and is not in chat completions.
    return {"type": "function", **function, "strict": function.get("strict") or False}


def _tool_choice_to_wire(request: LLMRequest) -> str | dict[str, Any] | None:
    if not request.tools:
        return None
    choice = request.tool_choice
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict):
        return {"type": "function", "name": function.get("name")}
    return choice


def _text_format(request: LLMRequest) -> dict[str, Any] | None:
    if not content.wants_json(request):
        return None
    schema = content.wanted_schema(request)
    if not schema:
        return {"format": {"type": "json_object"}}
    named = (request.response_format or {}).get("json_schema") or {}
    strict = named.get("strict", is_strict_schema(schema))
    return {
        "format": {
            "type": "json_schema",
            "name": content.schema_name(request),
            "schema": schema,
            "strict": bool(strict),
        }
    }


def response_from_wire(data: object) -> LLMResponse:
    """Read a plain answer.

    Raises:
        LLMError: the response failed or was cancelled.
        ResponseFormatError: the body is not a response.
    """
    body = as_object(data, "body")
    raise_failure(body)
    if "output" not in body:
        raise malformed(None, "output", "a list")
    items = list_in(body, "output")
    calls = [call_from_item(item, n) for n, item in enumerate(_calls_of(items))]
    raw_reason = raw_finish(body)
    return make_response(
        text="".join(text_of_item(item) for item in items),
        reasoning="".join(reasoning_of_item(item) for item in items),
        reasoning_details=list(_details_of(items)),
        refusal="".join(text_of_item(item, "refusal", "refusal") for item in items) or None,
        tool_calls=calls,
        model=text_in(body, "model"),
        response_id=optional_text_in(body, "id"),
        usage=usage_from_wire(body),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=bool(calls)),
        finish_reason_raw=raw_reason,
        raw=data,
        media=[part for item in items for part in media_of_item(item)],
    )


def media_of_item(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the image that an output item holds as a part, if it holds one."""
    encoded = item.get("result")
    if item.get("type") != "image_generation_call" or not isinstance(encoded, str) or not encoded:
        return []
    return [content.image_part(f"image/{item.get('output_format') or 'png'}", encoded)]


def raise_failure(body: dict[str, Any]) -> None:
    """Raise the error that a response says it ended in.

    Raises:
        LLMError: its status is failed or cancelled, or it holds an error.
    """
    if body.get("error") or body.get("status") in {"failed", "cancelled"}:
        error = body.get("error") or {
            "message": f"The provider says that the answer {body['status']}."
        }
        raise parse_error_object({"error": error})


def raw_finish(body: dict[str, Any]) -> str | None:
    """Give a response's status, with the reason where it is incomplete."""
    status = optional_text_in(body, "status")
    if status != "incomplete":
        return status
    return f"incomplete:{object_in(body, 'incomplete_details').get('reason')}"


def usage_from_wire(body: dict[str, Any]) -> Usage | None:
    """Read a response's token counts."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    inward, outward = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=count_in(usage, "input_tokens"),
        output_tokens=count_in(usage, "output_tokens"),
        cache_read_tokens=count_in(inward, "cached_tokens"),
        cache_write_tokens=count_in(inward, "cache_write_tokens"),
        reasoning_tokens=count_in(outward, "reasoning_tokens"),
        cost_usd=reported_cost_usd(usage),
    )


def _calls_of(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (item for item in items if item.get("type") == "function_call")


def call_from_item(item: dict[str, Any], index: int) -> ToolCall:
    """Read a `function_call` item, the `index`-th of the answer."""
    name, arguments = text_in(item, "name"), content.arguments_text(item.get("arguments"))
    call_id = text_in(item, "call_id") or text_in(item, "id")
    return ToolCall.make(call_id or content.make_call_id(index, name, arguments), name, arguments)


def text_of_item(item: dict[str, Any], part_type: str = "output_text", field: str = "text") -> str:
    """Join the text of a message item's parts of a type; other items have none."""
    if item.get("type") != "message":
        return ""
    return "".join(
        text_in(p, field) for p in list_in(item, "content") if p.get("type") == part_type
    )


def reasoning_of_item(item: dict[str, Any]) -> str:
    """Join the text of a reasoning item: its summary, or else the thoughts themselves."""
    if item.get("type") != "reasoning":
        return ""
    parts = list_in(item, "summary") or list_in(item, "content")
    return "".join(text_in(part, "text") for part in parts)


def details_of_item(item: dict[str, Any], calls_before: int) -> dict[str, Any] | None:
    """Keep a reasoning item that can go back; None for what a provider would not take again."""
    encrypted = item.get("encrypted_content") if item.get("type") == "reasoning" else None
    if not encrypted:
        return None
    return {
        "type": "reasoning.encrypted",
        "data": encrypted,
        "id": item.get("id"),
        "format": DETAILS_FORMAT,
        "index": calls_before,
        "summary": [text_in(part, "text") for part in list_in(item, "summary")],
    }


def _details_of(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    calls = 0
    for item in items:
        calls += item.get("type") == "function_call"
        if details := details_of_item(item, calls):
            yield details


def token_count_from_wire(data: object) -> int:
    """Read an answer of `POST /responses/input_tokens`.

    Raises:
        ResponseFormatError: there is no count in it.
    """
    count = count_in(as_object(data, "body"), "input_tokens")
    if count is None:
        raise malformed(None, "input_tokens", "a number")
    return count
