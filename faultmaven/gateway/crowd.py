"""How many clients may be connected: as many as there are files to open, those for providers kept back."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from faultmaven.gateway.faults import Fault
from faultmaven.gateway.fronts import openai_error
from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.gateway.tally import Tally

# For the listening socket, the event loop, the log, the ledger and configuration that is read anew.
RESERVED_FILES: Final = 32
LEAST_CLIENTS: Final = 8
# So many clients that are refused have so long to send their request.
MOST_LINGERING: Final = 8
LINGER_S: Final = 1.0

_MESSAGE: Final = "The gateway has no room for another connection. Try again in a moment."
_REFUSED: Final = Fault(503, "overloaded", "overloaded", _MESSAGE)
_BODY: Final = codec.dumps(openai_error.error_body(_REFUSED, ""))
_HEAD: Final = (
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
    "x-content-type-options: nosniff\r\nretry-after: 1\r\nx-should-retry: true\r\n"
    "connection: close\r\n"
)


def room_for_clients() -> int:
    """Have as many files as the system permits, and say how many clients that is enough for.

    Each of them may need a connection to a provider.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(LEAST_CLIENTS, (soft - RESERVED_FILES) // 2)


class Crowd:
    """Bounds the clients of one server.

    Args:
        tally: what counts those who are refused.
        most: how many there may be.
        make_id: gives a request's id.

    Attributes:
        most: as above.
    """

    def __init__(self, tally: Tally, most: int, make_id: Callable[[], str]) -> None:
        self.most = most
        self._tally = tally
        self._make_id = make_id
        self._lingering = 0

    def refuse(self, transport: asyncio.BaseTransport) -> None:
        """Answer a new connection 503, whatever it sends, and close it."""
        self._tally.rejected["connections"] += 1
        # uvloop's are none of asyncio's classes.
        writable = cast("asyncio.WriteTransport", transport)
        if self._lingering >= MOST_LINGERING:
            writable.write(self.answer())
            writable.close()
            return
        self._lingering += 1
        writable.set_protocol(_Refusal(self, writable))

    def answer(self) -> bytes:
        """Make the answer to one of them."""
        fields = f"x-request-id: {self._make_id()}\r\ncontent-length: {len(_BODY)}\r\n\r\n"
        return f"{_HEAD}{fields}".encode("ascii") + _BODY

    def forget(self) -> None:
        """Note that one who was refused has gone."""
        self._lingering -= 1


class _Refusal(asyncio.Protocol):
    """Waits a moment for the request: who is answered before it would often not read why."""

    def __init__(self, crowd: Crowd, transport: asyncio.WriteTransport) -> None:
        self._crowd = crowd
        self._transport = transport
        self._end = asyncio.get_running_loop().call_later(LINGER_S, transport.abort)

    @override
    def data_received(self, data: bytes) -> None:
        """Refuse."""
        if not self._transport.is_closing():
            self._transport.write(self._crowd.answer())
            self._transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._end.cancel()
        self._crowd.forget()
