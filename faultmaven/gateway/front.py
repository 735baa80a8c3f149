"""What an API must know of itself to be served; `fronts` has one module for each.

Two ways lead to a provider.  Where it speaks the same API, the client's own body goes on and the answer
comes back as bytes: that needs `check_answer` and `make_watch`.  Where it does not, the request becomes
an `LLMRequest` and the answer is written anew: that needs `make_request`, `write_answer` and
`make_encoder`.  A front that cannot be relayed has `wire_format` None; both ways need the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.faults import Fault
    from faultmaven.gateway.watch import StreamWatch
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMRequest, LLMResponse, Usage


@dataclass(slots=True)
class Ask:
    """What a client asks for, as far as routing needs to know.

    Attributes:
        model: the name as the client wrote it.
        stream: whether the answer is wanted piece by piece.
        body: the client's JSON object; never changed.
        include_usage: whether a stream's token counts are wanted by the client.
        request_id: ours, for answers that carry one.
        headers: of the client's, what goes on to a provider of the same API.
        notes: whatever the front wants to remember.
    """

    model: str
    stream: bool
    body: dict[str, Any]
    include_usage: bool = True
    request_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def headers_for(self, stated: Mapping[str, str]) -> dict[str, str]:
        """Give the headers that go on to a provider whose row states some itself: those stay."""
        if not stated:
            return self.headers
        kept = {name.lower() for name in stated}
        return {name: text for name, text in self.headers.items() if name not in kept}


class Encoder(Protocol):
    """Writes one stream in the client's API."""

    def encode(self, chunk: LLMChunk) -> bytes:
        """Give the events of a chunk, b"" for none."""
        ...

    def end(self) -> bytes:
        """Give the events that end a complete answer."""
        ...


class FrontEnd(Protocol):
    """One API, for one path.

    Attributes:
        name: for metrics and logs.
        wire_format: what `HTTPProvider.can_forward` is asked for; None is never relayed.
        passed_headers: names of the client's headers that mean something to the provider.
        answer_fields: where a body says how many tokens an answer may have, a dot between the names of
            nested fields; the one to add first.
    """

    name: str
    wire_format: str | None
    passed_headers: tuple[str, ...]
    answer_fields: tuple[str, ...]

    def read(self, body: dict[str, Any]) -> Ask:
        """Check what can be checked cheaply.

        Raises:
            Fault: a field is missing or of the wrong type.
        """
        ...

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms, `model` left out.

        Raises:
            LLMError: it cannot be understood.
        """
        ...

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer."""
        ...

    def make_encoder(self, ask: Ask, model: str) -> Encoder:
        """Make what writes a streamed answer; `model` is what the client is told."""
        ...

    def check_answer(self, data: Any) -> Usage | None:
        """Look at a relayed plain answer; give its token counts.

        Raises:
            LLMError: it is an error, or no answer of this API.
        """
        ...

    def mend_answer(self, data: Any, counted: Usage | None) -> bool:
        """Put right, in place, what a relayed plain answer leaves out; whether anything was changed.

        Args:
            data: the answer.
            counted: what `check_answer` has read of its token counts.
        """
        ...

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Make what looks at a relayed stream."""
        ...

    def error_body(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """Give the body of an error."""
        ...

    def error_event(self, fault: Fault, request_id: str, encoder: Encoder | None) -> bytes:
        """Give the events that end a stream in an error; `encoder` has written what came before."""
        ...


class AsItIs:
    """For fronts whose relayed answers are passed on as they are."""

    def mend_answer(self, data: Any, counted: Usage | None) -> bool:
        """Leave an answer alone; see `FrontEnd.mend_answer`."""
        del data, counted
        return False
