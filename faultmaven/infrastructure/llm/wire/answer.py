"""An answer as a response, as chunks and as token counts: the same for every dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse, ToolCallDelta, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, ToolCall


def make_response(
    *,
    text: str,
    model: str,
    raw: Any,
    usage: Usage | None = None,
    tool_calls: list[ToolCall] | None = None,
    finish_reason: FinishReason | None = None,
    **fields: Any,
) -> LLMResponse:
    """Build a response as a dialect reads it; provider, confidence and time are the caller's to add.

    `fields` are further fields of `LLMResponse`.
    """
    usage = usage or Usage()
    known = usage.input_tokens is not None and usage.output_tokens is not None
    return LLMResponse(
        content=text,
        confidence=0.0,
        provider="",
        model=model,
        tokens_used=(usage.input_tokens or 0) + (usage.output_tokens or 0),
        response_time_ms=0,
        tool_calls=tool_calls or [],
        finish_reason=finish_reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        raw_response=raw,
        usage_source="reported" if known else "none",
        cost_usd=usage.cost_usd,
        cost_status="unknown" if usage.cost_usd is None else "actual",
        **fields,
    )


def chunk_of(response: LLMResponse) -> LLMChunk:
    """Give a whole answer as the one chunk of a stream."""
    calls = [
        ToolCallDelta.make(i, call.id, call.name, call.arguments_raw)
        for i, call in enumerate(response.tool_calls)
    ]
    return LLMChunk(
        text=response.content,
        reasoning=response.reasoning,
        tool_calls=calls or None,
        finish_reason=response.finish_reason or "stop",
        usage=told_usage(response) if response.usage_source == "reported" else None,
        model=response.model,
        response_id=response.response_id,
        finish_reason_raw=response.finish_reason_raw,
        reasoning_details=response.reasoning_details or None,
        refusal=response.refusal,
        media=response.media or None,
    )


def told_usage(response: LLMResponse) -> Usage:
    """Give what the provider has told of tokens and money; what it left out is None."""
    return Usage(
        response.input_tokens,
        response.output_tokens,
        response.cache_read_tokens,
        response.cache_write_tokens,
        response.reasoning_tokens,
        response.cost_usd if response.cost_status == "actual" else None,
    )


def shown_usage(response: LLMResponse) -> Usage:
    """Give the token counts that a client is shown: estimates where none were told, never None."""
    counts = response.usage
    return Usage(
        counts["input_tokens"],
        counts["output_tokens"],
        counts["cache_read_tokens"],
        counts["cache_write_tokens"],
        counts["reasoning_tokens"],
    )


def normalise_finish(
    raw: str | None, words: Mapping[str, FinishReason], *, has_tool_calls: bool
) -> FinishReason | None:
    """Say a provider's finish reason in OpenAI's words; None where no word fits.

    With tool calls present a "stop" means that they are to be made.
    """
    if raw is None:
        return None
    reason = words.get(raw)
    return "tool_calls" if has_tool_calls and reason == "stop" else reason


class Ending:
    """What the last chunk says, collected while a stream runs.

    Attributes:
        model: the first that the provider named.
        response_id: the first that the provider gave.
        tool_calls: how many calls have begun.
    """

    __slots__ = ("finish_reason_raw", "model", "response_id", "tool_calls", "usage")

    def __init__(self) -> None:
        self.model: str | None = None
        self.response_id: str | None = None
        self.finish_reason_raw: str | None = None
        self.usage: Usage | None = None
        self.tool_calls = 0

    def identify(self, model: str | None, response_id: str | None = None) -> None:
        """Keep the first model and id that are not empty."""
        self.model = self.model or model or None
        self.response_id = self.response_id or response_id or None

    def chunk(self, words: Mapping[str, FinishReason]) -> LLMChunk:
        """Build the last chunk."""
        has_calls = self.tool_calls > 0
        return LLMChunk(
            finish_reason=normalise_finish(
                self.finish_reason_raw, words, has_tool_calls=has_calls
            ),
            finish_reason_raw=self.finish_reason_raw,
            usage=self.usage or Usage(),
            model=self.model,
            response_id=self.response_id,
        )
