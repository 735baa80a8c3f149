"""Anthropic Messages, the gateway's side: requests in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, ToolCall
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.anthropic_messages import (
    redacted_detail,
    thinking_detail,
)
from faultmaven.infrastructure.llm.wire.anthropic_seal import open_sealed
from faultmaven.infrastructure.llm.wire.shapes import as_integer, check_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Fields that are read below, and those that mean something to Anthropic's own service only.
_READ: Final = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_OWN_SERVICE: Final = frozenset(
    {
        "anthropic_version",
        "betas",
        "cache_control",
        "inference_geo",
        "service_tier",
        "speed",
    }
)
_EFFORT_BY_BUDGET: Final = ((1024, "minimal"), (4096, "low"), (12000, "medium"), (24000, "high"))
_CHOICES: Final = {"auto": "auto", "none": "none", "any": "required"}


def request_from_wire(body: Any) -> LLMRequest:
    """Read the body of `POST /v1/messages`.

    Fields that only Anthropic's own service knows are left out; unknown ones go to `extra`.

    Raises:
        InvalidRequestError: a field is missing or of the wrong type; `code` is its name.
    """
    body = _checked(body, dict, "the body", "an object")
    messages = _checked(body.get("messages"), list, "messages", "a list")
    config = _optional(body, "output_config", dict, "an object") or {}
    thinking = _optional(body, "thinking", dict, "an object")
    form = config.get("format") or body.get("output_format")
    known = _READ | _OWN_SERVICE
    extra = {name: value for name, value in body.items() if name not in known}
    if "top_k" in extra:
        extra["top_k"] = as_integer(extra["top_k"])
    choice = _optional(body, "tool_choice", dict, "an object")
    if choice and choice.get("disable_parallel_tool_use"):
        extra["parallel_tool_calls"] = False
    request = LLMRequest(
        messages=[*_system(body.get("system")), *_messages(messages)],
        model=_checked(body.get("model"), str, "model", "a string"),
        temperature=_optional(body, "temperature", (int, float), "a number"),
        max_tokens=_optional(body, "max_tokens", int, "an integer"),
        top_p=_optional(body, "top_p", (int, float), "a number"),
        stop=_optional(body, "stop_sequences", list, "a list") or None,
        tools=[_tool(tool) for tool in _optional(body, "tools", list, "a list") or ()] or None,
        tool_choice=_choice(choice),
        output_schema=form.get("schema") if isinstance(form, dict) else None,
        reasoning_effort=config.get("effort") or _effort(thinking),
        metadata=_optional(body, "metadata", dict, "an object"),
        stream=bool(_optional(body, "stream", bool, "true or false")),
        extra=extra,
    )
    return check_request(request)


def _messages(turns: list[Any]) -> Iterable[LLMMessage]:
    for index, item in enumerate(turns):
        where = f"messages.{index}"
        turn = _checked(item, dict, where, "an object")
        role = turn.get("role")
        value = turn.get("content")
        if not isinstance(value, str | list):
            raise _wrong(where=f"{where}.content", expected="a string or a list of blocks")
        blocks = _blocks(value, f"{where}.content")
        if role == "assistant":
            yield _assistant(blocks)
        elif role == "user":
            yield from _user(blocks)
        elif role == "system":
            yield from _system(value)
        else:
            raise _wrong(where=f"{where}.role", expected="user or assistant")


def _system(value: Any) -> list[LLMMessage]:
    if value is None or value in ("", []):
        return []
    if not isinstance(value, str | list):
        raise _wrong(where="system", expected="a string or a list of blocks")
    return [
        LLMMessage(role="system", content=_content([_part(b) for b in _blocks(value, "system")]))
    ]


def _blocks(value: Any, where: str) -> list[dict[str, Any]]:
    """Give the blocks of a content, each an object with a kind."""
    blocks = content.parts_of(value)
    for place, block in enumerate(blocks):
        _optional(_checked(block, dict, f"{where}.{place}", "an object"), "type", str, "a string")
    return blocks


def _user(blocks: list[dict[str, Any]]) -> Iterable[LLMMessage]:
    """Give a user's turn: the results of tools first, each a message of its own."""
    for block in blocks:
        if block.get("type") == "tool_result":
            yield _result(block)
    parts = [_part(block) for block in blocks if block.get("type") != "tool_result"]
    if parts or not blocks:
        yield LLMMessage(role="user", content=_content(parts))


