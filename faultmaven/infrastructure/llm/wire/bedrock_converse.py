"""Amazon Bedrock's Converse: requests out, answers in.

Source: botocore 1.43's service model of bedrock-runtime and recorded traffic (read 2026-11).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
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
    sum_of,
    text_in,
)
from faultmaven.infrastructure.llm.wire.foreign import foreign_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest, LLMResponse

# malformed_model_output and malformed_tool_use have no word in OpenAI's vocabulary.
FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}

# Only Claude signs its thoughts here, and reads them the same at Anthropic.
DETAILS_FORMAT: Final = "anthropic-claude-v1"

# What a caller may give at the top and Bedrock passes to the model inside this object.
MODEL_FIELDS: Final = frozenset({
    "anthropic_beta", "reasoningConfig", "reasoning_effort", "thinking", "topK", "top_k",
})  # fmt: skip

# A reasoning effort, as models want it said; the row's `reasoning.request` names one.
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384}
_EFFORT_STYLES: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "model_reasoning_effort": lambda effort: _to_model(reasoning_effort=effort),
    "reasoning_config": lambda effort: _to_model(
        reasoningConfig={"type": "disabled"}
        if effort == "none"
        else {"type": "enabled", "maxReasoningEffort": effort}
    ),
    "thinking": lambda effort: _to_model(
        thinking={"type": "disabled"}
        if effort == "none"
        else {"type": "enabled", "budget_tokens": _BUDGETS.get(effort, 32768)}
    ),
}

_MEDIA_FORMATS: Final = {
    "application/pdf": "pdf", "text/csv": "csv", "text/html": "html", "text/markdown": "md",
    "application/msword": "doc", "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "audio/mpeg": "mp3", "video/quicktime": "mov", "video/x-matroska": "mkv",
}  # fmt: skip


def _say_effort(effort: str) -> dict[str, Any]:
    # There is no word for none, and without one the models that can choose do not think.
    return {} if effort == "none" else {"outputConfig": {"effort": effort}}


def _to_model(**fields: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": fields}


def unsupported_parameters(request: LLMRequest) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for."""
    found = ["seed"] if request.seed is not None else []
    if content.wants_json(request) and not content.wanted_schema(request):
        found.append("response_format")
    if request.tool_choice == "none" and request.tools and _has_calls(request):
        found.append("tool_choice")
    return (*found, *foreign_fields(request, frozenset()))


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a request as a body of `/converse`; model and streaming go into the address.

    Args:
        request: what is asked for.
        model: not used.
        options: the provider's row; `reasoning.request` "thinking" (Claude before 4.6),
            "reasoning_config" (Nova) and "model_reasoning_effort" (open models) say an effort to the
            model itself; any other says it in `outputConfig`.
    """
    del model
    system, turns = content.split_system(request)
    body: dict[str, Any] = {"messages": _merged(turns)}
    if system:
        body["system"] = [{"text": text} for text in system]
    inference = content.without_none(
        maxTokens=request.max_tokens,
        temperature=request.temperature,
        topP=request.top_p,
        stopSequences=content.stop_list(request) or None,
    )
    if inference:
        body["inferenceConfig"] = inference
    # Tools may not be left out while the conversation holds calls of them.
    if request.tools and (request.tool_choice != "none" or _has_calls(request)):
        body["toolConfig"] = _tools_to_wire(request)
    if request.reasoning_effort is not None:
        style = ((options or {}).get("reasoning") or {}).get("request")
        say = _EFFORT_STYLES.get(str(style), _say_effort)
        body |= say(request.reasoning_effort)
    if schema := content.wanted_schema(request):
        described = {
            "name": content.schema_name(request),
            "schema": codec.dumps(schema).decode("utf-8"),
        }
        text_format = {"type": "json_schema", "structure": {"jsonSchema": described}}
        body.setdefault("outputConfig", {})["textFormat"] = text_format
    return content.merge_extra(body, request.extra, "additionalModelRequestFields", MODEL_FIELDS)


def _has_calls(request: LLMRequest) -> bool:
    return any(m.get("tool_calls") or m.get("role") == "tool" for m in request.messages)


def _tools_to_wire(request: LLMRequest) -> dict[str, Any]:
    specs = [
        content.without_none(
            name=function.get("name"),
            description=function.get("description") or None,
            inputSchema={
                "json": function.get("parameters") or {"type": "object", "properties": {}}
            },
            strict=function.get("strict") or None,
        )
        for function in content.functions_of(request)
    ]
    config: dict[str, Any] = {"tools": [{"toolSpec": spec} for spec in specs]}
    if name := content.forced_tool(request):
        config["toolChoice"] = {"tool": {"name": name}}
    elif request.tool_choice in ("auto", "required"):
        config["toolChoice"] = {"auto": {}} if request.tool_choice == "auto" else {"any": {}}
    return config


def _merged(turns: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write turns so that user and assistant alternate; what has no content is left out."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        role = "assistant" if turn.get("role") == "assistant" else "user"
        blocks = list(_blocks_of(turn))
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return messages


def _blocks_of(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if turn.get("role") == "tool":
        yield _result_to_wire(turn)
        return
    for block in turn.get("reasoning_details") or ():
        yield from _thought_to_wire(block)
    for part in content.parts_of(turn.get("content")):
        yield from _part_to_wire(part)
    for call in turn.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = content.arguments_object(function.get("arguments"))
        yield {
            "toolUse": {
                "toolUseId": call.get("id"),
                "name": function.get("name"),
                "input": arguments,
            }
        }


def _thought_to_wire(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if block.get("format") not in {None, DETAILS_FORMAT}:
        return
    if block.get("type") == "reasoning.encrypted":
        yield {"reasoningContent": {"redactedContent": block.get("data")}}
    elif block.get("type") == "reasoning.text" and block.get("signature"):
        text = {"text": block.get("text", ""), "signature": block["signature"]}
        yield {"reasoningContent": {"reasoningText": text}}


def _result_to_wire(turn: Mapping[str, Any]) -> dict[str, Any]:
    blocks = [b for part in content.parts_of(turn.get("content")) for b in _part_to_wire(part)]
    result = {
        "toolUseId": turn.get("tool_call_id"),
        "content": blocks or [{"text": "(no output)"}],
    }
    return {"toolResult": result}


def _part_to_wire(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if content.is_text(part):
        # Blank text is refused.
        if str(part.get("text") or "").strip():
            yield {"text": part["text"]}
    else:
        yield _file_to_wire(content.attachment_of(part))
    if part.get("cache_control"):
        yield {"cachePoint": {"type": "default"}}


def _file_to_wire(attachment: content.Attachment) -> dict[str, Any]:
    if attachment.inline is not None:
        media_type = attachment.inline.media_type
        source: dict[str, Any] = {"bytes": attachment.inline.data}
    elif (attachment.url or "").startswith("s3://"):
        media_type = content.guess_media_type(attachment)
        source = {"s3Location": {"uri": attachment.url}}
    else:
        what = f"an address of a {attachment.kind}"
        raise content.refuse_part(what, "Bedrock", "Send a data: URI or an s3:// address.")
    kind, _, subtype = media_type.partition("/")
    block = {"format": _MEDIA_FORMATS.get(media_type, subtype), "source": source}
    if kind in {"image", "audio", "video"}:
        return {kind: block}
    if media_type == "text/plain":
        block["format"] = "txt"
    # Names may hold letters, digits, single spaces, hyphens, parentheses and brackets.
    name = re.sub(r"[^\w()\[\]-]+", " ", attachment.name or "document", flags=re.ASCII)
    return {"document": {**block, "name": name.replace("_", "-").strip() or "document"}}


def response_from_wire(data: object) -> LLMResponse:
    """Read a plain answer.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is not what Bedrock sends.
    """
    body = as_object(data, "body")
    if "output" not in body:
        if body.get("message") or body.get("error"):
            raise parse_error_object(body)
        raise malformed(None, "output", "an object")
    blocks = list_in(object_in(object_in(body, "output"), "message"), "content")
    thoughts = [object_in(b, "reasoningContent") for b in blocks if "reasoningContent" in b]
    uses = [object_in(b, "toolUse") for b in blocks if "toolUse" in b]
    calls = [_call_from_wire(use, n) for n, use in enumerate(uses)]
    raw_reason = optional_text_in(body, "stopReason")
    return make_response(
        text="".join(_text_of(block) for block in blocks),
        reasoning="".join(text_in(object_in(t, "reasoningText"), "text") for t in thoughts),
        reasoning_details=[d for t in thoughts if (d := _details_of(t))],
        tool_calls=calls,
        model="",
        usage=usage_from_wire(body.get("usage")),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=bool(calls)),
        finish_reason_raw=raw_reason,
        raw=data,
    )


def _text_of(block: dict[str, Any]) -> str:
    cited = list_in(object_in(block, "citationsContent"), "content")
    return text_in(block, "text") + "".join(text_in(part, "text") for part in cited)


def _call_from_wire(use: dict[str, Any], index: int) -> ToolCall:
    name, arguments = text_in(use, "name"), content.arguments_text(use.get("input"))
    call_id = text_in(use, "toolUseId") or content.make_call_id(index, name, arguments)
    return ToolCall.make(call_id, name, arguments)


def _details_of(thought: dict[str, Any]) -> dict[str, Any] | None:
    text = object_in(thought, "reasoningText")
    return make_details(
        text_in(text, "text"), text_in(text, "signature"), text_in(thought, "redactedContent")
    )


def make_details(text: str, signature: str, redacted: str) -> dict[str, Any] | None:
    """Keep a block of thoughts that can go back; None for one without a signature."""
    if redacted:
        return {"type": "reasoning.encrypted", "data": redacted, "format": DETAILS_FORMAT}
    if signature:
        block = {"type": "reasoning.text", "text": text, "signature": signature}
        return {**block, "format": DETAILS_FORMAT}
    return None


def usage_from_wire(usage: object) -> Usage | None:
    """Read token counts; Bedrock counts cache reads and writes outside of the input."""
    if not isinstance(usage, dict):
        return None
    read = _count_under(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _count_under(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    fresh = count_in(usage, "inputTokens")
    return Usage(
        input_tokens=None if fresh is None else sum_of(fresh, read, written),
        output_tokens=count_in(usage, "outputTokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def _count_under(usage: dict[str, Any], *names: str) -> int | None:
    return next((n for name in names if (n := count_in(usage, name)) is not None), None)


def token_count_from_wire(data: object) -> int:
    """Read an answer of `/count-tokens`.

    Raises:
        ResponseFormatError: there is no count in it.
    """
    count = count_in(as_object(data, "body"), "inputTokens")
    if count is None:
        raise malformed(None, "inputTokens", "a number")
    return count
