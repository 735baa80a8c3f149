"""The gateway itself: what it knows, and the way of a request from its path to an answer."""

from __future__ import annotations

import logging
import os
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.admission import Admission
from faultmaven.gateway.answer import Answer
from faultmaven.gateway.auth import ANYONE
from faultmaven.gateway.books import Books
from faultmaven.gateway.door import Door
from faultmaven.gateway.eras import Eras, close_all
from faultmaven.gateway.faults import Fault
from faultmaven.gateway.fronts import openai_error
from faultmaven.gateway.idempotency import Replays
from faultmaven.gateway.lean import LeanTransport
from faultmaven.gateway.meter import Meter, merged
from faultmaven.gateway.naming import make_name_table
from faultmaven.gateway.record import Record
from faultmaven.gateway.reloads import Reloads
from faultmaven.gateway.routes import Route, Routes, Visit
from faultmaven.infrastructure.llm import codec, events
from faultmaven.infrastructure.llm.http import TransportPolicy
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from aiohttp.web import BaseRequest

    from faultmaven.config.reload import State
    from faultmaven.gateway.auth import Caller
    from faultmaven.gateway.board import Board
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
    from faultmaven.infrastructure.llm.router.names import NameTable, Plan

logger = logging.getLogger("faultmaven.gateway")

_PLANS_KEPT: Final = 1024


