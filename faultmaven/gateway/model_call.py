"""A call to a model: plan, lanes, fallback, and the client's answer, whole or streamed."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from faultmaven.gateway.accounting import account
from faultmaven.gateway.answer import Answer, StreamedAnswer
from faultmaven.gateway.attempts import first_good, settle
from faultmaven.gateway.body import check_type, deadline_of, parse_object, read_body
from faultmaven.gateway.demand import limit_answer
from faultmaven.gateway.early_head import EarlyHead
from faultmaven.gateway.faults import Fault, fault_of
from faultmaven.gateway.idempotency import HEADER, digest_of
from faultmaven.gateway.record import Record
from faultmaven.gateway.relay import open_relay, relay_whole
from faultmaven.gateway.translate import open_translation, translate_whole
from faultmaven.infrastructure.llm.errors import (
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ServerError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider

if TYPE_CHECKING:
    from faultmaven.gateway.admission import Ticket
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.front import Ask, Encoder, FrontEnd
    from faultmaven.gateway.fronts.openai_embeddings import EmbeddingsFront
    from faultmaven.gateway.opened import Opened, Whole
    from faultmaven.gateway.routes import Visit
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.router.names import Plan, Target
    from faultmaven.infrastructure.llm.types import Route

logger = logging.getLogger("faultmaven.gateway")


class ModelCall:
    """Serves one front end's path.

    Args:
        gateway: what knows the providers.
        front: the API.
        id_header: where its clients look for the request's id, beside `x-request-id`.
    """

    def __init__(self, gateway: Gateway, front: FrontEnd, id_header: str | None = None) -> None:
        self._gateway = gateway
        self._front = front
        self._id_header = id_header

    async def __call__(self, visit: Visit) -> Answer:
        """Answer a request."""
        gateway, request = self._gateway, visit.request
        record = Record(visit.request_id, self._front.name, visit.caller.name, visit.started)
        gateway.books.begin(record)
        ticket = gateway.admission.admit(visit.caller.name)
        try:
            check_type(request.headers)
            gateway.admission.check_room()
            raw = await read_body(request, ticket.allowance.max_body_bytes)
            if gateway.books.keeps_content:
                record.request = raw
            key = request.headers.get(HEADER)
            if key is None:
                return await self._answer(visit, raw, record, ticket)
            answer = partial(self._answer, visit, raw, record, ticket)
            digest = digest_of(request.raw_path, raw)
            return await gateway.replays.answer_once(
                (visit.caller.name, key), digest, record, answer
            )
        except LLMError as error:
            raise self._told(error, record, ticket) from error
        except BaseException as exc:
            record.ended_by(exc)
            raise
        finally:
            ticket.leave(record)
            settle(record)
            gateway.finish(record)

    async def _answer(self, visit: Visit, raw: bytes, record: Record, ticket: Ticket) -> Answer:
        """Let a request in and answer it."""
        front, bounds = self._front, ticket.allowance
        ask = front.read(parse_object(raw))
        ask.request_id = visit.request_id
        if front.passed_headers:
            headers = visit.request.headers
            ask.headers = {n: headers[n] for n in front.passed_headers if n in headers}
        if bounds.max_tokens is not None:
            ask.body = limit_answer(
                ask.body, front.answer_fields, bounds.max_tokens, add=bounds.add_max_tokens
            )
        record.streamed = ask.stream
        plan = self._gateway.plan_for(ask.model, visit.caller)
        deadline = deadline_of(
            visit.request.headers,
            self._gateway.options.request_timeout_s,
            bounds.stream_s if ask.stream else None,
        )
        if not ticket.enter(ask.body, front.answer_fields):
            await ticket.queue(_left_s(deadline))
        serve = self._serve_stream if ask.stream else self._serve_whole
        return await serve(visit, ask, plan, deadline, record, ticket)

    def _told(self, error: LLMError, record: Record, ticket: Ticket) -> Fault:
        fault = fault_of(error)
        record.outcome, record.status, record.code = type(error).__name__, fault.status, fault.code
        fault.attempts = record.attempts
        fault.fields += ticket.fields()
        return fault

    async def _serve_whole(
        self,
        _visit: Visit,
        ask: Ask,
        plan: Plan,
        deadline: float | None,
        record: Record,
        ticket: Ticket,
    ) -> Answer:
        async def ask_one(provider: BaseLLMProvider, target: Target) -> Whole:
            front = self._front
            if isinstance(provider, HTTPProvider) and _relays(front, provider, ask):
                return await relay_whole(front, provider, ask, target.model, deadline)
            return await self._translate(provider, ask, target.model, _left_s(deadline))

        provider, whole = await first_good(self._gateway, plan, deadline, record, ask_one, ticket)
        account(provider, whole, record, self._front, ask)
        if record.request:
            record.answer = whole.body
        fields = _fields(record, whole.route, self._id_header) + ticket.fields()
        return Answer(200, whole.body, fields=fields)

    async def _translate(
        self, provider: BaseLLMProvider, ask: Ask, model: str | None, timeout_s: float | None
    ) -> Whole:
        return await translate_whole(self._front, provider, ask, model, timeout_s)

    async def _serve_stream(
        self,
        visit: Visit,
        ask: Ask,
        plan: Plan,
        deadline: float | None,
        record: Record,
        ticket: Ticket,
    ) -> Answer:
        async def ask_one(provider: BaseLLMProvider, target: Target) -> Opened:
            front = self._front
            if isinstance(provider, HTTPProvider) and _relays(front, provider, ask):
                return await open_relay(front, provider, ask, target.model, deadline)
            return await open_translation(front, provider, ask, target.model, _left_s(deadline))

        opening = first_good(self._gateway, plan, deadline, record, ask_one, ticket)
        answer = Answer(200, b"")
        writer: StreamedAnswer | None = None
        if self._gateway.options.commit_after_s is None:
            provider, opened = await opening
        else:
            early = self._early_head(visit, answer, record, ticket)
            try:
                provider, opened = await early.wait(opening)
            except (LLMError, asyncio.CancelledError) as error:
                if early.writer is None or not self._fail_late(error, early.writer, record):
                    raise
                return answer
            writer = early.writer
        record.note_first()
        if writer is None:
            fields = _fields(record, opened.route, self._id_header) + ticket.fields()
            writer = _make_writer(visit, answer, fields, record)
        try:
            await self._write(opened, writer, record)
        finally:
            account(provider, opened, record, self._front, ask)
            await opened.close()
        return answer

    async def _write(self, opened: Opened, writer: StreamedAnswer, record: Record) -> None:
        """Write a stream to its end, good or bad."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._gateway.streams.add(task)
        try:
            await _pump(opened, writer)
            if opened.error is not None:
                self._break_off(opened.error, opened, writer, record)
        except asyncio.CancelledError:
            self._cut_short(opened.encoder, writer)
            raise
        except ConnectionError:
            raise
        except Exception:
            # The head has gone out: all that is left is to end the stream as an error.
            logger.exception("request %s failed in its stream", record.request_id)
            failure = ServerError("the gateway failed", code="internal_error")
            self._break_off(failure, opened, writer, record)
        finally:
            self._gateway.streams.discard(task)

    def _break_off(
        self, error: LLMError, opened: Opened, writer: StreamedAnswer, record: Record
    ) -> None:
        """Tell the client within the stream that the answer ends here."""
        if isinstance(error, LLMConnectionError):
            error = StreamInterruptedError(
                f"the stream broke off: {error.message}", code="stream_incomplete"
            )
        record.passage.failed(error)
        fault = fault_of(error)
        is_broken = isinstance(error, StreamInterruptedError | LLMTimeoutError)
        record.outcome = "incomplete" if is_broken else type(error).__name__
        record.code = fault.code
        event = self._front.error_event(fault, record.request_id, opened.encoder)
        writer.write(event, last=True)

    def _early_head(
        self, visit: Visit, answer: Answer, record: Record, ticket: Ticket
    ) -> EarlyHead:
        fields = f"x-request-id: {record.request_id}\r\n{ticket.fields()}"
        every_s = self._gateway.options.commit_after_s
        assert every_s is not None
        return EarlyHead(partial(_make_writer, visit, answer, fields, record), every_s)

    def _fail_late(
        self, error: LLMError | asyncio.CancelledError, writer: StreamedAnswer, record: Record
    ) -> bool:
        """Tell the client within the stream that no answer came; whether that is all there is to do."""
        if isinstance(error, asyncio.CancelledError):
            self._cut_short(None, writer)
            return False
        fault = fault_of(error)
        record.outcome, record.code = type(error).__name__, fault.code
        writer.write(self._front.error_event(fault, record.request_id, None), last=True)
        return True

    def _cut_short(self, encoder: Encoder | None, writer: StreamedAnswer) -> None:
        """End a stream because the gateway ends; a client that has gone is told nothing."""
        if not self._gateway.is_draining:
            return
        error = ServerError("the gateway is shutting down", code="shutting_down")
        event = self._front.error_event(fault_of(error), "", encoder)
        try:
            writer.write(event, last=True)
        except ConnectionError:
            return


