"""One call on its way: what is sent where, until when, and the receipt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.health import UNWATCHED
from faultmaven.infrastructure.llm.types import Attempt, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.health import Passage
    from faultmaven.infrastructure.llm.http import Reply, StreamReply, Transport
    from faultmaven.infrastructure.llm.types import LLMRequest


@dataclass(slots=True)
class Call:
    """A request that has been made ready for one provider.

    Attributes:
        request: as the dialect sees it, model resolved, structure asked for.
        model: the provider's name for the model.
        url: where it is posted.
        schema: what the answer must match; None where text is wanted.
        level: how the structure is asked for.
        deadline: monotonic instant that no try and no wait may pass; None for none.
        body: the bytes to send.
        route: the receipt so far.
        try_started: `perf_counter` at the start of the present try.
        passage: what is told how the call ended; where a chain makes the call, the chain tells.
        key_number: which of the provider's keys the next try uses; None is the one in use by then.
    """

    request: LLMRequest
    model: str
    url: str
    schema: dict[str, Any] | None = None
    level: str = ""
    deadline: float | None = None
    body: bytes = b""
    route: Route = field(default_factory=Route)
    try_started: float = 0.0
    passage: Passage = UNWATCHED
    key_number: int | None = None

    def note(self, provider: str, error: LLMError | None) -> None:
        """Write the present try into the receipt; None means that it succeeded."""
        duration_ms = round((time.perf_counter() - self.try_started) * 1000)
        outcome = "ok" if error is None else type(error).__name__
        status = 200 if error is None else error.status
        self.route.attempts.append(Attempt(provider, self.model, outcome, duration_ms, status))


@dataclass(slots=True)
class Forward:
    """A client's body on its way to a provider that speaks the client's own API.

    Attributes:
        model: the provider's name for the model.
        url: where it is posted.
        headers: the provider's, its key among them.
        body: the bytes to send.
        transport: what sends them.
        timeout_s: the row's `timeout`.
        deadline: monotonic instant that nothing may pass; None for none.
        route: the receipt, filled in where a try failed.
        method: in upper case.
        key_number: which of the provider's keys is in the headers.
        address: the URL before credentials were added.
    """

    model: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    transport: Transport
    timeout_s: float
    deadline: float | None = None
    route: Route = field(default_factory=Route)
    method: str = "POST"
    key_number: int = 0
    address: str = ""

    async def fetch(self) -> Reply:
        """Send it once and give the whole answer, whatever its status."""
        return await self.transport.fetch(
            self.method, self.url, self.headers, self.body or None,
            timeout_s=self.timeout_s, deadline=self.deadline,
        )  # fmt: skip

    async def open(self) -> StreamReply:
        """Send it once and give the answer when its headers are there, whatever its status."""
        return await self.transport.open_stream(
            self.method, self.url, self.headers, self.body or None,
            timeout_s=self.timeout_s, deadline=self.deadline,
        )  # fmt: skip
