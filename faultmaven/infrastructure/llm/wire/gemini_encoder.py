"""Gemini's generateContent, the gateway's side: answers and streams out.

Calls come whole in this API, so that a stream holds them back until they are complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import ToolCall, Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import shown_usage
from faultmaven.infrastructure.llm.wire.gemini_front import seal_signature
from faultmaven.infrastructure.llm.wire.gemini_generate import DETAILS_FORMAT, FINISH_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMChunk, LLMResponse

_FINISH: Final[Mapping[FinishReason | None, str]] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    None: "STOP",
}


def response_to_wire(response: LLMResponse) -> dict[str, Any]:
    """Write a plain answer."""
    parts = _said(response.reasoning, response.reasoning_details, response.content)
    if response.refusal:
        parts.append({"text": response.refusal})
    parts += _pictures(response.media)
    parts += [_call(call) for call in response.tool_calls]
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": parts or [{"text": ""}]},
                "finishReason": finish_reason(response.finish_reason, response.finish_reason_raw),
                "index": 0,
            }
        ],
        "usageMetadata": usage_to_wire(shown_usage(response)),
        "modelVersion": response.model,
        "responseId": response.response_id,
    }


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Give token counts as this API has them: thoughts apart from the candidates'."""
    prompt, output = usage.input_tokens or 0, usage.output_tokens or 0
    # Some hosts report more reasoning than output, and clients add what is apart here.
    thoughts = min(usage.reasoning_tokens or 0, output)
    counts = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output - thoughts,
        "totalTokenCount": prompt + output,
    }
    if thoughts:
        counts["thoughtsTokenCount"] = thoughts
    if usage.cache_read_tokens:
        counts["cachedContentTokenCount"] = usage.cache_read_tokens
    return counts


def finish_reason(reason: FinishReason | None, raw: str | None) -> str:
    """Say a finish reason in this API's words; the provider's own where it is one of them."""
    if raw is not None and raw.isupper() and FINISH_REASONS.get(raw) == reason:
        return raw
    return _FINISH[reason]


class GeminiStreamEncoder:
    """Writes one answer: `encode` each chunk, then `end`.

    Args:
        response_id: one for all events of the answer.
        model: the name that the client is told.
    """

    def __init__(self, response_id: str, model: str) -> None:
        self._head = {"modelVersion": model, "responseId": response_id}
        self._calls: dict[int, ToolCall] = {}
        self._arguments: dict[int, list[str]] = {}
        self._usage = Usage()
        self._reason: FinishReason | None = None
        self._reason_raw: str | None = None

    def encode(self, chunk: LLMChunk) -> bytes:
        """Give the event of one chunk, `b""` where it has none."""
        for delta in chunk.tool_calls or ():
            call = self._calls.get(delta.index)
            if call is None:
                call = ToolCall.make(delta.id or "", delta.name or "", "")
                self._calls[delta.index] = call
                self._arguments[delta.index] = []
            self._arguments[delta.index].append(delta.arguments)
            if "extra_content" in delta:
                call["extra_content"] = delta["extra_content"]
        self._usage = chunk.usage or self._usage
        self._reason = chunk.finish_reason or self._reason
        self._reason_raw = chunk.finish_reason_raw or self._reason_raw
        text = chunk.text + (chunk.refusal or "")
        parts = _said(chunk.reasoning, chunk.reasoning_details or (), text)
        if chunk.media:
            parts += _pictures(chunk.media)
        return self._event(parts) if parts else b""

    def end(self) -> bytes:
        """Give the event that ends the answer, with the calls that it makes."""
        calls = []
        for index, call in sorted(self._calls.items()):
            call["function"]["arguments"] = "".join(self._arguments[index])
            calls.append(_call(call))
        reason = finish_reason(self._reason, self._reason_raw)
        return self._event(
            calls or [{"text": ""}], reason=reason, usage=usage_to_wire(self._usage)
        )

    def _event(
        self,
        parts: list[dict[str, Any]],
        *,
        reason: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        event: dict[str, Any] = {"candidates": [candidate], **self._head}
        if reason is not None:
            candidate["finishReason"] = reason
            event["usageMetadata"] = usage
        return b"data: %b\n\n" % codec.dumps(event)


def _said(reasoning: str, details: Iterable[Mapping[str, Any]], text: str) -> list[dict[str, Any]]:
    """Write thoughts, their signatures, and text."""
    parts: list[dict[str, Any]] = []
    if reasoning:
        parts.append({"text": reasoning, "thought": True})
    of_text = None
    for detail in details:
        if detail.get("format") != DETAILS_FORMAT:
            parts.append(_signed(seal_signature(detail)))
        elif detail.get("type") == "reasoning.text":
            # The thought itself has been said as reasoning.
            parts.append(_signed(str(detail.get("signature"))))
        else:
            of_text = str(detail.get("data"))
    if text or of_text:
        parts.append(content.without_none(text=text, thoughtSignature=of_text))
    return parts


def _signed(signature: str) -> dict[str, Any]:
    return {"text": "", "thought": True, "thoughtSignature": signature}


def _pictures(media: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Write what was drawn; sound in OpenAI's shape has no media type, which this API demands."""
    for found in filter(None, map(content.picture_of, media)):
        if found.inline is not None:
            inline = {"mimeType": found.inline.media_type, "data": found.inline.data}
            yield {"inlineData": inline}
        else:
            kind = content.guess_media_type(found)
            yield {"fileData": {"mimeType": kind, "fileUri": found.url}}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = content.arguments_object(call.arguments_raw)
    function: dict[str, Any] = {"id": call.id, "name": call.name, "args": arguments}
    part: dict[str, Any] = {"functionCall": function}
    google = (call.get("extra_content") or {}).get("google") or {}
    if signature := google.get("thought_signature"):
        part["thoughtSignature"] = signature
    return part