class Gateway:
    """Serves requests; `server` brings them.

    Args:
        registry: the providers.
        options: how it is set up.
        board: where the workers' numbers are; None for a single process.
        worker: which of them this is, from 0.
        seen: the state of the configuration's files when they were read; None takes the present one.

    Attributes:
        is_draining: no new work is wanted.
        streams: tasks that are writing streams.
        idle: set when the last request has ended; None while nobody waits for that.
        meter: this process's numbers.
        admission: who may call models now.
        door: who may come in.
        routes: what is served, and where.
        replays: what was answered under idempotency keys.
        books: where calls are written down.
        eras: which requests began under which configuration.
        reloads: what takes a changed configuration.
        when_reloaded: called after each reload that was taken.
    """

    def __init__(
        self,
        registry: ProviderRegistry,
        options: GatewayOptions,
        *,
        board: Board | None = None,
        worker: int = 0,
        seen: State | None = None,
    ) -> None:
        self.registry = registry
        self.options = options
        self.meter = Meter()
        self.meter.breakers.circuits = registry.circuits
        self.admission = Admission(
            self.meter.tally,
            allowances=options.allowances,
            max_concurrency=options.max_concurrency,
            queue_s=options.queue_s,
            workers=options.workers,
            worker=worker,
        )
        self.door = Door(options, self.meter.tally)
        self.routes = Routes()
        self.replays = Replays(self.meter.tally)
        self.is_draining = False
        self.idle: asyncio.Event | None = None
        self.streams: set[asyncio.Task[Any]] = set()
        self.eras = Eras()
        self.when_reloaded: list[Callable[[], None]] = []
        self._board = board
        self._said: bytes | None = None
        self._worker = worker
        self._providers: dict[str, BaseLLMProvider] = {}
        self._adopted: dict[str, BaseLLMProvider] = {}
        self._names: NameTable | None = None
        self._plans: dict[str, Plan] = {}
        self._numbers = count(1)
        self._id_prefix = f"req_{os.urandom(6).hex()}"
        self.books = Books(registry.settings, self.meter, self._id_prefix)
        self.reloads = Reloads(self, seen)

    async def handle(self, request: BaseRequest) -> Answer:
        """Answer a request; called by the server."""
        self.meter.in_flight += 1
        era = self.eras.now
        era.requests += 1
        request_id = self.make_id(request.headers)
        route: Route | None = None
        try:
            visit = Visit(request, request_id, ANYONE, perf_counter())
            try:
                route = self.routes.find(visit)
                page = self.door.admit(route, visit)
            except Fault as fault:
                self.note_refusal(fault, visit, route)
                raise
            return await page(visit)
        except Fault as fault:
            return self.fault_answer(fault, request_id, route)
        except (ConnectionError, TimeoutError):
            # The client has gone while it was answered: there is nobody to tell.
            return Answer(499, b"", close=True)
        except Exception:
            logger.exception("request %s failed", request_id)
            message = f"The gateway failed; its log has the cause under {request_id}."
            failed = Fault(500, "internal", "internal_error", message, close=True)
            return self.fault_answer(failed, request_id, route)
        finally:
            self.meter.in_flight -= 1
            era.requests -= 1
            if era.is_over and not era.requests:
                self.eras.settle()
            if self.idle is not None and not self.meter.in_flight:
                self.idle.set()

    def fault_answer(self, fault: Fault, request_id: str, route: Route | None = None) -> Answer:
        """Make the answer of a fault."""
        make_body = openai_error.error_body if route is None else route.error_body
        fields = f"x-request-id: {request_id}\r\n"
        if route is not None and route.id_header is not None:
            fields += f"{route.id_header}: {request_id}\r\n"
        if fault.status == 401:
            fields += "www-authenticate: Bearer\r\n"
        if fault.retry_after_s is not None:
            fields += f"retry-after: {fault.retry_after_s}\r\n"
        if fault.attempts is not None:
            fields += f"x-faultmaven-attempts: {fault.attempts}\r\n"
        if fault.should_retry is not None:
            fields += f"x-should-retry: {'true' if fault.should_retry else 'false'}\r\n"
        fields += fault.fields
        body = codec.dumps(make_body(fault, request_id))
        return Answer(fault.status, body, fields=fields, close=fault.close)

    def add_provider(self, name: str, provider: BaseLLMProvider) -> None:
        """Serve a provider that is in no row, in place of an earlier one of the name."""
        former = self._providers.get(name)
        self._providers[name] = provider
        self.forget_names()
        if former is not None:
            self.eras.turn([former])

    def get_provider(self, name: str) -> BaseLLMProvider:
        """Give a provider of a plan.

        Raises:
            ConfigurationError: it cannot be used.
        """
        provider = self._providers.get(name) or self.registry.get_provider(name)
        if self._adopted.get(name) is not provider:
            self._adopt(name, provider)
        return provider

    def _adopt(self, name: str, provider: BaseLLMProvider) -> None:
        """Have a provider that is new here speak by the thin transport, unless it needs a proxy."""
        self._adopted[name] = provider
        row = provider.config.row
        if not isinstance(provider, HTTPProvider):
            return
        provider.max_partial_bytes = 0  # the client has the text already
        if not row.get("proxy"):
            policy = TransportPolicy.from_row(row)
            provider.use_transport(LeanTransport(provider.provider_name, policy))

    def plan_for(self, name: str, caller: Caller) -> Plan:
        """Say who is asked for a model.

        Raises:
            LLMError: nobody serves it, or not for this caller.
        """
        plan = self._plans.get(name)
        is_bound = caller.models is not None or caller.providers is not None
        if plan is None:
            plan = self.names.resolve(name, caller.may_use if is_bound else None)
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            self._plans[name] = plan
        if not is_bound:
            return plan
        return self.names.permitted(plan, name, caller.may_use)

    @property
    def names(self) -> NameTable:
        """What models' names mean, as the registry is now."""
        if self._names is None:
            self._names = self.make_names()
        return self._names

    def make_names(self) -> NameTable:
        """Read the registry's names; may be called from a thread."""
        return make_name_table(self.registry, dict(self._providers))

    def forget_names(self) -> None:
        """Read the registry's names anew with the next request."""
        self._names = None
        self._plans.clear()

    def take(self, options: GatewayOptions, names: NameTable) -> None:
        """Go on with what a reload has read; the requests that have begun keep what they have."""
        self.forget_names()
        self._names = names
        self.take_options(options)
        replaced = self.registry.take_outdated()
        for provider in replaced:
            if self._adopted.get(provider.provider_name) is provider:
                del self._adopted[provider.provider_name]
        self.eras.turn(replaced)
        for listener in self.when_reloaded:
            listener()

    def take_options(self, options: GatewayOptions) -> None:
        """Put other options in force for the requests that begin now."""
        self.options = options
        self.admission.adopt(options.allowances, options.max_concurrency, options.queue_s)
        self.door.adopt(options)

    def count_reload(self, outcome: str) -> None:
        """Count a reload of the configuration."""
        self.meter.reloads[outcome] += 1

    async def close(self) -> None:
        """Close every provider, whether or not it is in use."""
        await self.reloads.close()
        await self.eras.close()
        await self.registry.close()
        await close_all(self._providers.values())
        await self.books.close()

    def finish(self, record: Record) -> None:
        """Count a call to a model that has ended, and tell whoever listens."""
        record.duration_s = perf_counter() - record.started
        self.books.note(record)
        self.meter.finish(record)
        if events.has_listeners():
            events.publish(record.to_event())

    def note_refusal(self, fault: Fault, visit: Visit, route: Route | None) -> None:
        """Write down a call to a model that was refused before it was looked at.

        What is sent to a path that does not exist was meant for a model, too; to look for something
        that can be looked at is no call.
        """
        front = "unknown" if route is None else route.front
        is_sent = visit.request.method == "POST"
        if not front or not (is_sent or (route is not None and "GET" not in route.pages)):
            return
        record = Record(visit.request_id, front, visit.caller.name, visit.started)
        record.ended_by(fault)
        self.finish(record)

    def metrics(self) -> bytes:
        """Give the numbers of all workers in Prometheus' form."""
        return self.numbers().expose()

    def numbers(self) -> Meter:
        """Give the numbers of all workers."""
        self.books.count_waiting()
        others = self._board.others(self._worker) if self._board is not None else ()
        return merged(self.meter, others)

    def show_numbers(self) -> None:
        """Show this worker's numbers to the others."""
        if self._board is not None:
            self.books.count_waiting()
            self._board.write(self._worker, self.meter.to_bytes())

    def say(self, data: bytes) -> None:
        """Tell all workers something: a short thing that every one of them asks for."""
        if self._board is None:
            self._said = data
        else:
            self._board.say(data)

    def heard(self) -> bytes | None:
        """Give what a worker has said last; None for nothing."""
        said = None if self._board is None else self._board.heard()
        self._said = self._said if said is None else said
        return self._said

    def make_id(self, headers: Mapping[str, str]) -> str:
        """Give a request's id: the client's own word, if it is one, else ours."""
        given = headers.get("x-request-id")
        if given is not None and len(given) <= 128 and given.isascii() and _is_word(given):
            return given
        return f"{self._id_prefix}{next(self._numbers):x}"


def _is_word(text: str) -> bool:
    return text.replace("-", "").replace("_", "").replace(".", "").isalnum()
