"""Every path of the gateway and what serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultmaven.gateway.dashboard import Dashboard
from faultmaven.gateway.fronts.anthropic_messages import ID_HEADER, MessagesFront
from faultmaven.gateway.fronts.gemini import GeminiPages
from faultmaven.gateway.fronts.openai_chat import ChatFront
from faultmaven.gateway.fronts.openai_completions import CompletionsFront
from faultmaven.gateway.fronts.openai_embeddings import EmbeddingsFront
from faultmaven.gateway.fronts.openai_responses import ResponsesFront
from faultmaven.gateway.model_call import EmbeddingCall, ModelCall
from faultmaven.gateway.models_page import ModelsPage
from faultmaven.gateway.pages import Pages
from faultmaven.gateway.passing import Passing
from faultmaven.gateway.routes import Route
from faultmaven.gateway.service import Service
from faultmaven.gateway.specification import Specification
from faultmaven.gateway.stored import StoredResponses
from faultmaven.gateway.token_count import TokenCount

if TYPE_CHECKING:
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.front import FrontEnd

# The APIs: a path, and what speaks there.  A new API is a module of `fronts` and a line here.
FRONTS: Final[dict[str, FrontEnd]] = {
    "/v1/chat/completions": ChatFront(),
    "/v1/completions": CompletionsFront(),
    "/v1/messages": MessagesFront(),
    "/v1/responses": ResponsesFront(),
}
EMBEDDINGS: Final = "/v1/embeddings"
# Where a front end's clients look for a request's id, beside `x-request-id`.
ID_HEADERS: Final = {"/v1/messages": ID_HEADER}


def add_all(gateway: Gateway) -> None:
    """Give a gateway all of its paths."""
    for path, front in FRONTS.items():
        id_header = ID_HEADERS.get(path)
        call = ModelCall(gateway, front, id_header)
        route = Route(
            {"POST": call}, error_body=front.error_body, id_header=id_header, front=front.name
        )
        gateway.routes.add([(path, route)])
    embeddings = EmbeddingCall(gateway, EmbeddingsFront())
    gateway.routes.add([(EMBEDDINGS, Route({"POST": embeddings}, front=EmbeddingsFront.name))])
    for pages in (
        Dashboard(gateway),
        Pages(gateway),
        ModelsPage(gateway),
        GeminiPages(gateway),
        TokenCount(gateway),
        StoredResponses(),
        Service(gateway),
        Passing(gateway),
        Specification(),
    ):
        gateway.routes.add(pages.routes())
