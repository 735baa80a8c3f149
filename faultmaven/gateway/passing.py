"""`/p/{provider}/…`: any other endpoint of a provider, with its key in place of the client's.

An answer goes back as it came, errors too.  Circuits are for models, and which one is meant is not looked
at (docs/decisions/passing-on.md).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

from faultmaven.gateway.answer import Answer, StreamedAnswer
from faultmaven.gateway.body import deadline_of, read_body
from faultmaven.gateway.demand import BYTES_PER_TOKEN
from faultmaven.gateway.faults import Fault, fault_of
from faultmaven.gateway.idempotency import HEADER, digest_of, may_have_run
from faultmaven.gateway.record import Record
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm.errors import LLMError, UnknownProviderError
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.retry import RetryBudget, RetryPolicy, call_with_retries
from faultmaven.infrastructure.llm.secret import redact
from faultmaven.infrastructure.llm.wire.errors import parse_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.admission import Ticket
    from faultmaven.gateway.allowance import Allowance
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.auth import Caller
    from faultmaven.gateway.routes import Visit
    from faultmaven.infrastructure.llm.http import StreamReply
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.call import Forward

# Of the client's headers these mean something to a provider, and none of them is a credential.
_INWARD: Final = (
    "accept", "anthropic-beta", "anthropic-version", "content-type", "idempotency-key", "openai-beta",
)  # fmt: skip
_OUTWARD: Final = (
    "retry-after", "retry-after-ms", "x-should-retry", "request-id",
    "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
    "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
)  # fmt: skip
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Sent twice they do what they do once (RFC 9110, 9.2.2).
_REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
# What says that it is the key: refused, exhausted, limited.  403 mostly means the path.
_OF_A_KEY: Final = frozenset({401, 402, 429})


class Passing:
    """Passes requests on to a provider without looking at them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._budgets: defaultdict[str, RetryBudget] = defaultdict(RetryBudget)

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the path."""
        yield "/p/*", Route(dict.fromkeys(_METHODS, self.pass_on), front="passing")

    async def pass_on(self, visit: Visit) -> Answer:
        """Send the request on and the answer back."""
        name, _, path = visit.rest.partition("/")
        record = Record(
            visit.request_id, "passing", visit.caller.name, visit.started, rule="passing"
        )
        self._gateway.books.begin(record)
        ticket = self._gateway.admission.admit(visit.caller.name)
        try:
            self._gateway.admission.check_room()
            return await self._pass_on(visit, name, path, record, ticket)
        except LLMError as error:
            fault = fault_of(error)
            record.status, record.outcome = fault.status, type(error).__name__
            record.code, fault.attempts = fault.code, record.attempts
            fault.fields += ticket.fields()
            raise fault from error
        except BaseException as exc:
            record.ended_by(exc)
            raise
        finally:
            ticket.leave(record)
            self._gateway.finish(record)

    async def _pass_on(
        self, visit: Visit, name: str, path: str, record: Record, ticket: Ticket
    ) -> Answer:
        provider = self._find(name, visit.caller)
        if not isinstance(provider, HTTPProvider) or not self._may_use(
            visit, provider, path, ticket.allowance
        ):
            message = "There is no such provider to pass a request on to, or not for this key."
            raise Fault(404, "not_found", "not_found", message)
        record.provider = provider.provider_name
        request = visit.request
        body = await read_body(request, ticket.allowance.max_body_bytes)
        ticket.expected_tokens = len(body) // BYTES_PER_TOKEN
        inward = {field: request.headers[field] for field in _INWARD if field in request.headers}
        query = request.raw_path.partition("?")[2]
        target = f"{path}?{query}" if query else path
        forward = await provider.make_pass(request.method, target, inward, body or None)
        send = partial(self._send, visit, provider, forward, record, ticket)
        key = request.headers.get(HEADER)
        if key is None or request.method in _REPEATABLE:
            return await send()
        digest = digest_of(f"{request.method} {request.raw_path}", body)
        return await self._gateway.replays.answer_once(
            (visit.caller.name, key), digest, record, send
        )

    async def _send(
        self,
        visit: Visit,
        provider: HTTPProvider,
        forward: Forward,
        record: Record,
        ticket: Ticket,
    ) -> Answer:
        if not ticket.enter({}, ()):
            await ticket.queue(None)
        ticket.choose(provider.provider_name, provider.config.row)
        forward.deadline = deadline_of(
            visit.request.headers,
            self._gateway.options.request_timeout_s,
            ticket.allowance.stream_s,
        )
        reply = await call_with_retries(
            partial(_open, provider, forward, record),
            policy=RetryPolicy(max_retries=provider.config.max_retries),
            budget=self._budgets[provider.provider_name],
            deadline=forward.deadline,
            attempt_timeout_s=forward.timeout_s,
        )
        try:
            return await self._answer(visit, reply, record, ticket.fields())
        finally:
            await reply.close()

    async def _answer(
        self, visit: Visit, reply: StreamReply, record: Record, limits: str
    ) -> Answer:
        content_type = reply.headers.get("content-type", "application/octet-stream")
        fields = f"x-request-id: {visit.request_id}\r\n{limits}" + "".join(
            f"{field}: {reply.headers[field]}\r\n"
            for field in _OUTWARD
            if field in reply.headers and not (limits and field.startswith("x-ratelimit"))
        )
        record.status = reply.status
        if not content_type.startswith("text/event-stream"):
            body = await reply.read_all()
            if reply.status >= 400:
                body = redact(body.decode("utf-8", "replace")).encode()
            return Answer(reply.status, body, content_type, fields)
        record.streamed, record.first_s = True, perf_counter() - record.started
        answer = Answer(reply.status, b"")
        writer = StreamedAnswer(visit.request, answer, fields)
        try:
            while data := await reply.read():
                writer.write(data)
                if writer.is_paused:
                    data = b""  # not held twice while the client reads
                    await writer.drain()
        except LLMError:
            if not writer.begun:
                raise
            # The head has gone out: all that is left is to break the stream off.
            record.outcome, answer.keep_alive = "incomplete", False
            if visit.request.transport is not None:
                visit.request.transport.abort()
            return answer
        writer.write(b"", last=True)
        return answer

    def _find(self, name: str, caller: Caller) -> BaseLLMProvider | None:
        """Give a provider; who may not have them all is not told which there are."""
        try:
            return self._gateway.get_provider(name)
        except UnknownProviderError:
            if caller.models is None and caller.providers is None:
                raise
            return None

    def _may_use(self, visit: Visit, provider: HTTPProvider, path: str, bounds: Allowance) -> bool:
        """Tell whether a caller may reach a path: it must not leave the provider's base URL."""
        caller = visit.caller
        if caller.models is not None or bounds.max_tokens is not None:
            return False  # which model is asked for, and for how much, is not looked at
        name = provider.provider_name
        if caller.providers is not None and name not in caller.providers:
            return False
        lowered = path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\")
        segments = lowered.replace("\\", "/").split("/")
        return bool(path) and path.isascii() and path.isprintable() and ".." not in segments


async def _open(provider: HTTPProvider, forward: Forward, record: Record) -> StreamReply:
    """Get an answer's beginning, with the next key at once where it is only the key that fails.

    Raises:
        LLMError: none came; `retryable` only where sending it again does no harm.
    """
    while True:
        record.attempts += 1
        try:
            reply = await forward.open()
        except LLMError as error:
            if forward.method not in _REPEATABLE and may_have_run(error):
                error.retryable = False
            raise
        if reply.status not in _OF_A_KEY:
            return reply
        refusal = parse_error(reply.status, reply.headers, b"")
        if not await provider.take_next_key(forward, refusal):
            return reply
        await reply.close()
