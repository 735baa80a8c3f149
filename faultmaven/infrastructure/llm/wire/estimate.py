"""Token counts where nobody has counted: from bytes, for budgets and for checks before sending.

English text is about four bytes of UTF-8 to a token; code has fewer, and so have other scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.infrastructure.llm.types import LLMChunk, LLMRequest, LLMResponse

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
# What an image or a file costs depends on its size in pixels, which is not looked at.
TOKENS_PER_ATTACHMENT = 800

# What a model has written stands under these names in every API's answers and in pieces of them.
_SAID: Final = frozenset(
    {"arguments", "content", "partial_json", "reasoning_content", "refusal", "text", "thinking"}
)
# These repeat what stands elsewhere, or were never written by the model.
_UNSAID: Final = frozenset({"annotations", "logprobs", "reasoning_details", "signature", "usage"})

# A prompt of fewer bytes says more of the chat template than of the tokenizer.
_LEAST_SAMPLE_BYTES = 2000
# How many samples settle a ratio; afterwards one call of so many is looked at.
_SETTLED_SAMPLES = 8
_CALLS_PER_SAMPLE = 16
_WEIGHT = 0.2
# Farther off than this, it is the counter or an attachment that is wrong.
_LEAST_RATIO, _GREATEST_RATIO = 0.25, 4.0


class TokenRatio:
    """How many tokens a model reports for each one that is estimated: a moving mean, 1.0 at first.

    Bytes for a token differ with tokenizer, language and code; what a model reported is the best
    measure of what it will report.
    """

    __slots__ = ("_calls", "_samples", "value")

    def __init__(self) -> None:
        self.value = 1.0
        self._samples = 0
        self._calls = 0

    def wants_sample(self, body_bytes: int) -> bool:
        """Tell whether a call with a body of this size is worth the time of an estimate."""
        if body_bytes < _LEAST_SAMPLE_BYTES:
            return False
        self._calls += 1
        return self._samples < _SETTLED_SAMPLES or self._calls % _CALLS_PER_SAMPLE == 0

    def add(self, estimated_tokens: int, reported_tokens: int) -> None:
        """Take one call into the mean; counts of 0 say nothing."""
        if estimated_tokens <= 0 or reported_tokens <= 0:
            return
        seen = min(max(reported_tokens / estimated_tokens, _LEAST_RATIO), _GREATEST_RATIO)
        self._samples += 1
        weight = max(_WEIGHT, 1 / self._samples)
        self.value += weight * (seen - self.value)

    def correct(self, estimated_tokens: int) -> int:
        """Give an estimate as the model would count it."""
        return round(estimated_tokens * self.value)


def estimate_usage(request: LLMRequest, response: LLMResponse) -> Usage:
    """Estimate what a call used that reported nothing."""
    said = [response.content, response.reasoning, *(c.arguments_raw for c in response.tool_calls)]
    return Usage(estimate_prompt_tokens(request), estimate_tokens(said))


def estimate_prompt_tokens(request: LLMRequest) -> int:
    """Estimate the tokens of a request's messages and tools."""
    total = estimate_tokens([request.system_prompt or ""])
    for message in request.messages:
        total += TOKENS_PER_MESSAGE + _content_tokens(message.content)
        for call in message.get("tool_calls") or ():
            total += estimate_tokens([str(call)])
    if request.tools:
        total += estimate_tokens([str(request.tools)])
    return total


def has_attachments(request: LLMRequest) -> bool:
    """Tell whether a request holds images or files, whose tokens are only guessed at."""
    return any(
        not isinstance(part.get("text"), str)
        for message in request.messages
        if isinstance(message.content, list)
        for part in message.content
    )


def estimate_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of some texts together."""
    return tokens_of_bytes(sum(map(text_bytes, texts)))


def tokens_of_bytes(size: int) -> int:
    """Estimate the tokens of so many bytes of text."""
    return -(-size // BYTES_PER_TOKEN)


def text_bytes(text: str) -> int:
    """Give the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def chunk_bytes(chunk: LLMChunk) -> int:
    """Give the bytes that a model has written in one piece of a stream."""
    size = text_bytes(chunk.text) if chunk.text else 0
    if chunk.reasoning:
        size += text_bytes(chunk.reasoning)
    for call in chunk.tool_calls or ():
        size += said_bytes(call)
    return size


def said_bytes(value: Any) -> int:
    """Give the bytes that a model has written in an answer of any API, or in a piece of one.

    Whatever has an unexpected type counts nothing.
    """
    if type(value) is list:
        # Vectors are long, and no words.
        return sum(map(said_bytes, value)) if value and type(value[0]) is dict else 0
    if type(value) is not dict:
        return 0
    size = 0
    for name, inner in value.items():
        if type(inner) is str:
            if name in _SAID or (name == "reasoning" and "reasoning_content" not in value):
                size += text_bytes(inner)
        elif name == "input" and type(inner) is dict:
            size += len(codec.dumps(inner))  # a tool's arguments, as Anthropic writes them
        elif name not in _UNSAID:
            size += said_bytes(inner)
    return size


def _content_tokens(content: Any) -> int:
    if isinstance(content, str):
        return estimate_tokens([content])
    if not isinstance(content, list):
        return 0
    return sum(_part_tokens(part) for part in content)


def _part_tokens(part: Mapping[str, Any]) -> int:
    text = part.get("text")
    return estimate_tokens([text]) if isinstance(text, str) else TOKENS_PER_ATTACHMENT
