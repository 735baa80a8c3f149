"""A provider that answers with what it was told: no model, no network, always the same."""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider, elapsed_ms
from faultmaven.infrastructure.llm.types import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    Attempt,
    EmbeddingResponse,
    LLMChunk,
    LLMResponse,
    Route,
    ToolCall,
    ToolCallDelta,
    Usage,
    make_request,
)
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.example import example_of
from faultmaven.infrastructure.llm.wire.structured import read_structure, requested_schema

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from faultmaven.infrastructure.llm.providers.base import Prompt
    from faultmaven.infrastructure.llm.types import FinishReason, LLMRequest

PREFIX = "Echo (no model): "
MODEL = "echo"
VECTOR_LENGTH = 16

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])\s*")


class EchoProvider(BaseLLMProvider):
    """Repeats the last thing said, and says that it does; for tests and for trying things out.

    With tools it calls the first (or the forced) one, with a schema it answers the smallest value
    that fits, with `max_tokens` it stops there.  A token is a word or a punctuation mark.
    """

    @property
    @override
    def provider_name(self) -> str:
        """The row's name."""
        return self.config.name or "echo"

    @override
    def is_available(self) -> bool:
        """Always: it needs nothing."""
        return True

    @override
    def get_supported_models(self) -> list[str]:
        """Give the configured models, else the one name that it goes by."""
        return list(self.config.models) or [MODEL]

    @override
    async def generate(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> LLMResponse:
        """Answer with the prompt; see `BaseLLMProvider.generate`."""
        return await self.complete(make_request(prompt, model, max_tokens, temperature, kwargs))

    @override
    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer a request object."""
        started = time.perf_counter()
        calls = _tool_calls(request)
        text = "" if calls else _text_for(request)
        tokens = _TOKEN.findall(text)
        finish: FinishReason = "tool_calls" if calls else "stop"
        if request.max_tokens is not None and len(tokens) > request.max_tokens:
            text, finish = "".join(tokens[: request.max_tokens]), "length"
        usage = _usage(request, text, calls)
        model = request.model or self.get_supported_models()[0]
        duration_ms = elapsed_ms(started)
        attempt = Attempt(self.provider_name, model, "ok", duration_ms)
        response = LLMResponse(
            text,
            self.config.confidence_score,
            self.provider_name,
            model,
            (usage.input_tokens or 0) + (usage.output_tokens or 0),
            duration_ms,
            tool_calls=calls,
            finish_reason=finish,
            finish_reason_raw=finish,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usage_source="reported",
            cost_usd=0.0,
            response_id=f"echo-{_digest(text, 4).hex()}",
            route=Route(attempts=[attempt]),
        )
        schema = requested_schema(request)
        if schema is not None and not calls:
            read_structure(response, schema, "json_schema")
        return response

    @override
    async def stream(
        self,
        prompt: Prompt,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        temperature: float | None = DEFAULT_TEMPERATURE,
        **kwargs: Any,
    ) -> AsyncGenerator[LLMChunk, None]:
        """Answer word by word."""
        request = make_request(prompt, model, max_tokens, temperature, kwargs)
        async for chunk in self.stream_complete(request):
            yield chunk

    @override
    async def stream_complete(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        """Answer a request object word by word."""
        response = await self.complete(request)
        for word in _TOKEN.findall(response.content):
            yield LLMChunk(text=word)
        for index, call in enumerate(response.tool_calls):
            delta = ToolCallDelta.make(index, call.id, call.name, call.arguments_raw)
            yield LLMChunk(tool_calls=[delta])
        yield LLMChunk(
            finish_reason=response.finish_reason,
            finish_reason_raw=response.finish_reason_raw,
            usage=Usage(response.input_tokens, response.output_tokens),
            model=response.model,
            response_id=response.response_id,
        )

    @override
    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors of their digests: the same text gives the same vector."""
        length = dimensions or VECTOR_LENGTH
        vectors = [[byte / 255 for byte in _digest(text, length)] for text in texts]
        tokens = sum(len(_TOKEN.findall(text)) for text in texts)
        return EmbeddingResponse(vectors, model or self.get_supported_models()[0], tokens, 0.0)

    @override
    def calculate_cost(
        self, model: str, input_tokens: int, output_tokens: int, **details: int
    ) -> float | None:
        """Price a call: it costs nothing."""
        return 0.0


def _text_for(request: LLMRequest) -> str:
    schema = requested_schema(request)
    if schema is not None:
        return codec.dumps(example_of(schema or {"type": "object"})).decode()
    text = PREFIX + _last_text(request)
    places = [text.find(stop, len(PREFIX)) for stop in content.stop_list(request)]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def _last_text(request: LLMRequest) -> str:
    for message in reversed(request.messages):
        if message.role in ("user", "tool") and (text := content.text_of(message.content)):
            return text
    return "nothing was said"


def _tool_calls(request: LLMRequest) -> list[ToolCall]:
    functions = content.functions_of(request)
    answered = bool(request.messages) and request.messages[-1].role == "tool"
    if not functions or answered or request.tool_choice == "none":
        return []
    forced = content.forced_tool(request)
    chosen = next((f for f in functions if f.get("name") == forced), functions[0])
    name = str(chosen.get("name"))
    arguments = codec.dumps(example_of(chosen.get("parameters") or {"type": "object"})).decode()
    return [ToolCall.make(content.make_call_id(0, name, arguments), name, arguments)]


def _usage(request: LLMRequest, text: str, calls: list[ToolCall]) -> Usage:
    said = [request.system_prompt or ""]
    said += [content.text_of(message.content) for message in request.messages]
    answered = [text, *(call.arguments_raw for call in calls)]
    return Usage(*(sum(len(_TOKEN.findall(t)) for t in texts) for texts in (said, answered)))


def _digest(text: str, length: int) -> bytes:
    return hashlib.shake_256(text.encode(errors="replace")).digest(length)
