"""The pages that are no API: health and metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.faults import Fault
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.routes import Visit

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """Serves the pages of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths."""
        yield "/health/live", _open(self.live)
        yield "/health/ready", _open(self.ready)
        yield "/health/providers", Route({"GET": self.providers}, access="admin")
        yield "/metrics", Route({"GET": self.metrics}, access="admin")

    async def live(self, visit: Visit) -> Answer:
        """Say that the process answers."""
        return json_answer({"status": "ok"}, visit)

    async def ready(self, visit: Visit) -> Answer:
        """Say whether new work is welcome."""
        if self._gateway.is_draining:
            return json_answer({"status": "draining"}, visit, status=503)
        if self._gateway.books.problem:
            # Calls go on without it, so that a load balancer has no reason to turn away.
            return json_answer({"status": "degraded", "degraded": ["ledger"]}, visit)
        return json_answer({"status": "ok"}, visit)

    async def providers(self, visit: Visit) -> Answer:
        """Say of every configured provider what it offers, and which of it is left alone for now."""
        registry = self._gateway.registry
        available = registry.get_available_providers()
        listed = [
            {
                "name": name,
                "models": self._gateway.names.models.get(name, []),
                "circuits": self._gateway.meter.breakers.of(name),
                "keys": [asdict(key) for key in registry.get_key_states(name)],
            }
            for name in available
        ]
        return json_answer({"providers": listed}, visit)

    async def metrics(self, visit: Visit) -> Answer:
        """Give the numbers of all workers."""
        try:
            return Answer(200, self._gateway.metrics(), PROMETHEUS, id_field(visit))
        except ModuleNotFoundError:
            message = "Metrics need prometheus-client: pip install 'faultmaven[gateway]'."
            raise Fault(501, "internal", "metrics_unavailable", message) from None


def json_answer(value: Any, visit: Visit, *, status: int = 200, fields: str = "") -> Answer:
    """Make an answer of a JSON value."""
    return Answer(status, codec.dumps(value), fields=fields + id_field(visit))


def id_field(visit: Visit) -> str:
    """Give the header line with the request's id."""
    return f"x-request-id: {visit.request_id}\r\n"


def _open(page: Any) -> Route:
    return Route({"GET": page, "HEAD": page}, access="open")
