"""OpenAI Chat Completions, the provider's side: requests out, answers in.

The dialect of most hosts, and each speaks it a little differently; what they do is read by shape,
never by name.  Source: the vendor's API reference and real traffic, read 2026-11-20.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMResponse, ToolCall, Usage
from faultmaven.infrastructure.llm.wire.content import arguments_text
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import count
from faultmaven.infrastructure.llm.wire.reported_cost import reported_cost_usd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
}

# Fields of a request that have the same name and meaning on this wire.
_SAME_NAME = ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "max_tokens")

# A reasoning effort, as hosts want it said; the row's `reasoning.request` names one.
EFFORT_STYLES: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "reasoning_effort": lambda effort: {"reasoning_effort": effort},
    "reasoning.effort": lambda effort: {"reasoning": {"effort": effort}},
    "thinking.type": lambda effort: {
        "thinking": {"type": "disabled" if effort == "none" else "enabled"}
    },
    "enable_thinking": lambda effort: {"enable_thinking": effort != "none"},
    "chat_template_kwargs.enable_thinking": lambda effort: {
        "chat_template_kwargs": {"enable_thinking": effort != "none"}
    },
}


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Build the body of `POST /chat/completions`.

    Args:
        request: what is asked for; `request.stream` decides whether a stream is.
        model: the provider's name for the model.
        options: the provider's row; `stream_usage`, `reasoning` and `content` are read.
    """
    row = options or {}
    body: dict[str, Any] = {"model": model, "messages": _messages_to_wire(request, row)}
    for name in _SAME_NAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.output_schema is not None:
        body["response_format"] = json_schema_format(request.output_schema)
    elif request.response_format is not None:
        body["response_format"] = request.response_format
    if request.reasoning_effort is not None:
        style = row.get("reasoning", {}).get("request", "reasoning_effort")
        body.update(EFFORT_STYLES[style](request.reasoning_effort))
    if request.stream:
        body["stream"] = True
        if row.get("stream_usage", "option") == "option":
            body["stream_options"] = {"include_usage": True}
    if request.extra:
        body.update(request.extra)
    return body


def json_schema_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the `response_format` for a schema; `strict` where the schema fulfils its conditions."""
    title = schema.get("title")
    name = title if isinstance(title, str) and title.isidentifier() else "output"
    described: dict[str, Any] = {"name": name, "schema": schema}
    if is_strict_schema(schema):
        described["strict"] = True
    return {"type": "json_schema", "json_schema": described}


def is_strict_schema(schema: Any) -> bool:
    """Tell whether every object of a schema is closed and requires all of its properties."""
    if isinstance(schema, list):
        return all(is_strict_schema(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        closed = schema.get("additionalProperties") is False
        required = schema.get("required") or []
        if not (closed and isinstance(required, list) and isinstance(properties, dict | None)):
            return False
        if {str(name) for name in required} != set(properties or {}):
            return False
    return all(is_strict_schema(value) for value in schema.values())


def response_from_wire(data: Any) -> LLMResponse:
    """Read a plain answer.

    Raises:
        LLMError: the body is an error under a status of success.
        ResponseFormatError: the body is not a chat completion.
    """
    if not isinstance(data, dict):
        msg = f"the answer is a JSON {type(data).__name__}, not a chat completion"
        raise ResponseFormatError(msg, code="not_an_object")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        if is_error_object(data):
            raise parse_error_object(data)
        msg = "the answer has no choices"
        raise ResponseFormatError(msg, code="no_choices")
    choice = choices[0]
    message = (choice.get("message") if isinstance(choice, dict) else None) or {}
    if not isinstance(message, dict):
        msg = "the answer's message is not an object"
        raise ResponseFormatError(msg, code="wrong_type")
    text, thinking = split_content(message.get("content"))
    calls = tool_calls_from_wire(message)
    reasoning, details = reasoning_of(message)
    finish_raw = choice.get("finish_reason")
    response = LLMResponse(
        content=text,
        confidence=0.0,
        provider="",
        model=text_or_none(data.get("model")) or "",
        tokens_used=0,
        response_time_ms=0,
        tool_calls=calls,
        reasoning=reasoning or thinking,
        reasoning_details=details,
        refusal=text_or_none(message.get("refusal")),
        finish_reason=finish_reason(finish_raw, has_calls=bool(calls)),
        finish_reason_raw=text_or_none(finish_raw),
        response_id=text_or_none(data.get("id")),
        raw_response=data,
        media=media_of(message),
    )
    set_usage(response, usage_from_wire(usage_object(data)))
    mark_cut_off_call(response)
    return response


def media_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the images (OpenRouter's `images`) and the sound (`audio`) of a message or delta as parts."""
    images = message.get("images")
    found = [i for i in images if isinstance(i, dict)] if isinstance(images, list) else []
    if isinstance(audio := message.get("audio"), dict):
        found.append({"type": "audio", "audio": audio})
    return found


