"""Which page is at which path, and what a request carries on its way there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.faults import Fault
from faultmaven.gateway.fronts import openai_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp.web import BaseRequest

    from faultmaven.gateway.auth import Caller

Access = Literal["open", "key", "admin"]
ErrorBody = Callable[[Fault, str], "dict[str, Any]"]


@dataclass(slots=True)
class Visit:
    """One request on its way.

    Attributes:
        request: as it came.
        request_id: ours, or the client's own if it is a plain word.
        caller: who makes it.
        started: `perf_counter` when its head had come.
        rest: what followed a route's prefix, "" for a whole path.
    """

    request: BaseRequest
    request_id: str
    caller: Caller
    started: float
    rest: str = ""


Page = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """What is served at a path.

    Attributes:
        pages: by method.
        access: who may have it: everyone, holders of keys, administrators.
        error_body: errors in the API of the path.
        id_header: where the API's clients look for the request's id, beside `x-request-id`.
        front: the API's name where calls to models are served; "" for what is not written down.
    """

    pages: Mapping[str, Page]
    access: Access = "key"
    error_body: ErrorBody = openai_error.error_body
    id_header: str | None = None
    front: str = ""


class Routes:
    """The paths that are served."""

    def __init__(self) -> None:
        self._paths: dict[str, Route] = {}
        self._prefixes: list[tuple[str, Route]] = []

    def add(self, entries: Iterable[tuple[str, Route]]) -> None:
        """Serve further paths; one that ends in `*` is a prefix."""
        for path, route in entries:
            if path.endswith("*"):
                self._prefixes.append((path[:-1], route))
                self._prefixes.sort(key=lambda entry: -len(entry[0]))
            else:
                self._paths[path] = route

    def by_path(self) -> dict[str, Route]:
        """Give every route by its path, prefixes with their `*`."""
        return self._paths | {f"{prefix}*": route for prefix, route in self._prefixes}

    def find(self, visit: Visit) -> Route:
        """Find what is at a request's path, and tell the visit what follows a prefix.

        Raises:
            Fault: nothing is.
        """
        path = visit.request.raw_path
        query = path.find("?")
        if query >= 0:
            path = path[:query]
        route = self._paths.get(path)
        if route is not None:
            return route
        for prefix, route in self._prefixes:
            if path.startswith(prefix) and len(path) > len(prefix):
                visit.rest = path[len(prefix) :]
                return route
        message = "There is nothing at this path; GET /openapi.json lists what there is."
        raise Fault(404, "not_found", "not_found", message)
