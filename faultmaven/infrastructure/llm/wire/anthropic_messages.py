"""Anthropic Messages, the provider's side: requests out, answers in.

The API of Anthropic, of Claude on Vertex AI and Bedrock, and of hosts that speak it too.  Source: the
vendor's API reference and typed client, and real traffic, read 2026-11-20.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ResponseFormatError
from faultmaven.infrastructure.llm.types import LLMResponse, ToolCall, Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import make_response, normalise_finish
from faultmaven.infrastructure.llm.wire.anthropic_blocks import (
    REASONING_FORMAT,
    system_to_wire,
    turns_to_wire,
)
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import (
    as_object,
    count_in,
    malformed,
    optional_text_in,
    sum_of,
    text_in,
)
from faultmaven.infrastructure.llm.wire.foreign import ANTHROPIC_FIELDS, foreign_fields
from faultmaven.infrastructure.llm.wire.structured import ask_for_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest

DEFAULT_MAX_TOKENS: Final = 4096

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    # The turn is to be sent back for the rest of a long server tool; what is there is whole.
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# The API takes no smaller budget.
_LEAST_BUDGET: Final = 1024
_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32000,
    "max": 64000,
}
# Models that think by a budget of tokens only; later ones choose by themselves, guided by an effort.
BUDGET_MODELS: Final = (
    "*claude-3*",
    "*claude-*-4",
    "*claude-*-4-[0-5]",
    "*claude-*-4-[0-5][-@]*",
    "*claude-*-4[-@]20*",
    "*claude-*-4.[0-5]*",
)
# Fields that add to the prompt; the counting endpoint refuses the others.
_COUNTED: Final = frozenset(
    {"messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"}
)
_TOOL_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any", "any": "any"}

# Of OpenAI's fields; the API answers 400 to the others (documentation, read 2026-11-20).
_TAKEN: Final = ANTHROPIC_FIELDS | {"parallel_tool_calls", "user"}
# What thinking leaves of sampling.
_LEAST_TOP_P: Final = 0.95
_EFFORT_ALONE: Final = "output_config.effort"
_OWN_TIERS: Final = ("auto", "standard_only")


def unsupported_parameters(
    request: LLMRequest, model: str = "", *, options: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for; see `request_to_wire`."""
    has_own_tier = request.extra.get("service_tier") in _OWN_TIERS
    taken = _TAKEN | {"service_tier"} if has_own_tier else _TAKEN
    found = ["seed", *foreign_fields(request, taken)]
    if request.reasoning_effort in (None, "none") or _style(model, options) == _EFFORT_ALONE:
        return tuple(found)
    # With thinking no tool can be forced, and sampling is the API's own (guide, read 2026-11-20).
    if request.tools and _is_forced(request.tool_choice):
        return (*found, "reasoning_effort")
    if request.temperature != 1:
        found.append("temperature")
    if request.top_p is not None and request.top_p < _LEAST_TOP_P:
        found.append("top_p")
    return (*found, "top_k")


def request_to_wire(
    request: LLMRequest,
    model: str,
    *,
    options: Mapping[str, Any] | None = None,
    max_tokens_default: int = DEFAULT_MAX_TOKENS,
) -> dict[str, Any]:
    """Build the body of `POST /messages`.

    Args:
        request: what is asked for; `request.stream` decides whether a stream is.
        model: the provider's name for the model.
        options: the provider's row; `reasoning.request` names how an effort is said
            (`EFFORT_STYLES`), by default what the model takes.
        max_tokens_default: the model's own limit; sent where the request sets none, because the API
            demands one, and a bound for what is left to think.
    """
    request = _with_askable_structure(request)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens or max_tokens_default,
        "messages": turns_to_wire(request.messages),
    }
    settings = content.without_none(
        system=system_to_wire(request),
        temperature=request.temperature,
        top_p=request.top_p,
        # The API has no seed; what happens to it is for the row's rules to say.
        seed=request.seed,
        stop_sequences=content.stop_list(request) or None,
        stream=True if request.stream else None,
    )
    body.update(settings)
    extra = dict(request.extra)
    _add_tools(body, request, extra.pop("parallel_tool_calls", None))
    if request.reasoning_effort is not None:
        EFFORT_STYLES[_style(model, options)](body, request.reasoning_effort, max_tokens_default)
    if (schema := content.wanted_schema(request)) is not None:
        form = {"type": "json_schema", "schema": _closed(schema)}
        body["output_config"] = {**body.get("output_config", {}), "format": form}
    user = extra.pop("user", None)
    if user_id := (request.metadata or {}).get("user_id") or user:
        body["metadata"] = {"user_id": str(user_id)}
    return content.merge_extra(body, extra)


def response_from_wire(data: Any) -> LLMResponse:
    """Read the answer of `POST /messages`.

    Raises:
        LLMError: the body is an error under HTTP 200.
        ResponseFormatError: the body is not what the API says.
    """
    data = as_object(data, "the body")
    if data.get("type") == "error" or ("content" not in data and data.get("error")):
        raise parse_error_object(data)
    blocks = data.get("content")
    if not isinstance(blocks, list):
        raise malformed(blocks, "content", "a list")
    answer = _Answer(str(data.get("id") or ""))
    for block in blocks:
        answer.add(as_object(block, "content"))
    raw = optional_text_in(data, "stop_reason")
    return make_response(
        text="".join(answer.text),
        model=text_in(data, "model"),
        raw=data,
        usage=usage_from_wire(data.get("usage")),
        tool_calls=answer.calls,
        finish_reason=normalise_finish(raw, FINISH_REASONS, has_tool_calls=bool(answer.calls)),
        finish_reason_raw=raw,
        response_id=optional_text_in(data, "id"),
        reasoning="".join(answer.reasoning),
        reasoning_details=answer.details,
    )