def is_error_object(data: Mapping[str, Any]) -> bool:
    """Tell whether an object without choices is an error: `error`, `detail`, `errors` or its kin."""
    if data.get("error") or data.get("errors") or data.get("object") == "error":
        return True
    return "choices" not in data and ("detail" in data or "message" in data)


def finish_reason(raw: Any, *, has_calls: bool) -> FinishReason | None:
    """Translate the host's word; a stop with tool calls present is `tool_calls`."""
    reason = FINISH_REASONS.get(raw) if isinstance(raw, str) else None
    if has_calls and reason in (None, "stop"):
        return "tool_calls"
    return reason


def split_content(content: Any) -> tuple[str, str]:
    """Read content as (visible text, reasoning): a string, None, an object, or a list of parts.

    Raises:
        ResponseFormatError: it is none of these; a number is never read as text.
    """
    if isinstance(content, str):
        return content, ""
    if content is None:
        return "", ""
    if isinstance(content, dict):
        # Some hosts parse structured output before they answer.
        return json.dumps(content, ensure_ascii=False), ""
    if not isinstance(content, list):
        msg = f"the answer's content is a JSON {type(content).__name__}, not text"
        raise ResponseFormatError(msg, code="wrong_type")
    text: list[str] = []
    thinking: list[str] = []
    for part in content:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            _read_part(part, text, thinking)
    return "".join(text), "".join(thinking)