def _result(block: dict[str, Any]) -> LLMMessage:
    inner = _blocks(block.get("content"), "tool_result.content")
    message = LLMMessage(
        role="tool",
        tool_call_id=str(block.get("tool_use_id")),
        content=_content([_part(one) for one in inner]),
    )
    for name in ("is_error", "cache_control"):
        if block.get(name):
            message[name] = block[name]
    return message


def _assistant(blocks: list[dict[str, Any]]) -> LLMMessage:
    thoughts = [found for block in blocks if (found := _thinking(block)) is not None]
    beside = {str(kept["call"]): kept.get("beside") for kept in thoughts if "call" in kept}
    details = [kept for kept in thoughts if "call" not in kept]
    calls = [
        ToolCall.make(
            str(block.get("id")),
            str(block.get("name")),
            content.arguments_text(block.get("input")) or "{}",
        )
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    for call in calls:
        if isinstance(found := beside.get(call.id), dict):
            call["extra_content"] = found
    apart = {"thinking", "redacted_thinking", "tool_use"}
    parts = [_part(block) for block in blocks if block.get("type") not in apart]
    message = LLMMessage(role="assistant", content=_content(parts) if parts else None)
    if calls:
        message["tool_calls"] = calls
    if details:
        message["reasoning_details"] = details
    texts = [block.get("thinking") for block in blocks if block.get("type") == "thinking"]
    if reasoning := "".join(str(text or "") for text in texts):
        message["reasoning"] = reasoning
    return message


def _thinking(block: dict[str, Any]) -> dict[str, Any] | None:
    """Give a block of thinking, opened where we have sealed it; also what belongs to a call."""
    if block.get("type") == "thinking":
        signature = block.get("signature")
        text = str(block.get("thinking") or "")
        return open_sealed(signature) or thinking_detail(text, signature)
    if block.get("type") != "redacted_thinking":
        return None
    return open_sealed(block.get("data")) or redacted_detail(block.get("data"))


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Write texts without marks as one string."""
    if all(part.get("type") == "text" and len(part) == 2 for part in parts):
        return "".join(str(part["text"]) for part in parts)
    return parts


def _part(block: dict[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        part: dict[str, Any] = {"type": "text", "text": str(block.get("text") or "")}
    elif kind in {"image", "document"} and isinstance(block.get("source"), dict):
        part = _attachment(block, block["source"])
    else:
        # A block that only Anthropic's models know goes to them as it is.
        return block
    if block.get("cache_control"):
        part["cache_control"] = block["cache_control"]
    return part


def _attachment(block: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    kind = source.get("type")
    if kind == "content":
        return {"type": "text", "text": content.text_of(source.get("content"))}
    if kind == "file":
        return {"type": "file", "file": {"file_id": source.get("file_id")}}
    data = source.get("data")
    if kind == "text":
        data = base64.b64encode(str(data).encode()).decode()
    media_type = source.get("media_type") or "application/octet-stream"
    address = source.get("url") if kind == "url" else f"data:{media_type};base64,{data}"
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": address}}
    file = {"file_url" if kind == "url" else "file_data": address}
    if block.get("title"):
        file["filename"] = block["title"]
    return {"type": "file", "file": file}


def _tool(tool: Any) -> dict[str, Any]:
    tool = _checked(tool, dict, "tools", "a list of objects")
    if "input_schema" not in tool:
        return dict(tool)
    function = content.without_none(
        name=tool.get("name"),
        description=tool.get("description"),
        parameters=tool["input_schema"],
        strict=tool.get("strict"),
    )
    found: dict[str, Any] = {"type": "function", "function": function}
    if tool.get("cache_control"):
        found["cache_control"] = tool["cache_control"]
    return found


def _choice(choice: dict[str, Any] | None) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    kind = _optional(choice, "type", str, "a string")
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if kind not in _CHOICES:
        raise _wrong(where="tool_choice.type", expected="auto, any, tool or none")
    return _CHOICES[str(kind)]


def _effort(thinking: dict[str, Any] | None) -> str | None:
    if not thinking or thinking.get("type") == "adaptive":
        return None
    if thinking.get("type") == "disabled":
        return "none"
    budget = as_integer(thinking.get("budget_tokens"))
    if not isinstance(budget, int):
        return None
    return next((effort for bound, effort in _EFFORT_BY_BUDGET if budget <= bound), "xhigh")


def _optional(body: Mapping[str, Any], name: str, kind: Any, expected: str) -> Any:
    value = body.get(name)
    return None if value is None else _checked(value, kind, name, expected)


def _checked(value: Any, kind: Any, where: str, expected: str) -> Any:
    if kind is int:
        value = as_integer(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(where=where, expected=expected)
    return value


def _wrong(*, where: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"{where}: must be {expected}", code=where)
