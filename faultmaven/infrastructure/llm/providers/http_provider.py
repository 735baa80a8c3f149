"""What a dialect extends: a provider behind an HTTP API.

Three rooms, one above the other.  `HTTPService` sends requests: keys, pooled connections, retries, the
model list.  `HTTPChat` makes one chat of them: the hooks that a dialect overrides (`_get_endpoint`,
`_get_headers`, `_transform_request`, `_transform_response`, `_make_stream_reader` or
`_parse_stream_chunk`), streams, structured output, parameters, cost.  `HTTPProvider` adds forwarding: a
gateway's client may have its own body sent on as it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers.call import Call, Forward
from faultmaven.infrastructure.llm.providers.http_chat import HTTPChat
from faultmaven.infrastructure.llm.providers.remedy import explain
from faultmaven.infrastructure.llm.types import LLMChunk, LLMRequest, LLMResponse, Route
from faultmaven.infrastructure.llm.wire.answer import chunk_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.http import Transport

T = TypeVar("T")


class HTTPProvider(HTTPChat):
    """A provider behind an HTTP API; a dialect overrides the hooks of `HTTPChat`."""

    # The API whose bodies this class posts and answers as they are ("openai_chat", …); None for none.
    wire_format: ClassVar[str | None] = None

    def use_transport(self, transport: Transport) -> None:
        """Send by another transport from now on; the present one must not have been used."""
        self._transport = transport

    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a body of a client's API may be posted as it is, but for the model's name."""
        if _forwarded_format(type(self)) != wire_format:
            return False
        takes: Mapping[str, Any] = self.config.row.get("capabilities") or {}
        must_be_whole = takes.get("stream") is False and body.get("stream")
        return not must_be_whole and takes.get("system") is not False

    async def make_forward(
        self,
        body: dict[str, Any],
        model: str | None,
        *,
        deadline: float | None,
        wire_format: str | None = None,
    ) -> Forward:
        """Make a client's body ready to be posted; `can_forward` must have agreed to it.

        Args:
            body: changed in place: the model, and what the row says of parameters.
            model: as the client names it without the provider; None is the configured one.
            deadline: monotonic instant, None for none.
            wire_format: as for `can_forward`; None is the class's own.

        Raises:
            LLMError: something is not configured, or a parameter is refused.
        """
        self._require_configuration()
        route = Route()
        if wire_format is None or wire_format == self.wire_format:
            chosen = body["model"] = self.get_effective_model(model)
            self._adapt_forward(body, chosen, route)
            url = self._get_endpoint()
        else:
            chosen = body["model"] = self._forward_model(model, wire_format)
            url = self._forward_url(wire_format)
        data = codec.dumps(body)
        number, address = self._keys.number, url
        url, headers = await self._authorize("POST", url, self._get_headers(), data)
        if self._min_interval_s:
            await self._pace()
        forward = Forward(
            chosen, url, headers, data, self._transport, self.config.timeout, deadline, route
        )
        forward.key_number, forward.address = number, address
        return forward

    async def make_pass(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Forward:
        """Make a request to any other path of the provider ready to be sent, with its credentials.

        Args:
            method: in upper case.
            path: below the base URL, quoted already, with its query.
            headers: what is sent beside the provider's own.
            body: the bytes to send, None for none.

        Raises:
            LLMError: something is not configured.
        """
        self._require_configuration()
        number, address = self._keys.number, f"{self.config.base_url}/{path}"
        url, own = await self._authorize(method, address, self._get_headers(), body)
        merged = {**own, **headers}
        return Forward(
            "", url, merged, body or b"", self._transport, self.config.timeout,
            method=method, key_number=number, address=address,
        )  # fmt: skip

    async def take_next_key(self, forward: Forward, error: LLMError) -> bool:
        """Give a forward the next key where an error is one key's own; False where there is none."""
        if not self._has_other_key(forward.key_number, error):
            return False
        await self._change_key(forward)
        return True

    def _adapt_forward(self, body: dict[str, Any], model: str, route: Route) -> None:
        """Apply what the row says of parameters, as for a request of our own."""
        try:
            self._rules_for(model).adapt_body(body, route.unsupported)
        except LLMError as error:
            raise explain(error, self.config, model) from None
        self._warn_unsupported(model, route.unsupported)
        self._prepare_forward(body)

    def _forward_model(self, model: str | None, wire_format: str) -> str:
        """Choose the model of a forward to another endpoint than the chat's."""
        del wire_format
        return self.get_effective_model(model)

    def _forward_url(self, wire_format: str) -> str:
        """Give where a forward to another endpoint than the chat's is posted."""
        raise NotImplementedError(wire_format)

    def _prepare_forward(self, body: dict[str, Any]) -> None:
        """Add to a client's body what the provider needs to be told; by default nothing."""

    def forward_succeeded(self) -> None:
        """Count a forward that needed no second try."""
        self._retry_budget.succeeded()

    def read_stream(self, body: bytes) -> LLMResponse:
        """Read a stream that came where none was asked for as the one answer that it amounts to.

        Raises:
            LLMError: it is no stream of this dialect, or reports a failure.
        """
        return self._assembled(body)

    def read_whole(self, body: bytes) -> LLMChunk:
        """Read a whole answer that came where a stream was asked for as the one chunk of one.

        Raises:
            LLMError: it is no answer of this dialect, or reports a failure.
        """
        return chunk_of(self._read_answer(body))

    async def retry_forward(
        self, forward: Forward, error: LLMError, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        """Go on after a first try that failed; `attempt` makes one more, the receipt is the forward's.

        Raises:
            LLMError: the last try's error, its `attempts` filled in.
        """
        call = Call(LLMRequest([]), forward.model, forward.url, deadline=forward.deadline)
        call.route, call.key_number = forward.route, forward.key_number
        failed = [error]
        del error  # raised again, its traceback would hold this frame

        async def next_try() -> T:
            if failed:
                raise failed.pop()
            if forward.key_number != self._keys.number:
                await self._change_key(forward)
            return await attempt()

        return await self._retried(call, next_try)

    async def _change_key(self, forward: Forward) -> None:
        """Give a forward the credentials of the key that is in use now; the client's headers stay."""
        keys, old, new = self._keys, forward.key_number, self._keys.number
        forward.key_number = new
        forward.url, fresh = await self._authorize(
            forward.method, forward.address, self._get_headers(), forward.body
        )
        kept = {name: text for name, text in forward.headers.items() if not keys.holds(old, text)}
        forward.headers = kept | {name: t for name, t in fresh.items() if keys.holds(new, t)}


_FORWARD_BREAKERS = frozenset(
    {
        "_endpoint_for",
        "_make_stream_reader",
        "_parse_stream_chunk",
        "_transform_request",
        "_transform_response",
        "_transform_stream_request",
        "complete",
        "generate",
        "stream",
    }
)


@cache
def _forwarded_format(kind: type[HTTPProvider]) -> str | None:
    """Give a class's wire format; None where a subclass changed what goes over the wire."""
    for cls in kind.__mro__:
        if "wire_format" in vars(cls):
            return cls.wire_format if issubclass(cls, HTTPProvider) else None
        if _FORWARD_BREAKERS & vars(cls).keys():
            return None
    return None
