"""Exact token counts for OpenAI's vocabularies, offline, where `faultmaven[tokens]` is installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest

# Vendors' prefixes (`openai/`) and `ft:` go before; the first that matches counts.
# (The help of toktok 0.3.0's `batch_count`, read 2026-11-21.)
_VOCABULARIES: Final = (
    (re.compile(r"(?:chat)?gpt-(?:4o|4\.1|5)|o[134](?:-|$)"), "o200k_base"),
    (re.compile(r"gpt-oss"), "o200k_harmony"),
    (re.compile(r"gpt-4(?:-|$)|gpt-3\.5|gpt-35|text-embedding-3"), "cl100k_base"),
)
# Each turn is wrapped in three marks and a role; the answer's beginning is three more.
_PER_MESSAGE: Final = 4
_PER_PROMPT: Final = 3


def find_vocabulary(model: str) -> str | None:
    """Name the vocabulary of one of OpenAI's models; None for other models."""
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    return next((found for pattern, found in _VOCABULARIES if pattern.match(name)), None)


def count_text_tokens(texts: Iterable[str], model: str) -> int | None:
    """Count the tokens of some texts; None where the vocabulary is unknown or not installed.

    The first count with a vocabulary loads it, which takes some tenths of a second.
    """
    vocabulary = find_vocabulary(model)
    if vocabulary is None:
        return None
    try:
        import toktok
    except ImportError:
        return None
    # Half surrogates, which JSON may hold, have no UTF-8.
    sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    counts: list[int] = toktok.batch_count(sound, vocabulary, threads=1)
    return sum(counts)


def count_prompt_tokens(request: LLMRequest, model: str) -> int | None:
    """Count the tokens of a prompt that is text alone; None where only an estimate can be given.

    How tools and attachments are written into a prompt is the vendor's secret.
    """
    if request.tools or find_vocabulary(model) is None:
        return None
    texts = [request.system_prompt] if request.system_prompt else []
    turns = len(texts) + len(request.messages)
    for message in request.messages:
        said = _texts_of(message)
        if said is None:
            return None
        texts += said
    counted = count_text_tokens(texts, model)
    return None if counted is None else counted + _PER_MESSAGE * turns + _PER_PROMPT


def _texts_of(message: LLMMessage) -> list[str] | None:
    """Give a message's texts, None where it holds anything else."""
    if message.get("tool_calls"):
        return None
    content = message.content
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content]
    return texts if all(isinstance(text, str) for text in texts) else None
