"""The door: which method a path takes, and who may come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.gateway.answer import Answer
from faultmaven.gateway.auth import ANYONE, presented_key, too_many_tries, unauthorised
from faultmaven.gateway.cors import is_foreign, is_preflight, preflight_fields
from faultmaven.gateway.failed_tries import LOOPBACK, FailedTries
from faultmaven.gateway.faults import Fault

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from faultmaven.gateway.auth import Caller
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.gateway.routes import Page, Route, Visit
    from faultmaven.gateway.tally import Tally


class Door:
    """Lets requests in by their keys.

    Args:
        options: the keys, and from where a browser's pages may call.
        tally: what counts the refused.
    """

    def __init__(self, options: GatewayOptions, tally: Tally) -> None:
        self._tally = tally
        self._failed_tries = FailedTries()
        self.adopt(options)

    def adopt(self, options: GatewayOptions) -> None:
        """Put other options in force for the requests that come now."""
        self._options = options
        self._is_keyless, self._is_at_home = not options.keys, options.is_loopback
        self._failed_tries.limit = options.failed_auth_per_minute

    def admit(self, route: Route, visit: Visit) -> Page:
        """Find the page for the method, see that the caller may have it, and tell the visit who that is.

        Raises:
            Fault: there is none, or not for this caller.
        """
        page = route.pages.get(visit.request.method)
        if page is None:
            origins, headers = self._options.cors_origins, visit.request.headers
            if origins and is_preflight(visit.request.method, origins, headers):
                return _preflight
            methods = ", ".join(sorted(route.pages))
            message = f"This path takes {methods}."
            allowed = f"Allow: {methods}\r\n"
            raise Fault(405, "invalid_request", "method_not_allowed", message, fields=allowed)
        if route.access == "open":
            return page
        headers = visit.request.headers
        if self._is_keyless and is_foreign(
            headers, self._options.cors_origins, at_home=self._is_at_home
        ):
            message = (
                "This gateway has no keys, so that pages of other sites may not call it: set"
                " FAULTMAVEN_GATEWAY_KEYS, or name their origins in gateway.cors_origins."
            )
            raise Fault(403, "permission", "foreign_origin", message, should_retry=False)
        caller = self._options.keys.find(presented_key(headers))
        if route.access == "admin" and not self._is_admin(visit.request, caller):
            raise self._refusal(visit.request)
        if caller is None:
            if route.access == "key":
                raise self._refusal(visit.request)
            caller = ANYONE
        visit.caller = caller
        return page

    def _refusal(self, request: BaseRequest) -> Fault:
        """Make the answer to whoever has no right key; right ones are never asked about here."""
        wait_s = self._failed_tries.note(request.remote or "")
        rejected = self._tally.rejected
        if wait_s:
            rejected["authentication_attempts"] += 1
            return too_many_tries(wait_s)
        rejected["authentication"] += 1
        return unauthorised()

    def _is_admin(self, request: BaseRequest, caller: Caller | None) -> bool:
        """Tell whether a request may see what is not for clients: by its key, or from this machine."""
        if caller is not None and caller.admin:
            return True
        if self._options.keys.has_admin or not (request.remote or "").startswith(LOOPBACK):
            return False
        headers = request.headers
        if "X-Forwarded-For" in headers or "Forwarded" in headers:
            return False  # a proxy on this machine speaks for somebody else
        return not is_foreign(headers, self._options.cors_origins, at_home=True)


async def _preflight(visit: Visit) -> Answer:
    """Tell a browser that a page of an origin that is listed may call."""
    fields = f"x-request-id: {visit.request_id}\r\n" + preflight_fields(visit.request.headers)
    return Answer(200, b"", "text/plain", fields)
