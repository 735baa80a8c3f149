"""Whether a prompt fits its model, told before it is sent, and better with every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ContextLengthError
from faultmaven.infrastructure.llm.wire.estimate import (
    TokenRatio,
    estimate_prompt_tokens,
    has_attachments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultmaven.infrastructure.llm.catalog import ModelInfo
    from faultmaven.infrastructure.llm.types import LLMRequest

# An estimate may be this far off; a prompt is refused only above.
_ESTIMATE_MARGIN: Final = 1.25
# Model names are a client's to invent: what is kept for them stays bounded.
_MODELS_KEPT: Final = 512


class ContextWindows:
    """The windows of one provider's models, and how their tokens compare with our estimates.

    Args:
        row: the provider's; `context_length` of an entry in `models` goes before the catalog.
        find_model: gives the catalog's entry of a model.
        count: gives a prompt's exact tokens for a model, None where it cannot.
    """

    def __init__(
        self,
        row: Mapping[str, Any],
        find_model: Callable[[str], ModelInfo | None],
        count: Callable[[LLMRequest, str], int | None] = lambda _request, _model: None,
    ) -> None:
        self._count = count
        self._row = row
        self._find_model = find_model
        self._known: dict[str, tuple[int | None, TokenRatio]] = {}

    def check(self, request: LLMRequest, model: str, body_bytes: int) -> None:
        """Refuse a prompt that cannot fit.

        Args:
            request: what is going to be sent.
            model: the provider's name for the model.
            body_bytes: size of the body that says it.

        Raises:
            ContextLengthError: the exact count exceeds the window; or, without one, the estimate, corrected by what the model reported before, exceeds the
                model's window by more than its error.
        """
        limit, ratio = self._of(model)
        # A token is at least a byte, so that most prompts need no estimate.
        if limit is None or body_bytes <= limit:
            return
        counted = self._count(request, model)
        if counted is None:
            estimated, about = ratio.correct(estimate_prompt_tokens(request)), "about "
        else:
            estimated, about = counted, ""
        if estimated <= limit * (_ESTIMATE_MARGIN if about else 1):
            return
        msg = f"the prompt has {about}{estimated} tokens, {model} takes {limit}"
        raise ContextLengthError(
            msg,
            code="context_length_exceeded",
            estimated_tokens=estimated,
            limit_tokens=limit,
        )

    def learn(
        self, request: LLMRequest, model: str, body_bytes: int, reported_tokens: int | None
    ) -> None:
        """Compare a reported prompt with its estimate, now and then, where a window is known.

        Args:
            request: what was sent.
            model: the provider's name for the model.
            body_bytes: size of the body that said it.
            reported_tokens: the whole prompt as the provider counted it; None for no count.
        """
        limit, ratio = self._of(model)
        if limit is None or reported_tokens is None:
            return
        if ratio.wants_sample(body_bytes) and not has_attachments(request):
            ratio.add(estimate_prompt_tokens(request), reported_tokens)

    def _of(self, model: str) -> tuple[int | None, TokenRatio]:
        known = self._known.get(model)
        if known is None:
            if len(self._known) >= _MODELS_KEPT:
                self._known.clear()
            known = self._known[model] = (self._find(model), TokenRatio())
        return known

    def _find(self, model: str) -> int | None:
        return find_window(self._row, model, self._find_model)


def find_window(
    row: Mapping[str, Any], model: str, find_model: Callable[[str], ModelInfo | None]
) -> int | None:
    """Give a model's window in tokens: the row's `context_length`, else the catalog's; None for unknown."""
    for entry in row.get("models") or ():
        named = isinstance(entry, dict) and entry.get("name") == model
        if named and "context_length" in entry:
            return int(entry["context_length"])
    info = find_model(model)
    return None if info is None else info.context_window
