"""Every path of the gateway and what serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.gateway.app import Route
from faultmaven.gateway.fronts.openai_chat import ChatFront
from faultmaven.gateway.model_call import ModelCall
from faultmaven.gateway.models_page import ModelsPage
from faultmaven.gateway.pages import Pages

if TYPE_CHECKING:
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.front import FrontEnd

# The APIs: path, and what speaks there.
FRONTS: dict[str, FrontEnd] = {
    "/v1/chat/completions": ChatFront(),
}


def add_all(gateway: Gateway) -> None:
    """Give a gateway all of its paths."""
    for path, front in FRONTS.items():
        call = ModelCall(gateway, front)
        gateway.add_routes([(path, Route({"POST": call}, error_body=front.error_body))])
    for pages in (Pages(gateway), ModelsPage(gateway)):
        gateway.add_routes(pages.routes())
