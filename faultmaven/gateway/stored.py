"""`/v1/responses/{id}`: declined, since nothing is stored between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.gateway.faults import Fault
from faultmaven.gateway.routes import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.routes import Visit


class StoredResponses:
    """Says that there are no stored answers."""

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths."""
        yield "/v1/responses/*", Route({"GET": self.decline, "DELETE": self.decline})

    async def decline(self, visit: Visit) -> Answer:
        """Say so, in a way that no client takes for a passing fault."""
        del visit
        message = "No answers are stored here: keep them, and send the whole input each time."
        raise Fault(404, "not_found", "response_not_found", message, should_retry=False)
