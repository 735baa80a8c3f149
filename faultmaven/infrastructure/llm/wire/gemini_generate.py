"""Gemini's generateContent, on the Gemini API and on Vertex AI: requests out, answers in.

Source: types of the official client google-genai 3.4 and recorded traffic (read 2026-11).
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
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
    sum_of,
    text_in,
)
from faultmaven.infrastructure.llm.wire.foreign import GEMINI_FIELDS, foreign_fields
from faultmaven.infrastructure.llm.wire.partial_arguments import PartialArguments
from faultmaven.infrastructure.llm.wire.tool_pictures import with_pictures_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest, LLMResponse

# Names, and the numbers that a request for integer enums gets instead.  Reasons that are in neither
# (MALFORMED_FUNCTION_CALL, OTHER, …) have no word in OpenAI's vocabulary.
FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": "stop", "1": "stop",
    "MAX_TOKENS": "length", "2": "length",
    "SAFETY": "content_filter", "3": "content_filter",
    "RECITATION": "content_filter", "4": "content_filter",
    "BLOCKLIST": "content_filter", "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter", "LANGUAGE": "content_filter", "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter", "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}  # fmt: skip

# Marks blocks of `reasoning_details` as Gemini's, so that no other provider's go back to it.
DETAILS_FORMAT: Final = "google-gemini-v1"

# What a caller may give at the top and Gemini takes inside `generationConfig`; it reads both cases.
CONFIG_FIELDS: Final = frozenset({
    "audioTimestamp", "candidateCount", "frequencyPenalty", "frequency_penalty", "logprobs",
    "mediaResolution", "presencePenalty", "presence_penalty", "responseLogprobs",
    "responseMimeType", "responseModalities", "responseSchema", "speechConfig", "thinkingConfig",
    "topK", "top_k",
})  # fmt: skip

_THINKING_LEVELS: Final = {
    "none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM",
    "high": "HIGH", "xhigh": "HIGH", "max": "HIGH",
}  # fmt: skip
_THINKING_BUDGETS: Final = {
    "none": 0, "minimal": 512, "low": 1024, "medium": 8192,
    "high": 24576, "xhigh": 24576, "max": 24576,
}  # fmt: skip
_THINKING_STYLES: Final = ("thinkingBudget", "thinkingLevel")

# Gemini 3 and later refuse a call without a signature in the running turn, and take this word in the
# place of one for calls that another model made (Google's page on thought signatures, read 2026-11-21).
_NO_SIGNATURE: Final = "skip_thought_signature_validator"

_TOOL_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}

# Vertex AI's word for arguments in pieces, which a caller may give at the top.
_STREAM_ARGUMENTS: Final = "streamFunctionCallArguments"

# Of OpenAI's fields, and its own.
_TAKEN: Final = GEMINI_FIELDS | {
    "frequency_penalty", "logprobs", "presence_penalty", "top_logprobs",
}  # fmt: skip


def unsupported_parameters(request: LLMRequest) -> tuple[str, ...]:
    """Name what this request asks for and the dialect has no place for."""
    return foreign_fields(request, _TAKEN)


def request_to_wire(
    request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a request as a body of `:generateContent`; model and streaming go into the address.

    Args:
        request: what is asked for.
        model: the provider's name for the model; the 2.x models think by budget, later ones by level.
        options: the provider's row; `reasoning.request` "thinkingBudget" or "thinkingLevel" overrides
            that.
    """
    style = ((options or {}).get("reasoning") or {}).get("request")
    if style not in _THINKING_STYLES:
        style = "thinkingBudget" if "gemini-2" in model else "thinkingLevel"
    placeholder = _NO_SIGNATURE if style == "thinkingLevel" else None
    request = with_pictures_apart(request)
    system, turns = content.split_system(request)
    body: dict[str, Any] = {"contents": _merged(_turns_to_wire(turns, placeholder))}
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if request.tools:
        body["tools"] = list(_tools_to_wire(request.tools))
    extra = _in_own_words(request.extra)
    choice = _tool_choice_to_wire(request) or {}
    if _STREAM_ARGUMENTS in extra:
        choice[_STREAM_ARGUMENTS] = extra.pop(_STREAM_ARGUMENTS)
    if choice:
        body["toolConfig"] = {"functionCallingConfig": choice}
    if config := _config_to_wire(request, style):
        body["generationConfig"] = config
    return content.merge_extra(body, extra, "generationConfig", CONFIG_FIELDS)


