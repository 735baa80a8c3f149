"""OpenAI Chat Completions, the client's side: requests in, answers out.

What the gateway needs to serve a client of this API from a provider of any dialect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import (
    LLMMessage,
    LLMRequest,
    ToolCall,
    ToolCallDelta,
)
from faultmaven.infrastructure.llm.wire.allowed_tools import only_named
from faultmaven.infrastructure.llm.wire.answer import shown_usage
from faultmaven.infrastructure.llm.wire.shapes import as_integer, check_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse, Usage

NO_ARGUMENTS: Final = "{}"
DONE: Final = b"data: [DONE]\n\n"
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_TEXT_OR_LIST = (str, list)

# Parameters that mean the same in `LLMRequest`: name and the JSON types that are taken.
_TAKEN: Final[dict[str, tuple[type, ...]]] = {
    "temperature": (int, float),
    "top_p": (int, float),
    "stop": _TEXT_OR_LIST,
    "seed": (int,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "response_format": (dict,),
    "reasoning_effort": (str,),
    "metadata": (dict,),
}
# What is read here and not handed on.
_READ: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"}
)


@dataclass(slots=True)
class ChatCall:
    """A client's request.

    Attributes:
        request: in our terms; `request.model` is what the client wrote.
        include_usage: the client wants the usage chunk at the end of the stream.
    """

    request: LLMRequest
    include_usage: bool = False


def request_from_wire(body: Any) -> ChatCall:
    """Read the body of `POST /v1/chat/completions`.

    Raises:
        InvalidRequestError: it cannot be understood; `code` is the parameter's name.
    """
    if not isinstance(body, dict):
        raise _wrong(parameter="", problem="the body must be a JSON object")
    request = LLMRequest(_messages_from_wire(body.get("messages")), temperature=None)
    request.model = _typed(body, "model", (str,))
    if not request.model:
        raise _wrong(parameter="model", problem="model must be the name of a model")
    if body.get("n") not in (None, 1):
        raise _wrong(parameter="n", problem="n must be 1: ask several times for several answers")
    for name, kinds in _TAKEN.items():
        if (value := _typed(body, name, kinds)) is not None:
            setattr(request, name, value)
    _narrow(request)
    request.max_tokens = _typed(body, "max_completion_tokens", (int,))
    if request.max_tokens is None:
        request.max_tokens = _typed(body, "max_tokens", (int,))
    request.stream = bool(_typed(body, "stream", (bool,)))
    request.extra = {
        name: value
        for name, value in body.items()
        if name not in _TAKEN and name not in _READ and value is not None
    }
    options = _typed(body, "stream_options", (dict,)) or {}
    return ChatCall(check_request(request), include_usage=options.get("include_usage") is True)


def response_to_wire(response: LLMResponse, *, created: int) -> dict[str, Any]:
    """Write a plain answer.

    Args:
        response: the answer.
        created: seconds since 1970, UTC.
    """
    message: dict[str, Any] = {
        "role": "assistant",
        "content": response.content or None,
        "refusal": response.refusal,
    }
    if response.reasoning:
        message["reasoning_content"] = response.reasoning
    if response.reasoning_details:
        message["reasoning_details"] = response.reasoning_details
    if response.tool_calls:
        is_cut_off = response.finish_reason == "length"
        message["tool_calls"] = [_call(call, is_cut_off) for call in response.tool_calls]
    elif message["content"] is None and response.refusal is None:
        message["content"] = ""
    message |= _media(response.media)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": response.finish_reason or "stop",
    }
    wire: dict[str, Any] = {
        "id": response.response_id or "chatcmpl-faultmaven",
        "object": "chat.completion",
        "created": created,
        "model": response.model,
        "choices": [choice],
    }
    wire["usage"] = usage_to_wire(shown_usage(response))
    return wire


def _call(call: ToolCall, is_cut_off: bool) -> ToolCall:
    """Give a call's arguments as clients parse them: none are `{}`, unless they were cut off."""
    if call.arguments_raw or is_cut_off:
        return call
    function = {**call["function"], "arguments": NO_ARGUMENTS}
    return ToolCall({**call, "function": function})


def _media(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the fields of a message for what a model drew or spoke: OpenRouter's for images, OpenAI's for sound."""
    fields: dict[str, Any] = {}
    for part in parts:
        if part.get("type") == "audio":
            fields["audio"] = part["audio"]
        else:
            fields.setdefault("images", []).append(part)
    return fields


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Write token counts; what is not known is 0."""
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }


class ChatStreamEncoder:
    """Writes chunks as `chat.completion.chunk` events.

    Args:
        response_id: one for all events of the answer.
        model: the model that answers.
        created: seconds since 1970, UTC.
        include_usage: send the usage chunk before the end.
    """

    def __init__(
        self, response_id: str, model: str, created: int, *, include_usage: bool = False
    ) -> None:
        self._head = {
            "id": response_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._begun = False
        self._has_finished = False
        self._has_calls = False
        self._usage: Usage | None = None
        # Calls of which no arguments have come.
        self._bare: list[int] = []

    def encode(self, chunk: LLMChunk) -> bytes:
        """Write one chunk; `b""` where it holds nothing for the client."""
        delta: dict[str, Any] = {} if self._begun else {"role": "assistant", "content": ""}
        if chunk.text:
            delta["content"] = chunk.text
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.reasoning_details:
            delta["reasoning_details"] = chunk.reasoning_details
        if chunk.tool_calls:
            delta["tool_calls"] = chunk.tool_calls
            self._note_calls(chunk.tool_calls)
        if chunk.refusal:
            delta["refusal"] = chunk.refusal
        if chunk.media:
            delta |= _media(chunk.media)
        wire = b""
        if delta:
            self._begun = True
            wire = self._event(delta, None)
        self._usage = chunk.usage or self._usage
        if chunk.finish_reason is not None:
            wire += self._finish(chunk.finish_reason)
        return wire

    def end(self) -> bytes:
        """Write the end of a complete answer."""
        wire = b""
        if not self._has_finished:
            wire = self._finish("tool_calls" if self._has_calls else "stop")
        if self._usage is not None and self._include_usage:
            usage = usage_to_wire(self._usage)
            wire += _data({**self._head, "choices": [], "usage": usage})
        return wire + DONE

    def _note_calls(self, pieces: list[ToolCallDelta]) -> None:
        self._has_calls = True
        for piece in pieces:
            if piece.arguments:
                if piece.index in self._bare:
                    self._bare.remove(piece.index)
            elif piece.id:
                self._bare.append(piece.index)

    def _finish(self, reason: str) -> bytes:
        self._has_finished = True
        wire = b""
        if self._bare and reason != "length":
            # Clients parse the text, and no arguments are no JSON.
            pieces = [ToolCallDelta.make(index, arguments=NO_ARGUMENTS) for index in self._bare]
            wire = self._event({"tool_calls": pieces}, None)
        return wire + self._event({}, reason)

    def _event(self, delta: dict[str, Any], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**self._head, "choices": [choice]})


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + codec.dumps(value) + b"\n\n"


def _narrow(request: LLMRequest) -> None:
    """Offer the allowed tools only, where the choice is among some of them."""
    choice = request.tool_choice
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return
    allowed = _typed(choice, "allowed_tools", (dict,)) or {}
    listed = _typed(allowed, "tools", (list,)) or []
    functions = [tool.get("function") for tool in listed if isinstance(tool, dict)]
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    if names:
        request.tools = only_named(request.tools, names) or None
    request.tool_choice = str(allowed.get("mode") or "auto") if request.tools else None


def _messages_from_wire(messages: Any) -> list[LLMMessage]:
    if not isinstance(messages, list) or not messages:
        raise _wrong(
            parameter="messages", problem="messages must be a list with at least one message"
        )
    turns = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict):
            raise _wrong(parameter=where, problem=f"{where} must be an object")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _wrong(
                parameter=f"{where}.role",
                problem=f"{where}.role must be one of {', '.join(sorted(_ROLES))}",
            )
        content = message.get("content")
        if content is not None and not isinstance(content, _TEXT_OR_LIST):
            raise _wrong(
                parameter=f"{where}.content",
                problem=f"{where}.content must be text, parts or null",
            )
        if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
            raise _wrong(
                parameter=f"{where}.content", problem=f"{where}.content must hold objects"
            )
        turns.append(_turn(message))
    return turns


def _turn(message: dict[str, Any]) -> LLMMessage:
    turn = LLMMessage({name: value for name, value in message.items() if value is not None})
    turn.setdefault("content", None)
    # The name that most clients know; ours is shorter.
    if "reasoning_content" in turn:
        turn.setdefault("reasoning", turn.pop("reasoning_content"))
    return turn


def _typed(body: Mapping[str, Any], name: str, kinds: tuple[type, ...]) -> Any:
    """Take a parameter of one of some types; None where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if kinds == (int,):
        value = as_integer(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(_JSON_NAMES[kind] for kind in kinds)
        raise _wrong(parameter=name, problem=f"{name} must be {names}")
    return value


_JSON_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


def _wrong(*, parameter: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError(problem, code=parameter or None, status=400)