def tool_calls_from_wire(message: Mapping[str, Any]) -> list[ToolCall]:
    """Read the calls of a whole message; ids that the host left out are made up."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        function = message.get("function_call")
        # An object with an empty name is no call (seen at Snowflake).
        calls = (
            [{"function": function}] if isinstance(function, dict) and function.get("name") else []
        )
    found: list[ToolCall] = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        identity = text_or_none(call.get("id")) or f"call_{len(found)}"
        made = ToolCall.make(identity, function["name"], arguments_text(function.get("arguments")))
        if "extra_content" in call:
            made["extra_content"] = call["extra_content"]
        found.append(made)
    return found


def reasoning_of(message: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Read a message's or delta's reasoning: its text once, and the blocks to send back."""
    details = message.get("reasoning_details")
    blocks = [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    for name in ("reasoning_content", "reasoning", "thinking"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return text, blocks
    if not blocks:
        return "", blocks
    said = [t for b in blocks if isinstance(t := b.get("text") or b.get("summary"), str)]
    return "".join(said), blocks


def usage_object(data: Mapping[str, Any]) -> Any:
    """Find the usage: at the top, under `x_groq`, or in the first choice."""
    usage = data.get("usage")
    if usage:
        return usage
    groq = data.get("x_groq")
    if isinstance(groq, dict) and groq.get("usage"):
        return groq["usage"]
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0].get("usage")
    return None


def usage_from_wire(usage: Any) -> Usage | None:
    """Read token counts; None where there are none or they cannot be true."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    inward = usage.get("prompt_tokens_details") or usage.get("prompt_token_details")
    outward = usage.get("completion_tokens_details") or usage.get("completion_token_details")
    reasoning = _count_in(outward, "reasoning_tokens")
    if reasoning is None:
        reasoning = _count_in(usage, "reasoning_tokens")
    # xAI and a few others keep reasoning outside completion_tokens; only the total shows it.
    if reasoning and count(usage.get("total_tokens")) == prompt + completion + reasoning:
        completion += reasoning
    read = _count_in(inward, "cached_tokens")
    if read is None:
        read = _count_in(
            usage,
            "prompt_cache_hit_tokens",
            "cached_tokens",
            "num_cached_tokens",
            "cache_read_input_tokens",
        )
    written = _count_in(inward, "cache_write_tokens")
    if written is None:
        written = _count_in(usage, "cache_creation_input_tokens")
    return Usage(prompt, completion, read, written, reasoning, reported_cost_usd(usage))


def set_usage(response: LLMResponse, usage: Usage | None) -> None:
    """Put token counts into a response; without any it says so."""
    if usage is None:
        response.input_tokens = response.output_tokens = None
        return
    response.input_tokens = usage.input_tokens
    response.output_tokens = usage.output_tokens
    response.tokens_used = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    response.cache_read_tokens = usage.cache_read_tokens
    response.cache_write_tokens = usage.cache_write_tokens
    response.reasoning_tokens = usage.reasoning_tokens
    response.usage_source = "reported"
    if usage.cost_usd is not None:
        response.cost_usd, response.cost_status = usage.cost_usd, "actual"


def mark_cut_off_call(response: LLMResponse) -> None:
    """Tell a last call that was cut off before its arguments from one that has none."""
    calls = response.tool_calls
    if response.finish_reason == "length" and calls and not calls[-1].arguments_raw:
        calls[-1].mark_cut_off()


def text_or_none(value: Any) -> str | None:
    """Give a non-empty string as it is, and None for everything else."""
    return value if isinstance(value, str) and value else None


def _count_in(holder: Any, *names: str) -> int | None:
    """Give the first of the counts that an object has; None for none."""
    if isinstance(holder, dict):
        for name in names:
            if name in holder and (number := count(holder[name])) is not None:
                return number
    return None


def _read_part(part: Mapping[str, Any], text: list[str], thinking: list[str]) -> None:
    kind = part.get("type")
    if kind in ("thinking", "reasoning"):
        inner = part.get("thinking") or part.get("summary") or part.get("text") or ""
        pieces = inner if isinstance(inner, list) else [inner]
        thinking.extend(p if isinstance(p, str) else str(p.get("text", "")) for p in pieces)
    elif isinstance(part.get("text"), str):
        text.append(part["text"])


def _messages_to_wire(request: LLMRequest, row: Mapping[str, Any]) -> list[LLMMessage]:
    messages = request.messages
    replay = row.get("reasoning", {}).get("replay")
    if any("reasoning" in m or "reasoning_details" in m for m in messages):
        messages = [_with_replay(m, replay) for m in messages]
    if row.get("content") == "string":
        messages = [_with_string_content(m) for m in messages]
    if request.system_prompt is not None:
        messages = [LLMMessage(role="system", content=request.system_prompt), *messages]
    return messages


def _with_replay(message: LLMMessage, replay: str | None) -> LLMMessage:
    """Send an earlier turn's reasoning back in the one field that the host reads, or not at all."""
    turn = LLMMessage(message)
    reasoning, details = turn.pop("reasoning", None), turn.pop("reasoning_details", None)
    if replay == "reasoning_details" and details:
        turn[replay] = details
    elif replay and replay != "reasoning_details" and reasoning:
        turn[replay] = reasoning
    return turn


def _with_string_content(message: LLMMessage) -> LLMMessage:
    """Join text parts for hosts that take strings only; other parts stay, to be refused there."""
    content = message.content
    if not isinstance(content, list) or not all(p.get("type") == "text" for p in content):
        return message
    return LLMMessage(message, content="".join(p["text"] for p in content))