class EmbeddingCall(ModelCall):
    """Serves embeddings: what is not relayed is embedded anew."""

    def __init__(self, gateway: Gateway, front: EmbeddingsFront) -> None:
        super().__init__(gateway, front)
        self._embeddings = front

    @override
    async def _translate(
        self, provider: BaseLLMProvider, ask: Ask, model: str | None, timeout_s: float | None
    ) -> Whole:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._embeddings.embed(provider, ask, model)
        except TimeoutError:
            raise _late() from None


async def _pump(opened: Opened, writer: StreamedAnswer) -> None:
    """Write a stream as it comes, as fast as the client takes it."""
    data = opened.first
    while True:
        is_last = opened.is_over and opened.error is None
        if data or is_last:
            writer.write(data, last=is_last)
        if opened.is_over:
            return
        if writer.is_paused:
            data = b""  # not held twice while the client reads
            await writer.drain()
        data = await opened.next()


def _make_writer(visit: Visit, answer: Answer, fields: str, record: Record) -> StreamedAnswer:
    if not record.request:
        return StreamedAnswer(visit.request, answer, fields)
    from faultmaven.gateway.copied import CopiedAnswer

    return CopiedAnswer(record, visit.request, answer, fields)


def _relays(front: FrontEnd, provider: HTTPProvider, ask: Ask) -> bool:
    return front.wire_format is not None and provider.can_forward(front.wire_format, ask.body)


def _left_s(deadline: float | None) -> float | None:
    """Give the seconds until the deadline.

    Raises:
        LLMTimeoutError: it has passed.
    """
    if deadline is None:
        return None
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise _late()
    return left_s


def _late() -> LLMTimeoutError:
    return LLMTimeoutError("the request's deadline has passed", code="deadline_exceeded")


def _fields(record: Record, route: Route, id_header: str | None) -> str:
    """Give the header lines of an answer."""
    fields = (
        f"x-request-id: {record.request_id}\r\n"
        f"x-faultmaven-provider: {record.provider}\r\n"
        f"x-faultmaven-model: {_token(record.model)}\r\n"
        f"x-faultmaven-route: {record.rule}\r\n"
        f"x-faultmaven-attempts: {record.attempts}\r\n"
    )
    if id_header is not None:
        fields += f"{id_header}: {record.request_id}\r\n"
    if record.cost_usd is not None:
        fields += f"x-faultmaven-cost-usd: {record.cost_usd:.8f}\r\n"
    if route.unsupported:
        fields += f"x-faultmaven-unsupported: {_token('; '.join(route.unsupported))}\r\n"
    return fields


def _token(text: str) -> str:
    """Make text fit for a header."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