def _in_own_words(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Say OpenAI's wish for log probabilities, true and a number, as a wish and the number."""
    said = dict(extra)
    if isinstance(wanted := said.get("logprobs"), bool):
        del said["logprobs"]
        said["responseLogprobs"] = wanted
    if (most := said.pop("top_logprobs", None)) is not None:
        said["logprobs"] = most
    return said


def _config_to_wire(request: LLMRequest, style: str) -> dict[str, Any]:
    as_json = content.wants_json(request)
    return content.without_none(
        temperature=request.temperature,
        topP=request.top_p,
        maxOutputTokens=request.max_tokens,
        stopSequences=content.stop_list(request) or None,
        seed=request.seed,
        responseMimeType="application/json" if as_json else None,
        responseJsonSchema=content.wanted_schema(request) or None,
        thinkingConfig=_thinking_to_wire(request.reasoning_effort, style),
    )


def _thinking_to_wire(effort: str | None, style: str) -> dict[str, Any] | None:
    if effort is None:
        return None
    table: Mapping[str, int | str] = (
        _THINKING_BUDGETS if style == "thinkingBudget" else _THINKING_LEVELS
    )
    value = table.get(effort, effort.upper() if table is _THINKING_LEVELS else -1)
    return {style: value} if effort == "none" else {style: value, "includeThoughts": True}


def _tools_to_wire(tools: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    declarations = []
    for tool in tools:
        function = tool.get("function")
        if isinstance(function, dict):
            declarations.append(
                content.without_none(
                    name=function.get("name"),
                    description=function.get("description"),
                    parametersJsonSchema=function.get("parameters"),
                )
            )
        else:
            # Gemini's own: googleSearch, codeExecution, urlContext.
            yield tool
    if declarations:
        yield {"functionDeclarations": declarations}


def _tool_choice_to_wire(request: LLMRequest) -> dict[str, Any] | None:
    if name := content.forced_tool(request):
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    mode = _TOOL_MODES.get(request.tool_choice) if isinstance(request.tool_choice, str) else None
    return {"mode": mode} if mode and request.tools else None


def _merged(turns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the results of one round of calls into the single turn that has to follow it."""
    contents: list[dict[str, Any]] = []
    for turn in turns:
        is_result = "functionResponse" in turn["parts"][0]
        if is_result and contents and "functionResponse" in contents[-1]["parts"][0]:
            contents[-1]["parts"] += turn["parts"]
        else:
            contents.append(turn)
    return contents


def _turns_to_wire(
    turns: Iterable[Mapping[str, Any]], placeholder: str | None
) -> Iterator[dict[str, Any]]:
    turns = list(turns)
    names = content.tool_names_by_id(turns)
    for turn in turns:
        role = turn.get("role")
        if role == "tool":
            parts = [_result_to_wire(turn, names)]
        elif role == "assistant":
            parts = _answer_to_wire(turn, placeholder)
        else:
            parts = [_part_to_wire(part) for part in content.parts_of(turn.get("content"))]
        if parts:
            yield {"role": "model" if role == "assistant" else "user", "parts": parts}


def _part_to_wire(part: dict[str, Any]) -> dict[str, Any]:
    if content.is_text(part):
        return {"text": part.get("text") or ""}
    attachment = content.attachment_of(part)
    if attachment.inline is not None:
        return {
            "inlineData": {
                "mimeType": attachment.inline.media_type,
                "data": attachment.inline.data,
            }
        }
    address = attachment.url or attachment.file_id or ""
    media_type = mimetypes.guess_type(attachment.name or address)[0]
    return {"fileData": content.without_none(mimeType=media_type, fileUri=address)}


def _result_to_wire(turn: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    call_id = str(turn.get("tool_call_id", ""))
    name = turn.get("name") or names.get(call_id, call_id)
    response: dict[str, Any] = {
        "name": name,
        "response": content.result_object(turn.get("content")),
    }
    if not content.is_invented_id(call_id):
        response["id"] = call_id
    return {"functionResponse": response}


def _answer_to_wire(turn: Mapping[str, Any], placeholder: str | None) -> list[dict[str, Any]]:
    """Write an assistant's turn: thoughts, text, calls, each with the signature that it came with."""
    parts: list[dict[str, Any]] = []
    text_signature = None
    for block in turn.get("reasoning_details") or ():
        if block.get("format") != DETAILS_FORMAT:
            continue
        if block.get("type") == "reasoning.text":
            signature = block.get("signature")
            parts.append(
                {"text": block.get("text", ""), "thought": True, "thoughtSignature": signature}
            )
        else:
            text_signature = block.get("data")
    text = [_part_to_wire(part) for part in content.parts_of(turn.get("content"))]
    if text_signature:
        text = text or [{"text": ""}]
        text[-1]["thoughtSignature"] = text_signature
    parts += text
    for number, call in enumerate(turn.get("tool_calls") or ()):
        # Of calls made at the same time only the first is signed.
        parts.append(_call_to_wire(call, placeholder if number == 0 else None))
    return parts


def _call_to_wire(call: Mapping[str, Any], placeholder: str | None) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = content.arguments_object(function.get("arguments"))
    part: dict[str, Any] = {"functionCall": {"name": function.get("name"), "args": arguments}}
    if not content.is_invented_id(str(call.get("id", ""))):
        part["functionCall"]["id"] = call.get("id")
    extra = call.get("extra_content") or {}
    if signature := (extra.get("google") or {}).get("thought_signature") or placeholder:
        part["thoughtSignature"] = signature
    return part


def response_from_wire(data: object) -> LLMResponse:
    """Read a plain answer.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the body is not what Gemini sends.
    """
    body = as_object(data, "body")
    found = read_candidate(body)
    response_id = optional_text_in(body, "responseId")
    calls = [call_from_wire(part, n, response_id) for n, part in enumerate(found.calls)]
    return make_response(
        text=found.text,
        reasoning=found.reasoning,
        reasoning_details=found.details,
        tool_calls=calls,
        model=text_in(body, "modelVersion"),
        response_id=response_id,
        usage=found.usage,
        finish_reason=finish_from_wire(found.finish_reason_raw, has_tool_calls=bool(calls)),
        finish_reason_raw=found.finish_reason_raw,
        raw=data,
        media=found.media,
    )


def finish_from_wire(raw: str | None, *, has_tool_calls: bool) -> FinishReason | None:
    """Say Gemini's finish reason, or why it blocked the prompt, in OpenAI's words."""
    if raw and raw.startswith("blockReason:"):
        return "content_filter"
    return normalise_finish(raw, FINISH_REASONS, has_tool_calls=has_tool_calls)


@dataclass(slots=True)
class Candidate:
    """What one object, a whole answer or a piece of one, says of its first candidate.

    Attributes:
        calls: the parts that have a function call, for `call_from_wire`.
    """

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    finish_reason_raw: str | None = None
    usage: Usage | None = None
    media: list[dict[str, Any]] = field(default_factory=list)


def read_candidate(body: dict[str, Any]) -> Candidate:
    """Read an object of the response.

    Raises:
        LLMError: the object says that the call failed.
        ResponseFormatError: the object is not what Gemini sends.
    """
    if body.get("error"):
        raise parse_error_object(body)
    if not body.keys() & {"candidates", "promptFeedback", "usageMetadata"}:
        raise malformed(None, "candidates", "a list")
    found = Candidate(usage=_usage_from_wire(body))
    blocked = object_in(body, "promptFeedback").get("blockReason")
    if blocked:
        found.finish_reason_raw = f"blockReason:{blocked}"
    for candidate in list_in(body, "candidates")[:1]:
        reason = candidate.get("finishReason")
        if reason:
            found.finish_reason_raw = str(reason)
        for part in list_in(object_in(candidate, "content"), "parts"):
            _read_part(part, found)
    return found


def _read_part(part: dict[str, Any], found: Candidate) -> None:
    signature = optional_text_in(part, "thoughtSignature")
    text = text_in(part, "text")
    if "functionCall" in part:
        found.calls.append(part)
    elif "inlineData" in part:
        data = object_in(part, "inlineData")
        kind, encoded = text_in(data, "mimeType"), text_in(data, "data")
        found.media.append(content.image_part(kind, encoded))
    elif part.get("thought"):
        found.reasoning += text
        if signature:
            found.details.append({
                "type": "reasoning.text", "text": text, "signature": signature, "format": DETAILS_FORMAT,
            })  # fmt: skip
    else:
        # What the provider ran itself (executableCode, codeExecutionResult) has no text of its own.
        found.text += text
        if signature and "text" in part:
            found.details.append(
                {"type": "reasoning.encrypted", "data": signature, "format": DETAILS_FORMAT}
            )


def call_from_wire(part: dict[str, Any], index: int, response_id: str | None) -> ToolCall:
    """Read a part with a function call, the answer's `index`th; arguments in pieces are joined.

    Raises:
        ResponseFormatError: it is not what Gemini sends.
    """
    call = object_in(part, "functionCall")
    name = text_in(call, "name")
    arguments = content.arguments_text(call.get("args")) or _joined(list_in(call, "partialArgs"))
    call_id = text_in(call, "id") or content.make_call_id(index, response_id, name, arguments)
    made = ToolCall.make(call_id, name, arguments)
    made.update(signature_in(part))
    return made


def signature_in(part: dict[str, Any]) -> dict[str, Any]:
    """Give a part's signature where Google's own OpenAI-compatible route keeps it, too."""
    signature = optional_text_in(part, "thoughtSignature")
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _joined(values: list[dict[str, Any]]) -> str:
    arguments = PartialArguments()
    return arguments.write(values) + arguments.close()


def _usage_from_wire(body: dict[str, Any]) -> Usage | None:
    usage = body.get("usageMetadata")
    if not isinstance(usage, dict):
        return None
    prompt = count_in(usage, "promptTokenCount")
    thoughts = count_in(usage, "thoughtsTokenCount")
    return Usage(
        input_tokens=prompt
        if prompt is None
        else sum_of(prompt, count_in(usage, "toolUsePromptTokenCount")),
        output_tokens=sum_of(count_in(usage, "candidatesTokenCount"), thoughts),
        cache_read_tokens=count_in(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def token_count_from_wire(data: object) -> int:
    """Read an answer of `:countTokens`.

    Raises:
        ResponseFormatError: there is no count in it.
    """
    count = count_in(as_object(data, "body"), "totalTokens")
    if count is None:
        raise malformed(None, "totalTokens", "a number")
    return count