def count_request_to_wire(body: Mapping[str, Any]) -> dict[str, Any]:
    """Build the body of `POST /messages/count_tokens` from that of `POST /messages`."""
    return {name: value for name, value in body.items() if name in _COUNTED}


def token_count_from_wire(data: Any) -> int:
    """Read the answer of `POST /messages/count_tokens`.

    Raises:
        ResponseFormatError: there is no count in it.
    """
    count = count_in(data, "input_tokens")
    if count is None:
        raise malformed(None, "input_tokens", "a token count")
    return count


def usage_from_wire(usage: object) -> Usage:
    """Read token counts; Anthropic counts cache reads and writes outside of `input_tokens`."""
    if not isinstance(usage, dict):
        return Usage()
    fresh = count_in(usage, "input_tokens")
    read = count_in(usage, "cache_read_input_tokens")
    written = count_in(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else sum_of(fresh, read, written),
        output_tokens=count_in(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count_in(usage.get("output_tokens_details"), "thinking_tokens"),
    )


def thinking_detail(text: str, signature: str | None) -> dict[str, Any]:
    """Give a thinking block as a conversation keeps it."""
    detail = {"type": "reasoning.text", "text": text, "format": REASONING_FORMAT}
    return detail | {"signature": signature} if signature else detail


def redacted_detail(data: object) -> dict[str, Any]:
    """Give a block of encrypted thinking as a conversation keeps it."""
    return {"type": "reasoning.encrypted", "data": data, "format": REASONING_FORMAT}


class _Answer:
    """Collects the blocks of one answer; what the provider ran itself stays in the raw body."""

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.details: list[dict[str, Any]] = []
        self.calls: list[ToolCall] = []

    def add(self, block: dict[str, Any]) -> None:
        kind = block.get("type")
        if kind == "text":
            self.text.append(text_in(block, "text"))
        elif kind == "tool_use":
            self.calls.append(self._call(block))
        elif kind == "thinking":
            thought = text_in(block, "thinking")
            self.reasoning.append(thought)
            self.details.append(thinking_detail(thought, optional_text_in(block, "signature")))
        elif kind == "redacted_thinking":
            self.details.append(redacted_detail(block.get("data")))

    def _call(self, block: dict[str, Any]) -> ToolCall:
        place = len(self.calls)
        name = text_in(block, "name")
        if not name:
            msg = "A tool call of the provider's answer has no name."
            raise ResponseFormatError(msg, code="malformed_response")
        call_id = optional_text_in(block, "id")
        call_id = call_id or content.make_call_id(place, self.response_id, name)
        return ToolCall.make(call_id, name, content.arguments_text(block.get("input")) or "{}")


def _with_askable_structure(request: LLMRequest) -> LLMRequest:
    """Say "any JSON" in words: the API has a mode for schemas only."""
    if content.wants_json(request) and content.wanted_schema(request) is None:
        return ask_for_structure(request, "prompt")
    return request


def _add_tools(body: dict[str, Any], request: LLMRequest, parallel: object) -> None:
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    choice = _tool_choice(request.tool_choice)
    if parallel is False and request.tools:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice = {**choice, "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        # A tool in this API's own words, its server tools among them.
        return tool
    return content.without_none(
        name=function.get("name"),
        description=function.get("description"),
        input_schema=function.get("parameters") or {"type": "object", "properties": {}},
        strict=function.get("strict"),
        cache_control=tool.get("cache_control") or function.get("cache_control"),
    )


def _tool_choice(choice: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return {"type": _TOOL_CHOICES.get(choice, choice)}
    function = choice.get("function")
    if isinstance(function, dict):
        return {"type": "tool", "name": function.get("name")}
    return choice


def _is_forced(choice: Any) -> bool:
    return choice in ("required", "any") or isinstance(choice, dict)


def _style(model: str, options: Mapping[str, Any] | None) -> str:
    styled: str | None = ((options or {}).get("reasoning") or {}).get("request")
    if styled is not None:
        return styled
    by_budget = any(fnmatchcase(model, pattern) for pattern in BUDGET_MODELS)
    return "thinking.budget" if by_budget else "thinking.adaptive"


def _ask_by_budget(body: dict[str, Any], effort: str, limit_tokens: int) -> None:
    """Add a budget to the answer's own bound: the API counts thinking inside `max_tokens`."""
    if effort == "none":
        return
    wanted = body["max_tokens"]
    answer = wanted if wanted < limit_tokens else _LEAST_BUDGET
    budget = max(_LEAST_BUDGET, min(_BUDGETS.get(effort, _LEAST_BUDGET), limit_tokens - answer))
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    body["max_tokens"] = max(wanted, answer + budget)
    # With thinking the API takes no other temperature than 1, which is also its default.
    body.pop("temperature", None)


def _ask_adaptively(body: dict[str, Any], effort: str, limit_tokens: int) -> None:
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    body["thinking"] = {"type": "adaptive"}
    _ask_by_effort(body, effort, limit_tokens)
    body.pop("temperature", None)


def _ask_by_effort(body: dict[str, Any], effort: str, limit_tokens: int) -> None:  # noqa: ARG001  # the three styles are called alike
    body["output_config"] = {"effort": "low" if effort in {"none", "minimal"} else effort}


EFFORT_STYLES: Final[Mapping[str, Callable[[dict[str, Any], str, int], None]]] = {
    "thinking.adaptive": _ask_adaptively,
    "thinking.budget": _ask_by_budget,
    _EFFORT_ALONE: _ask_by_effort,
}


def _closed(schema: Any) -> Any:
    """Close every object of a schema, as the API demands; what the schema says itself stays."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
