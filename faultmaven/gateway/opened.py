"""What a lane gives back: a whole answer, or a stream whose first piece has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from faultmaven.gateway.front import Encoder
    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.types import Route, Usage


@dataclass(slots=True)
class Whole:
    """A plain answer in the client's API.

    Attributes:
        body: the bytes to send.
        usage: the token counts, None if unknown.
        route: the receipt of the tries at this provider.
        model: the provider's name for the model that was asked.
        estimated: whether the counts are our own estimate.
        said_bytes: what the model has written; counted only where its tokens were not reported.
    """

    body: bytes
    usage: Usage | None
    route: Route
    model: str
    estimated: bool = False
    said_bytes: int = 0


class Opened(Protocol):
    """A streamed answer in the client's API, whose first piece has come.

    Attributes:
        first: the bytes up to and with the first piece of the answer.
        model: the provider's name for the model that was asked.
        route: the receipt of the tries at this provider.
        error: why it broke off, None while it has not.
        estimated: whether the counts are our own estimate.
    """

    first: bytes
    model: str
    route: Route
    error: LLMError | None
    estimated: bool

    @property
    def encoder(self) -> Encoder | None:
        """What has written the stream; None where it was relayed."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing follows `first`, or what was given last."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The token counts as far as they are known."""
        ...

    @property
    def said_bytes(self) -> int:
        """What the model has written so far."""
        ...

    async def next(self) -> bytes:
        """Wait for more; b"" at the end, good or bad."""
        ...

    async def close(self) -> None:
        """Let go of the provider's connection; twice is fine."""
        ...
