"""A dialect that one module of `wire` says in full: how requests are written and answers read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse
    from faultmaven.infrastructure.llm.wire.stream import ChunkReader


class WriteRequest(Protocol):
    """Writes a body; whether a stream is wanted is in it where the address does not say it."""

    def __call__(
        self, request: LLMRequest, model: str, *, options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write a request for a model; `options` is the row."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """One API's requests and answers.

    Attributes:
        write: a request's body.
        read: a plain answer.
        make_reader: makes what reads one stream.
        unsupported: names what a request asks for and the API has no place for.
    """

    write: WriteRequest
    read: Callable[[object], LLMResponse]
    make_reader: Callable[[], ChunkReader]
    unsupported: Callable[[LLMRequest], tuple[str, ...]]


class WireProvider(HTTPProvider):
    """A provider whose hooks are the functions of `wire`."""

    wire: ClassVar[Wire]

    @override
    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        return self.wire.unsupported(request)

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        model = request.model or ""
        return self.wire.write(request, model, options=self._rules_for(model).row)

    @override
    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request)

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        return self.wire.read(data)

    @override
    def _make_stream_reader(self) -> ChunkReader:
        return self.wire.make_reader()
