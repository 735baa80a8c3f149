"""What the fake upstream saw: requests, connections, and when clients went away."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """One request as it arrived, and what became of its answer.

    Attributes:
        number: counts the server's requests from 1.
        method: as sent.
        path: percent-decoded, without the query.
        raw_target: the request line's target, verbatim.
        query: the last value of each name.
        headers: names in lower case; the last value of each.
        header_lines: every header as sent, in order.
        body: decoded from its transfer coding, nothing else.
        connection_id: counts the server's connections from 1.
        number_on_connection: 1 for the first request of a connection.
        received_s: the monotonic clock when the request was complete.
        behaviour: the fault that was played, "ok" for none.
        events_sent: stream events handed to the socket.
        bytes_sent: bytes of the answer handed to the socket, head included.
        blocked_s: how long the client's slow reading held the answer back.
        client_gone_s: seconds from `received_s` until the client closed or reset the connection
            before the answer was complete; None while, or if, it stayed.
        finished_s: seconds from `received_s` until the answer's end, None before.
    """

    number: int
    method: str
    path: str
    raw_target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    header_lines: tuple[tuple[str, str], ...]
    body: bytes
    connection_id: int
    number_on_connection: int
    received_s: float
    behaviour: str = "ok"
    events_sent: int = 0
    bytes_sent: int = 0
    blocked_s: float = 0.0
    client_gone_s: float | None = None
    finished_s: float | None = None

    @property
    def json(self) -> Any:
        """The body as data, None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def api_key(self) -> str | None:
        """The credential, in whichever header or parameter it came; None for none."""
        authorization = self.headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        for name in ("x-api-key", "api-key", "x-goog-api-key"):
            if name in self.headers:
                return self.headers[name]
        return self.query.get("key") or authorization or None


@dataclass(slots=True)
class _Waiter:
    is_met: Callable[[], bool]
    future: Future[None] = field(default_factory=Future)


class Journal:
    """The server's record; safe to read and to wait on from any thread.

    Attributes:
        requests: in the order in which they were complete.
        connections_opened: since the start or the last `clear`.
        connections_open: now.
        connections_held_back: now, by clients that do not read.
        redirect_followed: requests that reached the address a redirect pointed at.
        redirect_leaks: names of credential headers that came along with those.
        malformed: requests that were no HTTP, one sentence each.
        failures: what went wrong in the server itself; a bug of it, or of a fault's arguments.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiters: list[_Waiter] = []
        self.requests: list[RecordedRequest] = []
        self.connections_opened = 0
        self.connections_open = 0
        self.connections_held_back = 0
        self.redirect_followed = 0
        self.redirect_leaks: list[str] = []
        self.malformed: list[str] = []
        self.failures: list[Exception] = []

    def clear(self) -> None:
        """Forget requests and counts; open connections stay counted."""
        with self._lock:
            self.requests.clear()
            self.redirect_leaks.clear()
            self.malformed.clear()
            self.connections_opened = self.redirect_followed = 0

    def when(self, is_met: Callable[[], bool]) -> Future[None]:
        """Give a future that is done once `is_met()` holds; looked at after every change."""
        waiter = _Waiter(is_met)
        with self._lock:
            self._waiters.append(waiter)
        self.changed()
        return waiter.future

    def changed(self) -> None:
        """Look at the waiters again."""
        if not self._waiters:
            return
        with self._lock:
            self._waiters = [w for w in self._waiters if not w.future.cancelled()]
            met = [w for w in self._waiters if w.is_met()]
            self._waiters = [w for w in self._waiters if w not in met]
        for waiter in met:
            if waiter.future.set_running_or_notify_cancel():
                waiter.future.set_result(None)

    def connection_opened(self) -> int:
        """Count a connection; its id."""
        with self._lock:
            self.connections_opened += 1
            self.connections_open += 1
            number = self.connections_opened
        self.changed()
        return number

    def connection_closed(self) -> None:
        """Count a connection's end."""
        with self._lock:
            self.connections_open -= 1
        self.changed()

    def connection_held_back(self, by: int) -> None:
        """Count a connection whose client has stopped reading (1), or no longer (-1)."""
        with self._lock:
            self.connections_held_back += by
        self.changed()

    def record(self, request: RecordedRequest) -> None:
        """Append a request."""
        with self._lock:
            self.requests.append(request)
        self.changed()

    def stats(self) -> dict[str, Any]:
        """Give the counts as JSON-ready data."""
        with self._lock:
            return {
                "requests": len(self.requests),
                "connections_opened": self.connections_opened,
                "connections_open": self.connections_open,
                "connections_held_back": self.connections_held_back,
                "redirect_followed": self.redirect_followed,
                "redirect_leaks": list(self.redirect_leaks),
                "malformed": list(self.malformed),
                "clients_gone": sum(r.client_gone_s is not None for r in self.requests),
            }
