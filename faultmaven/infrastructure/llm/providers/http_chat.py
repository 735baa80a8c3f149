"""One chat over HTTP: a dialect's transforms, and everything around them.

A dialect says where to send (`_get_endpoint`), how a request becomes a body (`_transform_request`) and
how an answer is read (`_transform_response`, and for streams `_make_stream_reader` or
`_parse_stream_chunk`).  From here it gets one deadline for all tries, streams that end cleanly,
structured output that is validated, parameters that are resolved for each model, and cost.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    InvalidRequestError,
    LLMConnectionError,
    LLMError,
    ResponseFormatError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.http.peeked_reply import PeekedReply
from faultmaven.infrastructure.llm.providers.base import KEY_CHECK_TIMEOUT_S, elapsed_ms
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_service import HTTPService, parse_json
from faultmaven.infrastructure.llm.providers.opened_stream import OpenedStream
from faultmaven.infrastructure.llm.providers.remedy import explain
from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK
from faultmaven.infrastructure.llm.secret import redact
from faultmaven.infrastructure.llm.tokens import count_prompt_tokens
from faultmaven.infrastructure.llm.types import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    ChatResponse,
    LLMChunk,
    LLMMessage,
    LLMRequest,
    LLMResponse,
    Route,
    make_request,
)
from faultmaven.infrastructure.llm.wire.answer import chunk_of, told_usage
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.body_kind import EVENT_STREAM, JSON, holds_events
from faultmaven.infrastructure.llm.wire.context_window import ContextWindows
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.estimate import estimate_usage
from faultmaven.infrastructure.llm.wire.foreign import foreign_tools
from faultmaven.infrastructure.llm.wire.parameters import ParameterRules, make_rules
from faultmaven.infrastructure.llm.wire.partial_text import MOST_BYTES, PartialText
from faultmaven.infrastructure.llm.wire.simple_stream import SimpleStreamReader
from faultmaven.infrastructure.llm.wire.structured import (
    ask_for_structure,
    choose_level,
    read_structure,
    refuses_structure,
    requested_schema,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.http import StreamReply, Transport
    from faultmaven.infrastructure.llm.providers.base import Prompt
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.retry import Clock
    from faultmaven.infrastructure.llm.wire.stream import ChunkReader

T = TypeVar("T")

logger = logging.getLogger("faultmaven.providers")

# Model names are a client's to invent: what is kept for them stays bounded.
_MODELS_KEPT = 512

# What reading an answer of an unexpected shape raises in a transform.
_SHAPE_ERRORS = (KeyError, IndexError, TypeError, AttributeError, ValueError)

# What streams call themselves; Amazon's and Ollama's are no server-sent events.
_STREAMS = (
    EVENT_STREAM,
    "application/vnd.amazon.eventstream",
    "application/stream+json",
    "application/x-ndjson",
)

# What the log shows of a stream.
_LOGGED = (
    "content", "reasoning", "tool_calls", "refusal", "media", "finish_reason_raw", "input_tokens",
    "output_tokens", "model", "response_id",
)  # fmt: skip


class HTTPChat(HTTPService):
    """A provider that chats; see the module's docstring for what a dialect overrides.

    Attributes:
        max_event_bytes: of one event of a stream, None for the dialect's own limit.
        max_partial_bytes: of a stream's text, kept for the error if it breaks off.
    """

    # Whether `cache_control` may stand in what this class posts, where the row does not say.
    takes_cache_marks: ClassVar[bool] = True

    # Whose tools, which nobody else can run, this class may post; see `foreign_tools`.
    own_tools: ClassVar[str] = ""

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
        super().__init__(config, transport=transport, clock=clock, **settings)
        limits: Mapping[str, Any] = self.config.row.get("limits") or {}
        self.max_event_bytes: int | None = limits.get("max_event_bytes")
        self.max_partial_bytes = MOST_BYTES
        self._windows = ContextWindows(self.config.row, self._find_model, count_prompt_tokens)
        self._parameter_rules: dict[str, ParameterRules] = {}
        self._warned: set[str] = set()

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
        _, response = await self._answered(request, self._attempt)
        response.response_time_ms = elapsed_ms(started)
        return response

    async def stream_complete(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        """Answer a request object piece by piece.

        Tries are repeated only until the first piece is there; later the stream ends in an error.

        Raises:
            StreamInterruptedError: the connection broke; `partial_text` is what had come, its first 128 KiB.
            ResponseFormatError: the whole answer, now that it is there, does not match the schema.
            LLMError: as for `complete`, or what the provider reported within the stream.
        """
        call, opened = await self._answered(replace(request, stream=True), self._open_stream)
        text = PartialText(self.max_partial_bytes)
        kept: list[LLMChunk] = []
        receipt: Route | None = call.route
        is_logged = logger.isEnabledFor(logging.DEBUG)
        keeps = call.schema is not None or is_logged
        try:
            async for chunk in opened:
                if receipt is not None:
                    chunk.route, receipt = receipt, None
                if chunk.text:
                    text.add(chunk.text)
                if chunk.finish_reason or chunk.usage is not None:
                    self._complete_last(chunk, call)
                if keeps:
                    kept.append(chunk)
                yield chunk
            if call.schema is not None:
                read_structure(assemble(kept), call.schema, call.level)
            call.passage.succeeded()
        except LLMError as error:
            explained = self._explain_interruption(error, call, str(text))
            call.passage.failed(explained)
            if explained is error:
                raise
            raise explained from error
        finally:
            if is_logged:
                self._log_stream(kept)
            await opened.close()

    def _complete_last(self, chunk: LLMChunk, call: Call) -> None:
        """Add to the end of a stream what the dialect cannot know, and learn from it."""
        if chunk.usage is not None:
            told = chunk.usage.input_tokens
            self._windows.learn(call.request, call.model, len(call.body), told)
        chunk.unsupported = call.route.unsupported or chunk.unsupported
        chunk.model = chunk.model or call.model

    def _log_stream(self, chunks: list[LLMChunk]) -> None:
        """Log a stream when it is over: a key that came in two pieces is masked only then."""
        answer = assemble(chunks).to_dict()
        said = {name: value for name in _LOGGED if (value := answer[name])}
        text = redact(codec.dumps_mended(said).decode())
        logger.debug("%s: received in %s pieces %s", self.provider_name, len(chunks), text)

    def _get_endpoint(self) -> str:
        """Give the URL that chats are posted to."""
        return self._url("chat", "/chat/completions")

    @abstractmethod
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        """Build the body of a plain request; `request.model` is the model to name."""

    @abstractmethod
    def _transform_response(self, data: Any) -> LLMResponse | ChatResponse:
        """Read the parsed body of a plain answer."""

    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        """Build the body of a streamed request; `request.stream` is true."""
        return {**self._transform_request(request), "stream": True}

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

    def _structured_level(self, request: LLMRequest) -> str:
        """Give the best way that there is to ask the model of this request for structured output."""
        row = self._rules_for(self.get_effective_model(request.model)).row
        return str(row.get("structured_output") or "json_schema")

    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        """Name what the dialect has no place for; what the request does not set is passed over."""
        del request
        return ()

    async def _answered(
        self, request: LLMRequest, attempt: Callable[[Call], Awaitable[T]]
    ) -> tuple[Call, T]:
        """Make a call; where the model turns out not to take schemas, ask for the structure otherwise."""
        call = await self._begin(request)
        try:
            return call, await self._retried(call, lambda: attempt(call))
        except InvalidRequestError as error:
            rules = self._rules_for(call.model)
            if rules.policy == "error" or not refuses_structure(error, call.level):
                raise
            self._parameter_rules[call.model] = replace(rules, takes_schemas=False)
        again = await self._begin(request)
        again.deadline = call.deadline
        again.route.attempts[:0] = call.route.attempts
        return again, await self._retried(again, lambda: attempt(again))

    async def _begin(self, request: LLMRequest) -> Call:
        """Choose the model, build the body, and note what the whole call may take."""
        self._require_configuration()
        model = self.get_effective_model(request.model)
        self._require_model(model)
        try:
            call = self._made(request, model)
            self._windows.check(call.request, model, len(call.body))
        except LLMError as error:
            raise explain(error, self.config, model) from error.__cause__
        self._warn_unsupported(model, call.route.unsupported)
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
        if request.tools:
            foreign = foreign_tools(request, self.own_tools)
            request = rules.leave_out_tools(request, foreign, route.unsupported)
        schema = requested_schema(request)
        level = ""
        if schema is not None:
            best = "prompt" if "response_format" in without else self._structured_level(request)
            level = choose_level(request, best, rules, route.unsupported)
            request = rules.without_system(ask_for_structure(request, level))
        if request.stream and not rules.takes_stream:
            rules.refuse_stream(route.unsupported)
        asked = request if request.model == model else replace(request, model=model)
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

    def _vector_length(
        self, dimensions: int | None, model: str, report: list[str], *, can: bool = True
    ) -> int | None:
        """Give the length of vectors to ask for; what cannot be chosen goes into the report.

        Raises:
            UnsupportedParameterError: it cannot be chosen, and the policy is "error".
        """
        described: Mapping[str, Any] = self.config.row.get("embeddings") or {}
        if dimensions is None or (can and described.get("dimensions", True)):
            return dimensions
        self._rules_for(model).refuse("dimensions", report)
        self._warn_unsupported(model, report)
        return None

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
        encoded = self._written(body)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: sending %s", self.provider_name, redact(encoded.decode()))
        return encoded

    async def _attempt(self, call: Call) -> LLMResponse:
        """Make one try of a plain call."""
        reply = await self._send("POST", call.url, call.body, self.config.timeout, call.deadline)
        if holds_events(reply.body):
            response = self._finished(self._assembled(reply.body), call)
            call.route.oddity = "streamed"
            return response
        response = self._finished(self._read_answer(reply.body), call)
        if not reply.headers.get("content-type", "").startswith(JSON):
            call.route.oddity = "content_type"
        return response

    async def _open_stream(self, call: Call) -> OpenedStream:
        """Make one try of a streamed call: up to the first piece of the answer."""
        reader = self._limited_reader() if self._rules_for(call.model).takes_stream else None
        if reader is None:
            whole = replace(call, request=replace(call.request, stream=False))
            whole.body = self._encoded(whole)
            return OpenedStream.of_whole(chunk_of(await self._attempt(whole)))
        url, headers = await self._authorize("POST", call.url, self._get_headers(), call.body)
        reply = await self._transport.open_stream(
            "POST",
            url,
            headers,
            call.body,
            timeout_s=self.config.timeout,
            deadline=self._instant(call.deadline),
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
            body = await reply.read_all()
            self._log_received(reply.status, body)
            raise self._read_error(reply.status, reply.headers, body)
        kind = reply.headers.get("content-type", "")
        is_json = kind.startswith(JSON) and not self.streams_json
        if is_json or kind.startswith("text/html"):
            start = await reply.read()
            reply = PeekedReply(reply, start)
            if not holds_events(start):
                # The host does not stream, reports an error under a status of success, or is no API.
                response = self._finished(self._read_answer(await reply.read_all()), call)
                await reply.close()
                call.route.oddity = "not_streamed"
                return OpenedStream.of_whole(chunk_of(response))
        opened = OpenedStream(reply, reader, self.config.timeout)
        await opened.start()
        if not self.streams_json and not kind.startswith(_STREAMS):
            call.route.oddity = "content_type"
        return opened

    def _limited_reader(self) -> ChunkReader | None:
        """Give what reads one stream, with the row's limit for its events."""
        reader = self._make_stream_reader()
        if reader is not None and self.max_event_bytes is not None:
            reader.limit_events(self.max_event_bytes)
        return reader

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
        reader = self._limited_reader()
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
            told = response.input_tokens
            self._windows.learn(call.request, call.model, len(call.body), told)
        if response.cost_status != "actual":
            cost = self.price(call.model, response.estimated_usage or told_usage(response))
            response.cost_usd, response.cost_status = cost.usd, cost.status
        return response

    def _explain_interruption(self, error: LLMError, call: Call, text: str) -> LLMError:
        """Say that a stream broke after its beginning, which nobody may repeat unasked."""
        if isinstance(error, LLMConnectionError):
            why = error.message.removeprefix(f"{self.provider_name}: ")
            cut = StreamInterruptedError(f"the stream broke off: {why}", code="stream_incomplete")
            cut.__cause__ = error
            error = cut
        if isinstance(error, StreamInterruptedError):
            error.partial_text = text
        error.retryable = False
        call.route.attempts[-1].outcome = type(error).__name__
        error.attempts = tuple(call.route.attempts)
        return explain(error, self.config, call.model)

    async def _check_key_by_asking(self) -> None:
        request = LLMRequest([LLMMessage(role="user", content="Hi")], max_tokens=1)
        call = await self._begin(request)
        try:
            await self._send("POST", call.url, call.body, KEY_CHECK_TIMEOUT_S, None)
        except LLMError as error:
            explain(error, self.config, call.model)
            raise


def _names_below(kind: type) -> set[str]:
    """Give the names that subclasses of `HTTPChat` define."""
    below = kind.__mro__[: kind.__mro__.index(HTTPChat)]
    return {name for cls in below for name in vars(cls)}


def _may_be_empty(response: LLMResponse) -> bool:
    """Tell whether an answer without text is still an answer."""
    said_otherwise = response.tool_calls or response.refusal or response.parsed is not None
    # Thinking without an answer has been paid for, and a stream gives it as well.
    thought = response.reasoning or response.reasoning_details
    return bool(said_otherwise or thought or response.media) or response.finish_reason in (
        "length",
        "content_filter",
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
