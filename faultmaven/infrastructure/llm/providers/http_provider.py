"""Providers that speak HTTP: a dialect overrides transforms, everything else is here.

A dialect says where to send (`_get_endpoint`), with which headers (`_get_headers`), how a request
becomes a body (`_transform_request`) and how an answer is read (`_transform_response`, and for streams
`_make_stream_reader` or `_parse_stream_chunk`).  From here it gets pooled connections, one deadline for
all tries, retries, streams that end cleanly, structured output that is validated, cost, and errors that
say what to do.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    ContextLengthError,
    LLMConnectionError,
    LLMError,
    ProviderNotConfiguredError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy, intercepted
from faultmaven.infrastructure.llm.providers.base import (
    BaseLLMProvider,
    KeyCheck,
    chunk_of,
    elapsed_ms,
)
from faultmaven.infrastructure.llm.providers.call import Call, Forward
from faultmaven.infrastructure.llm.providers.opened_stream import OpenedStream
from faultmaven.infrastructure.llm.providers.remedy import explain, first_variable
from faultmaven.infrastructure.llm.retry import (
    SYSTEM_CLOCK,
    RetryBudget,
    RetryPolicy,
    call_with_retries,
)
from faultmaven.infrastructure.llm.secret import redact, remember_secret
from faultmaven.infrastructure.llm.types import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    ChatResponse,
    LLMChunk,
    LLMMessage,
    LLMRequest,
    LLMResponse,
    Route,
    Usage,
    make_request,
)
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.errors import parse_error, parse_error_object
from faultmaven.infrastructure.llm.wire.estimate import (
    TokenRatio,
    estimate_prompt_tokens,
    estimate_usage,
    has_attachments,
)
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire
from faultmaven.infrastructure.llm.wire.parameters import ParameterRules, make_rules
from faultmaven.infrastructure.llm.wire.simple_stream import SimpleStreamReader
from faultmaven.infrastructure.llm.wire.structured import (
    ask_for_structure,
    choose_level,
    read_structure,
    requested_schema,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.http import Reply, StreamReply, Transport
    from faultmaven.infrastructure.llm.providers.base import Prompt
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.retry import Clock
    from faultmaven.infrastructure.llm.wire.stream import ChunkReader

T = TypeVar("T")

logger = logging.getLogger("faultmaven.providers")

KEY_CHECK_TIMEOUT_S = 10.0
MODEL_LIST_TIMEOUT_S = 10.0
# A stream may not run longer than this, however alive it is.
STREAM_TOTAL_S = 1800.0
# An estimate may be this far off; a prompt is refused only above.
_ESTIMATE_MARGIN = 1.25

# Model names are a client's to invent: what is kept for them stays bounded.
_MODELS_KEPT = 512

# What reading an answer of an unexpected shape raises in a transform.
_SHAPE_ERRORS = (KeyError, IndexError, TypeError, AttributeError, ValueError)


class HTTPProvider(BaseLLMProvider):
    """A provider behind an HTTP API; see the module's docstring for what a dialect overrides.

    Args:
        config: as for `BaseLLMProvider`.
        transport: what sends bytes; None makes an `HTTPTransport` of its own pool.
        clock: what waits between tries; a test passes its own.
        **settings: as for `BaseLLMProvider`.
    """

    # How the key travels where the row does not say.
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "bearer"}

    # The API whose bodies this class posts and answers as they are ("openai_chat", …); None for none.
    wire_format: ClassVar[str | None] = None

    # Whether `cache_control` may stand in what this class posts, where the row does not say.
    takes_cache_marks: ClassVar[bool] = True

    # Whether streams come as `application/json` too: one value a line, or one growing array.
    streams_json: ClassVar[bool] = False

    def __init__(
        self,
        config: ProviderConfig | Mapping[str, Any] | None = None,
        *,
        transport: Transport | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **settings: Any,
    ) -> None:
        super().__init__(config, **settings)
        if not self.config.name:
            default = type(self).__name__.removesuffix("Provider").lower()
            self.config = replace(self.config, name=default)
        if self.config.api_key:
            remember_secret(self.config.api_key)
        self._clock = clock
        self._own_transport: Transport = transport or HTTPTransport(
            self.config.name, TransportPolicy.from_row(self.config.row)
        )
        self._retry_policy = RetryPolicy(max_retries=self.config.max_retries)
        self._retry_budget = RetryBudget()
        self._next_start = 0.0
        limits: Mapping[str, Any] = self.config.row.get("limits") or {}
        self._min_interval_s = limits.get("min_interval_ms", 0) / 1000
        self._context_windows: dict[str, int | None] = {}
        self._token_ratios: dict[str, TokenRatio] = {}
        self._parameter_rules: dict[str, ParameterRules] = {}
        self._warned: set[str] = set()

    @property
    def _transport(self) -> Transport:
        return intercepted(self._own_transport)

    @property
    def provider_name(self) -> str:
        """The row's name."""
        return self.config.name

    def is_available(self) -> bool:
        """Tell whether address, model and (where one is needed) key are there."""
        return bool(self.config.base_url) and bool(self.get_supported_models()) and self._has_key()

    def get_supported_models(self) -> list[str]:
        """Give the configured models, then those that the class knows; the default one first."""
        names = [*self.config.models, self.get_default_model(), *self.get_models()]
        return list(dict.fromkeys(filter(None, names)))

    async def generate(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> LLMResponse:
        """Answer a prompt or a conversation; see `BaseLLMProvider.generate`."""
        return await self.complete(make_request(prompt, model, max_tokens, temperature, kwargs))

    def stream(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> AsyncGenerator[LLMChunk, None]:
        """Answer piece by piece; see `BaseLLMProvider.stream`."""
        return self.stream_complete(make_request(prompt, model, max_tokens, temperature, kwargs))

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer a request object.

        Raises:
            LLMError: the last try's error, its `attempts` filled in.
        """
        started = time.perf_counter()
        call = await self._begin(request)
        response = await self._retried(call, lambda: self._attempt(call))
        response.response_time_ms = elapsed_ms(started)
        return response

    async def stream_complete(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        """Answer a request object piece by piece.

        Tries are repeated only until the first piece is there; later the stream ends in an error.

        Raises:
            StreamInterruptedError: the connection broke; `partial_text` is what had come.
            LLMError: as for `complete`, or what the provider reported within the stream.
        """
        call = await self._begin(replace(request, stream=True))
        opened = await self._retried(call, lambda: self._open_stream(call))
        text: list[str] = []
        unsupported = call.route.unsupported
        try:
            async for chunk in opened:
                if chunk.text:
                    text.append(chunk.text)
                if chunk.usage is not None:
                    self._learn(call, chunk.usage.input_tokens)
                    chunk.unsupported = unsupported or None
                yield chunk
        except LLMError as error:
            raise self._explain_interruption(error, call, "".join(text)) from error
        finally:
            await opened.close()

    async def check_key(self, api_key: str | None = None) -> KeyCheck:
        """Ask for the model list, or for one token where there is none; one request, 10 s."""
        if api_key is not None:
            other = type(self)(replace(self.config, api_key=api_key), clock=self._clock)
            async with other:
                return await other.check_key()
        try:
            if self._models_url() is None:
                await self._check_key_by_asking()
            else:
                await self._fetch_model_ids(KEY_CHECK_TIMEOUT_S)
        except ResponseFormatError:
            return KeyCheck(ok=True)  # it answered, if badly: the key was accepted
        except LLMError as error:
            return KeyCheck(ok=False, reason=error.message)
        return KeyCheck(ok=True)

    async def get_available_models(self) -> list[str]:
        """Ask the provider's model list; the configured models, with a warning, where that fails."""
        try:
            if ids := await self._fetch_model_ids(MODEL_LIST_TIMEOUT_S):
                return ids
            reason = "its model list is empty"
        except LLMError as error:
            reason = error.message
        logger.warning("%s: using the configured models: %s", self.provider_name, reason)
        return self.get_supported_models()

    async def close(self) -> None:
        """Close the pooled connections; closing twice is fine, and a later call opens new ones."""
        await self._transport.close()

    # Forwarding: what a gateway's client wrote goes on as it is.

    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a body of a client's API may be posted as it is, but for the model's name."""
        del body
        return _forwarded_format(type(self)) == wire_format

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
        url, headers = await self._authorize("POST", url, self._get_headers(), data)
        if self._min_interval_s:
            await self._pace()
        return Forward(
            chosen, url, headers, data, self._transport, self.config.timeout, deadline, route
        )

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
        url, own = await self._authorize(
            method, f"{self.config.base_url}/{path}", self._get_headers(), body
        )
        merged = {**own, **headers}
        return Forward(
            "", url, merged, body or b"", self._transport, self.config.timeout, method=method
        )

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
        call.route = forward.route
        failed = [error]

        async def next_try() -> T:
            if failed:
                raise failed.pop()
            return await attempt()

        return await self._retried(call, next_try)

    # The hooks of a dialect.

    def _get_endpoint(self) -> str:
        """Give the URL that chats are posted to."""
        return self._url("chat", "/chat/completions")

    def _get_headers(self) -> dict[str, str]:
        """Give the headers of every request, the key among them."""
        headers = {"Content-Type": "application/json"}
        auth = self._auth
        style = auth.get("style", "bearer")
        if self.config.api_key and style in ("bearer", "header"):
            prefix = auth.get("prefix", "Bearer " if style == "bearer" else "")
            headers[auth.get("header", "Authorization")] = f"{prefix}{self.config.api_key}"
        return headers | self.config.headers

    @abstractmethod
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        """Build the body of a plain request; `request.model` is the model to name."""

    @abstractmethod
    def _transform_response(self, data: Any) -> LLMResponse | ChatResponse:
        """Read the parsed body of a plain answer."""

    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        """Build the body of a streamed request; `request.stream` is true."""
        return {**self._transform_request(request), "stream": True}

    def _read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
        """Build the error that a refused call means; every known shape is understood."""
        return parse_error(status, headers, body)

    def _parse_stream_chunk(self, data: Any) -> LLMChunk | str | None:
        """Read the parsed data of one server-sent event; None where it holds nothing of the answer."""
        raise NotImplementedError(data)

    def _make_stream_reader(self) -> ChunkReader | None:
        """Give what reads one stream; None where the dialect does not stream."""
        if "_parse_stream_chunk" not in _names_below(type(self)):
            return None
        return SimpleStreamReader(self._parse_stream_chunk)

    def _endpoint_for(self, request: LLMRequest) -> str:
        """Give the URL for one request, where the model or the streaming is part of it."""
        del request
        return self._get_endpoint()

    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        """Add credentials that depend on the request or expire: signatures, tokens, a query key."""
        del method, body
        auth = self._auth
        if auth.get("style") == "query" and self.config.api_key:
            joint = "&" if "?" in url else "?"
            key = quote(self.config.api_key, safe="")
            url = f"{url}{joint}{auth.get('parameter', 'key')}={key}"
        return url, headers

    def _structured_level(self, request: LLMRequest) -> str:
        """Give the best way that there is to ask the model of this request for structured output."""
        row = self._rules_for(self.get_effective_model(request.model)).row
        return str(row.get("structured_output") or "json_schema")

    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        """Name what the dialect has no place for; what the request does not set is passed over."""
        del request
        return ()

    # One call.

    async def _begin(self, request: LLMRequest) -> Call:
        """Choose the model, build the body, and note what the whole call may take."""
        self._require_configuration()
        model = self.get_effective_model(request.model)
        try:
            call = self._made(request, model)
        except LLMError as error:
            raise explain(error, self.config, model) from error.__cause__
        self._warn_unsupported(model, call.route.unsupported)
        self._check_context(call)
        if self._min_interval_s:
            await self._pace()
        return call

    def _made(self, request: LLMRequest, model: str) -> Call:
        """Say a request in the words of the model's dialect, and report what cannot be said.

        Raises:
            LLMError: something of it is refused.
        """
        rules, route = self._rules_for(model), Route()
        deadline = self._deadline(request)
        request = rules.adapt(request, route.unsupported)
        without = self._unsupported_parameters(request)
        if without:
            request = rules.leave_out(request, without, route.unsupported)
        schema = requested_schema(request)
        level = ""
        if schema is not None:
            best = "prompt" if "response_format" in without else self._structured_level(request)
            level = choose_level(request, best, rules, route.unsupported)
            request = ask_for_structure(request, level)
        asked = replace(request, model=model)
        call = Call(asked, model, self._endpoint_for(asked), schema, level, deadline, route=route)
        call.body = self._encoded(call)
        return call

    def _rules_for(self, model: str) -> ParameterRules:
        """Give what is known of a model's parameters; `row` is the row with the model's own rule."""
        rules = self._parameter_rules.get(model)
        if rules is None:
            if len(self._parameter_rules) >= _MODELS_KEPT:
                self._parameter_rules.clear()
            rules = self._parameter_rules[model] = make_rules(
                self.config.row,
                model,
                self._find_model(model),
                takes_cache_marks=self.takes_cache_marks,
            )
        return rules

    def _warn_unsupported(self, model: str, sentences: list[str]) -> None:
        """Log what could not be sent as asked, each thing once; the receipt has it every time."""
        if not sentences or self._rules_for(model).policy != "warn":
            return
        for sentence in sentences:
            if sentence not in self._warned and len(self._warned) < _MODELS_KEPT:
                self._warned.add(sentence)
                logger.warning("%s: %s", self.provider_name, sentence)

    def _encoded(self, call: Call) -> bytes:
        request = call.request
        make = self._transform_stream_request if request.stream else self._transform_request
        body = self._rules_for(call.model).finish(make(request), call.route.unsupported)
        encoded = codec.dumps(body)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: sending %s", self.provider_name, redact(encoded.decode()))
        return encoded

    async def _retried(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or is final; every try goes into the receipt."""

        def note(error: LLMError, delay_s: float | None) -> None:
            call.note(self.provider_name, error)
            logger.debug("%s; next try in %s s", error.message, delay_s)

        async def explained() -> T:
            call.try_started = time.perf_counter()
            try:
                return await attempt()
            except LLMError as error:
                explain(error, self.config, call.model)
                raise

        try:
            result = await call_with_retries(
                explained,
                policy=self._retry_policy,
                budget=self._retry_budget,
                deadline=call.deadline,
                attempt_timeout_s=self.config.timeout,
                clock=self._clock,
                on_failure=note,
            )
        except LLMError as error:
            error.attempts = tuple(call.route.attempts)
            raise
        call.note(self.provider_name, None)
        return result

    async def _attempt(self, call: Call) -> LLMResponse:
        """Make one try of a plain call."""
        reply = await self._send("POST", call.url, call.body, self.config.timeout, call.deadline)
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            return self._finished(self._assembled(reply.body), call)
        return self._finished(self._read_answer(reply.body), call)

    async def _open_stream(self, call: Call) -> OpenedStream:
        """Make one try of a streamed call: up to the first piece of the answer."""
        reader = self._make_stream_reader()
        if reader is None:
            whole = replace(call, request=replace(call.request, stream=False))
            whole.body = self._encoded(whole)
            return OpenedStream.of_whole(chunk_of(await self._attempt(whole)))
        url, headers = await self._authorize("POST", call.url, self._get_headers(), call.body)
        reply = await self._transport.open_stream(
            "POST", url, headers, call.body, timeout_s=self.config.timeout, deadline=call.deadline
        )
        try:
            return await self._first_piece(reply, reader, call)
        except BaseException:
            await reply.close()
            raise

    async def _first_piece(
        self, reply: StreamReply, reader: ChunkReader, call: Call
    ) -> OpenedStream:
        if reply.status >= 300:
            raise self._read_error(reply.status, reply.headers, await reply.read_all())
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        if is_json and not self.streams_json:
            # The host does not stream, or reports an error under a status of success.
            response = self._finished(self._read_answer(await reply.read_all()), call)
            await reply.close()
            return OpenedStream.of_whole(chunk_of(response))
        opened = OpenedStream(reply, reader, self.config.timeout)
        await opened.start()
        return opened

    async def _send(
        self, method: str, url: str, body: bytes | None, timeout_s: float, deadline: float | None
    ) -> Reply:
        """Send one request and give its answer.

        Raises:
            LLMError: the connection failed, or the status is not one of success.
        """
        url, headers = await self._authorize(method, url, self._get_headers(), body)
        reply = await self._transport.fetch(
            method, url, headers, body, timeout_s=timeout_s, deadline=deadline
        )
        if logger.isEnabledFor(logging.DEBUG):
            text = redact(reply.body.decode(errors="replace"))
            logger.debug("%s: received %s %s", self.provider_name, reply.status, text)
        if reply.status >= 300:
            raise self._read_error(reply.status, reply.headers, reply.body)
        return reply

    def _read_answer(self, body: bytes) -> LLMResponse:
        """Parse and read the body of a plain answer.

        Raises:
            ResponseFormatError: it is not JSON, or not this dialect's.
        """
        data = parse_json(body)
        try:
            answer = self._transform_response(data)
        except _SHAPE_ERRORS as exc:
            if isinstance(data, dict) and data.get("error"):
                raise parse_error_object(data) from exc
            msg = f"the answer has an unexpected shape: {type(exc).__name__} {exc}"
            raise ResponseFormatError(msg, code="unexpected_shape") from exc
        if isinstance(answer, ChatResponse):
            answer = _response_of(answer)
        if answer.raw_response is None:
            answer.raw_response = data
        return answer

    def _assembled(self, body: bytes) -> LLMResponse:
        """Read a stream that was not asked for as the one answer that it amounts to."""
        reader = self._make_stream_reader()
        if reader is None:
            msg = "the answer is a stream, which was not asked for"
            raise ResponseFormatError(msg, code="unexpected_stream")
        chunks = reader.feed(body) + reader.finish()
        if reader.error is not None:
            raise reader.error
        return assemble(chunks)

    def _finished(self, response: LLMResponse, call: Call) -> LLMResponse:
        """Complete what the dialect has read: provider, structure, tokens, money.

        Raises:
            ResponseFormatError: the answer is empty, or does not match the schema.
        """
        response.provider = self.provider_name
        response.confidence = self.config.confidence_score
        response.model = response.model or call.model
        response.route = call.route
        if call.schema is not None:
            read_structure(response, call.schema, call.level)
        if not response.content.strip() and not _may_be_empty(response):
            msg = "the answer is empty"
            raise ResponseFormatError(msg, code="empty_response")
        if response.input_tokens is None and response.output_tokens is None:
            response.estimated_usage = estimate_usage(call.request, response)
            response.usage_source = "estimated"
            response.tokens_used = response.usage["total_tokens"]
        else:
            self._learn(call, response.input_tokens)
        if response.cost_status != "actual":
            cost = self.price(call.model, response.estimated_usage or _tokens_of(response))
            response.cost_usd, response.cost_status = cost.usd, cost.status
        return response

    def _explain_interruption(self, error: LLMError, call: Call, text: str) -> LLMError:
        """Say that a stream broke after its beginning, which nobody may repeat unasked."""
        if isinstance(error, LLMConnectionError):
            cut = StreamInterruptedError(
                f"the stream broke off: {error.message}", code="stream_incomplete"
            )
            cut.__cause__ = error
            error = cut
        if isinstance(error, StreamInterruptedError):
            error.partial_text = text
        error.retryable = False
        call.route.attempts[-1].outcome = type(error).__name__
        error.attempts = tuple(call.route.attempts)
        return explain(error, self.config, call.model)

    # What a call needs.

    @property
    def _auth(self) -> Mapping[str, Any]:
        return self.config.row.get("auth") or self.default_auth

    def _url(self, endpoint: str, default: str) -> str:
        return self._absolute((self.config.row.get("endpoints") or {}).get(endpoint, default))

    def _absolute(self, path: str) -> str:
        """Give the URL of a path below the base URL; a whole address stays as it is."""
        return path if "://" in path else f"{self.config.base_url}{path}"

    def _has_key(self) -> bool:
        needed = self.config.row.get("api_key_var") is not None
        return (
            bool(self.config.api_key)
            or not needed
            or bool(self.config.row.get("api_key_optional"))
        )

    def _require_configuration(self) -> None:
        for present, field, what in (
            (bool(self.config.base_url), "base_url_var", "address"),
            (self._has_key(), "api_key_var", "key"),
        ):
            if not present:
                variable = first_variable(self.config, field)
                remedy = f"set {variable} in .env" if variable else f"pass {field[:-4]}=…"
                msg = f"{self.provider_name} has no {what}: {remedy}."
                raise ProviderNotConfiguredError(msg, provider=self.provider_name)

    def _deadline(self, request: LLMRequest) -> float | None:
        limit_s = request.timeout if request.timeout is not None else self.config.call_timeout_s
        if limit_s is None:
            limit_s = STREAM_TOTAL_S if request.stream else None
        return None if limit_s is None else self._clock.monotonic() + limit_s

    async def _pace(self) -> None:
        """Keep the row's least interval between the starts of two calls."""
        now = self._clock.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + self._min_interval_s
        if start > now:
            await self._clock.sleep(start - now)

    def _check_context(self, call: Call) -> None:
        """Refuse a prompt that cannot fit, before it is sent.

        Raises:
            ContextLengthError: the estimate exceeds the model's window by more than its error.
        """
        limit = self._context_window(call.model)
        # A token is at least a byte, so that most prompts need no estimate.
        if limit is None or len(call.body) <= limit:
            return
        estimated = estimate_prompt_tokens(call.request)
        if ratio := self._token_ratios.get(call.model):
            estimated = ratio.correct(estimated)
        if estimated <= limit * _ESTIMATE_MARGIN:
            return
        error = ContextLengthError(
            f"the prompt has about {estimated} tokens, {call.model} takes {limit}",
            code="context_length_exceeded",
            estimated_tokens=estimated,
            limit_tokens=limit,
        )
        raise explain(error, self.config, call.model)

    def _learn(self, call: Call, reported_tokens: int | None) -> None:
        """Compare a reported prompt with its estimate, now and then, for the models with a window."""
        if reported_tokens is None or self._context_window(call.model) is None:
            return
        ratio = self._token_ratios.get(call.model)
        if ratio is None:
            ratio = self._token_ratios[call.model] = TokenRatio()
        if ratio.wants_sample(len(call.body)) and not has_attachments(call.request):
            ratio.add(estimate_prompt_tokens(call.request), reported_tokens)

    def _context_window(self, model: str) -> int | None:
        if model not in self._context_windows:
            self._context_windows[model] = self._find_context_window(model)
        return self._context_windows[model]

    def _find_context_window(self, model: str) -> int | None:
        for entry in self.config.row.get("models") or ():
            if (
                isinstance(entry, dict)
                and entry.get("name") == model
                and "context_length" in entry
            ):
                return int(entry["context_length"])
        info = self._find_model(model)
        return None if info is None else info.context_window

    # Models and keys.

    def _models_url(self) -> str | None:
        endpoint = self.config.row.get("models_endpoint", {"path": "/models"})
        return None if endpoint is None else self._absolute(endpoint["path"])

    def _model_id_path(self) -> str | None:
        """Give where the names are in a model list (`models[].name`); None looks in the usual places."""
        path: str | None = (self.config.row.get("models_endpoint") or {}).get("id_path")
        return path

    async def _fetch_model_ids(self, timeout_s: float) -> list[str]:
        """Ask the provider's model list.

        Raises:
            LLMError: it has none, or did not answer.
        """
        self._require_configuration()
        url = self._models_url()
        if url is None:
            msg = f"{self.provider_name} has no list of models"
            raise ConfigurationError(msg, provider=self.provider_name, code="no_model_list")
        try:
            reply = await self._send("GET", url, None, timeout_s, None)
            return model_ids_from_wire(parse_json(reply.body), self._model_id_path())
        except LLMError as error:
            explain(error, self.config, None)
            raise

    async def _check_key_by_asking(self) -> None:
        request = LLMRequest([LLMMessage(role="user", content="Hi")], max_tokens=1)
        call = await self._begin(request)
        try:
            await self._send("POST", call.url, call.body, KEY_CHECK_TIMEOUT_S, None)
        except LLMError as error:
            explain(error, self.config, call.model)
            raise


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


def _names_below(kind: type) -> set[str]:
    """Give the names that subclasses of `HTTPProvider` define."""
    below = kind.__mro__[: kind.__mro__.index(HTTPProvider)]
    return {name for cls in below for name in vars(cls)}


def parse_json(body: bytes) -> Any:
    """Parse the body of an answer.

    Raises:
        ResponseFormatError: it is empty, or not strict JSON.
    """
    if not body.strip():
        msg = "the answer has no body"
        raise ResponseFormatError(msg, code="empty_response")
    try:
        return codec.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as exc:
        what = "HTML" if body.lstrip()[:1] == b"<" else "not valid JSON"
        msg = f"the answer is {what}"
        raise ResponseFormatError(msg, code="invalid_json") from exc


def _may_be_empty(response: LLMResponse) -> bool:
    """Tell whether an answer without text is still an answer."""
    said_otherwise = response.tool_calls or response.refusal or response.parsed is not None
    # Thinking without an answer has been paid for, and a stream gives it as well.
    thought = response.reasoning or response.reasoning_details
    return bool(said_otherwise or thought) or response.finish_reason in ("length", "content_filter")


def _tokens_of(response: LLMResponse) -> Usage:
    return Usage(
        response.input_tokens,
        response.output_tokens,
        response.cache_read_tokens,
        response.cache_write_tokens,
    )


def _response_of(answer: ChatResponse) -> LLMResponse:
    inward, outward = answer.usage["input_tokens"], answer.usage["output_tokens"]
    return LLMResponse(
        answer.content,
        0.0,
        answer.provider,
        answer.model,
        inward + outward,
        0,
        finish_reason="stop",
        input_tokens=inward,
        output_tokens=outward,
        usage_source="reported",
    )
