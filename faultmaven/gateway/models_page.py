"""`/v1/models` and `/v1/models/{id}`, in the shape that the client's API has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from faultmaven.gateway.faults import Fault, fault_of
from faultmaven.gateway.fronts.anthropic_messages import (
    ID_HEADER,
    error_body as anthropic_error_body,
)
from faultmaven.gateway.fronts.gemini import (
    GeminiPages,
    describe_model,
    describe_models,
    error_body as gemini_error_body,
)
from faultmaven.gateway.offered import offered_names
from faultmaven.gateway.pages import json_answer
from faultmaven.gateway.paging import page_by_id
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.paging import Page
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
        """List the models that the caller may use, by pages where the client's API has them."""
        try:
            return json_answer(self._list_for(visit), visit, fields=_id_fields(visit))
        except Fault as fault:
            return self._refusal(fault, visit)

    async def show_model(self, visit: Visit) -> Answer:
        """Tell everything that is known of one model."""
        name = unquote(visit.rest)
        try:
            self._gateway.plan_for(name, visit.caller)
            return json_answer(self._model_for(name, visit), visit, fields=_id_fields(visit))
        except ModelNotFoundError as error:
            return self._refusal(fault_of(error), visit)

    def _refusal(self, fault: Fault, visit: Visit) -> Answer:
        """Say an error in the words of the client's API, which the path does not tell."""
        return self._gateway.fault_answer(fault, visit.request_id, _errors_for(visit))

    def _list_for(self, visit: Visit) -> dict[str, Any]:
        names = offered_names(self._gateway, visit.caller)
        query = visit.request.query
        if _wants_anthropic(visit):
            return _anthropic_list(page_by_id(names, query))
        if _wants_gemini(visit):
            return describe_models(names, query)
        return {"object": "list", "data": [self._described(name, brief=True) for name in names]}

    def _model_for(self, name: str, visit: Visit) -> dict[str, Any]:
        if _wants_anthropic(visit):
            return _anthropic_model(name)
        if _wants_gemini(visit):
            return describe_model(name)
        return self._described(name, brief=False)

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


def _errors_for(visit: Visit) -> Route:
    if _wants_anthropic(visit):
        return _ANTHROPIC_ERRORS
    return _GEMINI_ERRORS if _wants_gemini(visit) else _OPENAI_ERRORS


def _id_fields(visit: Visit) -> str:
    """Give the header line in which Anthropic's clients look for the request's id."""
    return f"{ID_HEADER}: {visit.request_id}\r\n" if _wants_anthropic(visit) else ""


def _anthropic_list(page: Page) -> dict[str, Any]:
    names = page.names
    return {
        "data": [_anthropic_model(name) for name in names],
        "has_more": page.has_more,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}


_OPENAI_ERRORS: Final = Route({})
_ANTHROPIC_ERRORS: Final = Route({}, error_body=anthropic_error_body, id_header=ID_HEADER)
_GEMINI_ERRORS: Final = Route({}, error_body=gemini_error_body)
