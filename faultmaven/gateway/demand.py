"""What a request asks for: how many tokens, and how long an answer; for those whose tokens are limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_ATTACHMENT: Final = 800
# What is counted beforehand for an answer whose length the client leaves open.
TOKENS_OF_OPEN_ANSWER: Final = 256
# Longer words than this are images and files: no text is without a space for so long.
_LONGEST_WORD: Final = 2048


def expected_tokens(body: Mapping[str, Any], answer_fields: Sequence[str]) -> int:
    """Estimate the tokens of a request and its answer together.

    Args:
        body: as the client sent it.
        answer_fields: where it says how long an answer may be; none for answers without tokens.
    """
    prompt = _prompt_tokens(body)
    if not answer_fields:
        return prompt
    asked = [value for path in answer_fields if (value := _number(_find(body, path))) is not None]
    answers = max(1, _number(body.get("n")) or 1)
    return prompt + answers * max(0, max(asked, default=TOKENS_OF_OPEN_ANSWER))


def limit_answer(
    body: dict[str, Any], answer_fields: Sequence[str], most: int, *, add: bool
) -> dict[str, Any]:
    """Give a body that asks for no more than so many tokens; the same one where it asks for less.

    Args:
        body: as the client sent it; it is not changed.
        answer_fields: where it may say so, dotted; the first is used for adding.
        most: tokens of an answer.
        add: say it where the client says nothing.
    """
    is_said = False
    for path in answer_fields:
        value = _number(_find(body, path))
        is_said = is_said or value is not None
        if value is not None and value > most:
            body = _with(body, path, most)
    if add and not is_said and answer_fields:
        body = _with(body, answer_fields[0], most)
    return body


def _prompt_tokens(body: Any) -> int:
    """Estimate from the texts of a body, names of fields included."""
    size = tokens = 0
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if len(value) > _LONGEST_WORD and " " not in value[:_LONGEST_WORD] and value.isascii():
                tokens += TOKENS_PER_ATTACHMENT
            else:
                size += len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
        elif isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int):
            tokens += 1  # embeddings take texts as numbers, one for a token
    return tokens + -(-size // BYTES_PER_TOKEN)


def _number(value: Any) -> int | None:
    """Read a whole number; Gemini's clients may write it as text."""
    if isinstance(value, int | float):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return None


def _find(body: Mapping[str, Any], path: str) -> Any:
    if "." not in path:
        return body.get(path)
    outer, _, inner = path.partition(".")
    section = body.get(outer)
    return section.get(inner) if isinstance(section, dict) else None


def _with(body: dict[str, Any], path: str, value: int) -> dict[str, Any]:
    outer, _, inner = path.partition(".")
    if not inner:
        return {**body, outer: value}
    section = body.get(outer)
    return {**body, outer: {**(section if isinstance(section, dict) else {}), inner: value}}
