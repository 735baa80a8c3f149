"""OpenAI Responses, the client's side: requests in.

Nothing is stored here, so what refers to a stored answer is refused.  Tools that a provider would have to
run itself are marked as such, as most providers have none of them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, ToolCall
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.allowed_tools import only_named
from faultmaven.infrastructure.llm.wire.foreign import HostedTool
from faultmaven.infrastructure.llm.wire.openai_responses import DETAILS_FORMAT
from faultmaven.infrastructure.llm.wire.shapes import as_integer, check_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Before what we ourselves put into `encrypted_content`: another dialect's block of reasoning.
SEALED_PREFIX: Final = "fm1."

# Read below, or of meaning to OpenAI's own service only.
_NOT_EXTRA: Final = frozenset({
    "background", "client_metadata", "context_management", "conversation", "include", "input",
    "instructions", "max_output_tokens", "metadata", "model", "moderation",
    "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream",
    "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
    "truncation", "user",
})  # fmt: skip
_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})
_STATEFUL: Final = ("previous_response_id", "conversation", "background", "prompt")


@dataclass(slots=True)
class ResponsesCall:
    """A client's request.

    Attributes:
        request: in our terms; `request.model` is what the client wrote.
        namespaces: for each tool that came in a namespace, by the name that the model is told: the
            namespace, and the tool's name in it.
    """

    request: LLMRequest
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)


def request_from_wire(body: Any) -> ResponsesCall:
    """Read the body of `POST /v1/responses`.

    Raises:
        InvalidRequestError: it cannot be understood, or needs what is not stored; `code` is the
            parameter's name.
    """
    if not isinstance(body, dict):
        raise _wrong(parameter="", problem="the body must be a JSON object")
    for name in _STATEFUL:
        if body.get(name):
            problem = f"{name} is not supported, as no answers are stored: send the whole input"
            raise _wrong(parameter=name, problem=problem)
    model = _typed(body, "model", str)
    if not model:
        raise _wrong(parameter="model", problem="model must be the name of a model")
    tools, namespaces = _tools(_typed(body, "tools", list) or [])
    tools = _allowed(tools, body.get("tool_choice"))
    extra = {k: v for k, v in body.items() if k not in _NOT_EXTRA and v is not None}
    request = LLMRequest(
        messages=list(_messages(body.get("input"))),
        model=model,
        system_prompt=_typed(body, "instructions", str),
        temperature=_typed(body, "temperature", (int, float)),
        top_p=_typed(body, "top_p", (int, float)),
        max_tokens=_typed(body, "max_output_tokens", int),
        tools=tools or None,
        tool_choice=_tool_choice(body.get("tool_choice")) if tools else None,
        response_format=_response_format(_typed(body, "text", dict) or {}),
        reasoning_effort=(_typed(body, "reasoning", dict) or {}).get("effort"),
        metadata=_typed(body, "metadata", dict),
        stream=bool(_typed(body, "stream", bool)),
        extra=extra,
    )
    if (most := body.get("top_logprobs")) is not None:
        extra |= {"logprobs": True, "top_logprobs": most}
    if (verbosity := (_typed(body, "text", dict) or {}).get("verbosity")) is not None:
        extra["verbosity"] = verbosity
    if not tools:
        extra.pop("parallel_tool_calls", None)
    return ResponsesCall(check_request(request), namespaces)


def _messages(items: Any) -> Iterable[LLMMessage]:
    if isinstance(items, str):
        return [LLMMessage(role="user", content=items)]
    if not isinstance(items, list) or not items:
        raise _wrong(parameter="input", problem="input must be text or a list of items")
    reader = _ItemsReader()
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong(parameter=f"input[{place}]", problem=f"input[{place}] must be an object")
        reader.add(item, f"input[{place}]")
    return reader.turns


class _ItemsReader:
    """Joins items into turns: reasoning, text and calls that follow one another are one turn."""

    def __init__(self) -> None:
        self.turns: list[LLMMessage] = []

    def add(self, item: dict[str, Any], where: str) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "message":
            self._message(item, where)
        elif kind == "function_call":
            self._call(item)
        elif kind == "function_call_output":
            output = _content(item.get("output"), f"{where}.output")
            turn = LLMMessage(role="tool", tool_call_id=item.get("call_id"), content=output)
            self.turns.append(turn)
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind == "item_reference" or kind is None:
            problem = f"{where} refers to a stored item: send the item itself"
            raise _wrong(parameter=where, problem=problem)
        # Others are what a provider ran itself (web_search_call, …); their results are in the text.

    def _message(self, item: dict[str, Any], where: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            problem = f"{where}.role must be user, assistant, system or developer"
            raise _wrong(parameter=f"{where}.role", problem=problem)
        value = _content(item.get("content"), f"{where}.content")
        if role != "assistant":
            self.turns.append(LLMMessage(role=role, content=value))
            return
        turn = self._answer()
        text = content.text_of(value)
        turn["content"] = (turn.get("content") or "") + text

    def _answer(self) -> LLMMessage:
        if not self.turns or self.turns[-1].role != "assistant":
            self.turns.append(LLMMessage(role="assistant", content=None))
        return self.turns[-1]

    def _call(self, item: dict[str, Any]) -> None:
        name = str(item.get("name") or "")
        if space := item.get("namespace"):
            name = _flat_name(str(space), name)
        arguments = content.arguments_text(item.get("arguments"))
        call = ToolCall.make(str(item.get("call_id") or item.get("id") or ""), name, arguments)
        if extra := item.get("extra_content"):
            call["extra_content"] = extra
        self._answer().setdefault("tool_calls", []).append(call)

    def _reasoning(self, item: dict[str, Any]) -> None:
        turn = self._answer()
        parts = [*_parts(item, "summary"), *_parts(item, "content")]
        text = "".join(str(part.get("text") or "") for part in parts)
        if text:
            turn["reasoning"] = turn.get("reasoning", "") + text
        if encrypted := item.get("encrypted_content"):
            calls = len(turn.get("tool_calls", ()))
            turn.setdefault("reasoning_details", []).append(_details(item, str(encrypted), calls))


def _details(item: dict[str, Any], encrypted: str, calls_before: int) -> dict[str, Any]:
    if encrypted.startswith(SEALED_PREFIX):
        try:
            opened = codec.loads(base64.urlsafe_b64decode(encrypted[len(SEALED_PREFIX) :]))
        except (binascii.Error, ValueError):
            opened = None
        if isinstance(opened, dict):
            return opened
    return {
        "type": "reasoning.encrypted",
        "data": encrypted,
        "id": item.get("id"),
        "format": DETAILS_FORMAT,
        "index": calls_before,
        "summary": [str(part.get("text") or "") for part in _parts(item, "summary")],
    }


def _parts(item: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    parts = content.parts_of(item.get(name))
    if not all(isinstance(part, dict) for part in parts):
        raise _wrong(
            parameter=name, problem=f"{name} of reasoning must be text or a list of parts"
        )
    return parts


def _content(value: Any, where: str) -> str | list[dict[str, Any]]:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise _wrong(parameter=where, problem=f"{where} must be text or a list of parts")
    parts = [_part(part, where) for part in value]
    # Text alone is understood by every provider as a string.
    return parts[0]["text"] if len(parts) == 1 and content.is_text(parts[0]) else parts


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = _typed(part, "type", str)
    if content.is_text(part):
        return {"type": "text", "text": str(part.get("text") or "")}
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal") or "")}
    if kind == "input_image":
        if not part.get("image_url"):
            raise _wrong(parameter=where, problem=f"{where}: an image needs an image_url")
        return {
            "type": "image_url",
            "image_url": content.without_none(url=part["image_url"], detail=part.get("detail")),
        }
    if kind == "input_file":
        fields = ("file_id", "file_data", "file_url", "filename")
        return {"type": "file", "file": {k: part[k] for k in fields if part.get(k) is not None}}
    if kind == "input_audio":
        return part
    raise _wrong(parameter=where, problem=f"{where}: parts of the type {kind!r} are not known")


def _tools(
    tools: list[Any],
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, str]]]:
    functions: list[dict[str, Any]] = []
    namespaces: dict[str, tuple[str, str]] = {}
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            functions.append(_function(tool, str(tool.get("name") or "")))
        elif kind == "namespace":
            space = str(tool.get("name") or "")
            for inner in _typed(tool, "tools", list) or ():
                if isinstance(inner, dict) and inner.get("type") == "function":
                    name = str(inner.get("name") or "")
                    namespaces[_flat_name(space, name)] = (space, name)
                    functions.append(_function(inner, _flat_name(space, name)))
                elif isinstance(inner, dict):
                    functions.append(HostedTool(inner))
        elif isinstance(tool, dict):
            functions.append(HostedTool(tool))
    return functions, namespaces


def _flat_name(space: str, name: str) -> str:
    return f"{space}__{name}"


def _function(tool: Mapping[str, Any], name: str) -> dict[str, Any]:
    function = content.without_none(
        name=name,
        description=tool.get("description"),
        parameters=tool.get("parameters"),
        strict=tool.get("strict"),
    )
    return {"type": "function", "function": function}


def _allowed(tools: list[dict[str, Any]], choice: Any) -> list[dict[str, Any]]:
    """Give the tools that may be called, where the choice is among some of them."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return tools
    listed = [tool for tool in _typed(choice, "tools", list) or () if isinstance(tool, dict)]
    return only_named(tools, [tool.get("name") for tool in listed]) if listed else tools


def _tool_choice(choice: Any) -> str | dict[str, Any] | None:
    if isinstance(choice, str):
        return choice
    if not isinstance(choice, dict):
        return None
    if choice.get("type") == "function":
        name = str(choice.get("name") or "")
        if space := choice.get("namespace"):
            name = _flat_name(str(space), name)
        return {"type": "function", "function": {"name": name}}
    return choice.get("mode")


def _response_format(text: Mapping[str, Any]) -> dict[str, Any] | None:
    wanted = text.get("format")
    if not isinstance(wanted, dict) or wanted.get("type") in (None, "text"):
        return None
    if wanted["type"] != "json_schema":
        return wanted
    described = {k: v for k, v in wanted.items() if k != "type" and v is not None}
    return {"type": "json_schema", "json_schema": described}


def _typed(body: Mapping[str, Any], name: str, kinds: type | tuple[type, ...]) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if kinds is int:
        value = as_integer(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise _wrong(parameter=name, problem=f"{name} is of the wrong type")
    return value


def _wrong(*, parameter: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError(problem, code=parameter or None, status=400)
