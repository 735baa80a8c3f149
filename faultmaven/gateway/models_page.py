"""`/v1/models` and `/v1/models/{id}`, in the shape that the client's API has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from faultmaven.gateway.faults import fault_of
from faultmaven.gateway.fronts.gemini import GeminiPages, describe_model
from faultmaven.gateway.pages import json_answer
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.routes import Visit
    from faultmaven.infrastructure.llm.catalog import ModelInfo

# No model says when it was made in a way that all providers share; clients need a number.
_CREATED: Final = 1_700_000_000
_CREATED_AT: Final = "2023-11-14T22:13:20Z"


class ModelsPage:
    """Lists what may be asked for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths."""
        yield "/v1/models", Route({"GET": self.list_models})
        # Gemini's clients post to models under this path, too.
        pages = {"GET": self.show_model, "POST": GeminiPages(self._gateway).call}
        yield "/v1/models/*", Route(pages, front="gemini_generate")

    async def list_models(self, visit: Visit) -> Answer:
        """List the models that the caller may use."""
        listed = self._gateway.names.all_names()
        names = [name for name in listed if self._is_permitted(name, visit)]
        if _wants_anthropic(visit):
            return json_answer(_anthropic_list(names), visit)
        if _wants_gemini(visit):
            return json_answer({"models": [describe_model(name) for name in names]}, visit)
        data = [self._described(name, brief=True) for name in names]
        return json_answer({"object": "list", "data": data}, visit)

    async def show_model(self, visit: Visit) -> Answer:
        """Tell everything that is known of one model."""
        name = unquote(visit.rest)
        try:
            self._gateway.plan_for(name, visit.caller)
            described = self._described(name, brief=False)
        except ModelNotFoundError as error:
            raise fault_of(error) from None
        if _wants_anthropic(visit):
            return json_answer(_anthropic_model(name), visit)
        if _wants_gemini(visit):
            return json_answer(describe_model(name), visit)
        return json_answer(described, visit)

    def _is_permitted(self, name: str, visit: Visit) -> bool:
        caller = visit.caller
        if caller.models is None and caller.providers is None:
            return True
        try:
            self._gateway.plan_for(name, caller)
        except ModelNotFoundError:
            return False
        return True

    def _described(self, name: str, *, brief: bool) -> dict[str, Any]:
        names = self._gateway.names
        target = names.resolve(name).targets[0]
        described: dict[str, Any] = {
            "id": name,
            "object": "model",
            "created": _CREATED,
            "owned_by": target.provider,
        }
        if names.catalog is None or target.model is None:
            return described
        info = names.catalog.find(target.provider, target.model)
        if info is not None:
            described["context_window"] = info.context_window
            described["max_output_tokens"] = info.max_output_tokens
            if not brief:
                described |= _details(info)
        return described


def _details(info: ModelInfo) -> dict[str, Any]:
    price = info.price
    rates = price.rates if price is not None else None
    return {
        "mode": info.mode,
        "capabilities": sorted(info.capabilities),
        "input_usd_per_mtok": rates.input if rates else None,
        "output_usd_per_mtok": rates.output if rates else None,
        "knowledge": info.knowledge,
        "retirement_date": info.retirement_date,
        "as_of": info.as_of,
    }


def _wants_anthropic(visit: Visit) -> bool:
    return "anthropic-version" in visit.request.headers


def _wants_gemini(visit: Visit) -> bool:
    return "x-goog-api-key" in visit.request.headers


def _anthropic_list(names: list[str]) -> dict[str, Any]:
    return {
        "data": [_anthropic_model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
