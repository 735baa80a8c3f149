"""Answers of plain text generation: nothing but text, and every family names the fields otherwise.

OpenAI's completions, watsonx, Hugging Face's task API, and what Amazon Bedrock's InvokeModel passes
through of Titan, Llama, Mistral, Cohere and the first Claude.  Families are told apart by the fields that
they have.  Source: the vendors' references and recorded traffic (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.sse import ServerSentEvent, SSEDecoder
from faultmaven.infrastructure.llm.types import LLMChunk, Usage
from faultmaven.infrastructure.llm.wire.answer import Ending, make_response, normalise_finish
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, malformed
from faultmaven.infrastructure.llm.wire.openai_chat import usage_from_wire
from faultmaven.infrastructure.llm.wire.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMResponse

# Where the families keep things: names from the top, a number for a place in a list.
_TEXT: Final = (
    ("choices", 0, "text"),
    ("results", 0, "generated_text"),
    ("results", 0, "outputText"),
    ("generations", 0, "text"),
    ("outputs", 0, "text"),
    ("outputText",),
    ("generation",),
    ("completion",),
    ("generated_text",),
    ("text",),
)
_FINISH: Final = (
    ("choices", 0, "finish_reason"),
    ("results", 0, "stop_reason"),
    ("results", 0, "completionReason"),
    ("generations", 0, "finish_reason"),
    ("outputs", 0, "stop_reason"),
    ("details", "finish_reason"),
    ("completionReason",),
    ("stop_reason",),
    ("finish_reason",),
)
_METRICS: Final = "amazon-bedrock-invocationMetrics"
_INPUT_COUNTS: Final = (
    ("results", 0, "input_token_count"),
    ("inputTextTokenCount",),
    ("prompt_token_count",),
    (_METRICS, "inputTokenCount"),
)
_OUTPUT_COUNTS: Final = (
    ("results", 0, "generated_token_count"),
    ("results", 0, "tokenCount"),
    ("totalOutputTextTokenCount",),
    ("generation_token_count",),
    ("details", "generated_tokens"),
    (_METRICS, "outputTokenCount"),
)
_MODEL: Final = (("model",), ("model_id",))
_RESPONSE_ID: Final = (("id",), ("response_id",))

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "FINISH": "stop",
    "COMPLETE": "stop", "STOP_SEQUENCE": "stop", "STOP_CRITERIA_MET": "stop",
    "length": "length", "max_tokens": "length", "token_limit": "length", "LENGTH": "length",
    "MAX_TOKENS": "length",
    "content_filter": "content_filter", "CONTENT_FILTERED": "content_filter",
}  # fmt: skip

# watsonx says this in every piece before the last.
_NOT_FINISHED: Final = "not_finished"


def response_from_wire(data: object) -> LLMResponse:
    """Read an answer of any of the families.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: there is no text in it.
    """
    # Hugging Face gives a list of one.
    body = as_object(data[0] if isinstance(data, list) and data else data, "body")
    text = text_from(body)
    if text is None:
        raise malformed(None, "text", "text")
    raw_reason = _text_at(body, _FINISH)
    return make_response(
        text=text,
        model=_text_at(body, _MODEL) or "",
        response_id=_text_at(body, _RESPONSE_ID),
        usage=usage_from(body),
        finish_reason=normalise_finish(raw_reason, FINISH_REASONS, has_tool_calls=False),
        finish_reason_raw=raw_reason,
        raw=data,
    )


def text_from(body: dict[str, Any]) -> str | None:
    """Give the text of an answer or a piece of one; None where it has none.

    Raises:
        LLMError: the body says that the call failed.
        ResponseFormatError: the text is something else.
    """
    text = _first(body, _TEXT)
    if text is None:
        if body.get("error") or body.get("message") or body.get("errors"):
            raise parse_error_object(body)
        return None
    if not isinstance(text, str):
        raise malformed(text, "text", "text")
    return text


def usage_from(body: dict[str, Any]) -> Usage:
    """Read what the body says of token counts."""
    if (usage := usage_from_wire(body.get("usage"))) is not None:
        return usage
    return Usage(_count_at(body, _INPUT_COUNTS), _count_at(body, _OUTPUT_COUNTS))


def _first(body: object, paths: tuple[tuple[str | int, ...], ...]) -> Any:
    return next((value for path in paths if (value := _at(body, path)) is not None), None)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _text_at(body: dict[str, Any], paths: tuple[tuple[str | int, ...], ...]) -> str | None:
    value = _first(body, paths)
    return value if isinstance(value, str) and value else None


def _count_at(body: dict[str, Any], paths: tuple[tuple[str | int, ...], ...]) -> int | None:
    return count_in({"count": _first(body, paths)}, "count")


class TextPieces:
    """Collects the pieces of a streamed text, however they are framed."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    @property
    def is_finished(self) -> bool:
        """Whether a finish reason has come."""
        return self._ending.finish_reason_raw is not None

    @property
    def is_complete(self) -> bool:
        """Whether a finish reason and both token counts have come."""
        usage = self._ending.usage or Usage()
        return self.is_finished and None not in {usage.input_tokens, usage.output_tokens}

    def read(self, body: dict[str, Any]) -> Iterator[LLMChunk]:
        """Give the chunk of one piece."""
        if text := text_from(body):
            yield LLMChunk(text=text)
        ending = self._ending
        ending.identify(_text_at(body, _MODEL), _text_at(body, _RESPONSE_ID))
        reason = _text_at(body, _FINISH)
        if reason is not None and reason != _NOT_FINISHED:
            ending.finish_reason_raw = reason
        seen, usage = ending.usage or Usage(), usage_from(body)
        # Counts that grow from piece to piece, or are 0 in all pieces but one.
        usage.input_tokens = _larger(seen.input_tokens, usage.input_tokens)
        usage.output_tokens = _larger(seen.output_tokens, usage.output_tokens)
        ending.usage = usage

    def end(self) -> LLMChunk:
        """Give the last chunk."""
        return self._ending.chunk(FINISH_REASONS)


def _larger(one: int | None, other: int | None) -> int | None:
    known = [count for count in (one, other) if count is not None]
    return max(known) if known else None


class TextStreamReader(StreamReader[ServerSentEvent]):
    """Reads server-sent events of OpenAI's completions and watsonx."""

    def __init__(self) -> None:
        super().__init__(SSEDecoder())
        self._pieces = TextPieces(self.ending)

    @override
    def _read(self, event: ServerSentEvent) -> Iterator[LLMChunk]:
        if event.data == b"[DONE]":
            yield from self._close()
            return
        body = as_object(codec.loads_mended(event.data), "event")
        if body.get("error"):
            raise parse_error_object(body)
        yield from self._pieces.read(body)
        if self._pieces.is_complete:
            yield from self._close()

    @override
    def _close(self) -> Iterator[LLMChunk]:
        if self._pieces.is_finished:
            self.done = True
            yield self._pieces.end()
