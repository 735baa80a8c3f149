"""Servers on one's own machine or network: Ollama, vLLM, llama.cpp, LM Studio, TGI and the like.

Nearly all of them speak OpenAI's chat API, so that is asked for first.  What a server speaks is found
by asking it once, never from its name or port, and remembered.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    LLMError,
    LLMTimeoutError,
    PermissionDeniedError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.providers.llamacpp_provider import LlamaCppProvider
from faultmaven.infrastructure.llm.providers.ollama_provider import OllamaProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.remedy import explain
from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
    from faultmaven.infrastructure.llm.types import EmbeddingResponse, LLMChunk, LLMResponse

PROBE_TIMEOUT_S = 10.0


class LocalProvider(OpenAIProvider):
    """A server without a price: OpenAI's API, else Ollama's own, else llama.cpp's raw completion.

    The address is taken with or without `/v1`.  Without a configured model the server's first one
    is used.
    """

    wire_format: ClassVar[str | None] = "openai_chat"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # What speaks to the server; None until it has been asked.
        self._speaker: HTTPProvider | None = None
        self._listed: list[str] = []

    @override
    def is_available(self) -> bool:
        """Tell whether there is an address; model and key may be left out."""
        return bool(self.config.base_url) and self._has_key()

    @override
    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        """Tell whether the server is known to speak the client's API."""
        knows = self._is_ready() and self._speaker is self
        return knows and super().can_forward(wire_format, body)

    @override
    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer a request object; the first one finds out what the server speaks."""
        request = await self._ready(request)
        speaker = self._speaker
        if speaker is None or speaker is self:
            return await super().complete(request)
        return await speaker.complete(request)

    @override
    async def stream_complete(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        """Answer a request object piece by piece."""
        request = await self._ready(request)
        speaker = self._speaker
        if speaker is None or speaker is self:
            chunks = super().stream_complete(request)
        else:
            chunks = speaker.stream_complete(request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    @override
    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in order."""
        await self._ready(LLMRequest([]))
        speaker = self._speaker
        if speaker is None or speaker is self:
            return await super().embed(texts, model, dimensions)
        return await speaker.embed(texts, model, dimensions)

    @override
    def calculate_cost(
        self, model: str, input_tokens: int, output_tokens: int, **details: int
    ) -> float | None:
        """Price a call: what runs here costs nothing, unless the row says that it is not local."""
        if self.config.row.get("local", True):
            return 0.0
        return super().calculate_cost(model, input_tokens, output_tokens, **details)

    @override
    async def _fetch_model_ids(self, timeout_s: float) -> list[str]:
        if not self._is_ready():
            await self._ready(LLMRequest([], timeout=timeout_s))
            if self._listed:
                return self._listed  # the server has just given it, to say what it speaks
        speaker = self._speaker
        if speaker is None or speaker is self:
            return await super()._fetch_model_ids(timeout_s)
        return await speaker._fetch_model_ids(timeout_s)  # noqa: SLF001 - the same hook

    async def _ready(self, request: LLMRequest) -> LLMRequest:
        """See to it that the server can be spoken to; give the request with the time left to it.

        Raises:
            LLMError: nothing answers at the address.
        """
        if self._is_ready():
            return request
        limit_s = request.timeout if request.timeout is not None else self.config.call_timeout_s
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                await self._make_ready()
        except TimeoutError:
            msg = f"the server was not ready within the call's {limit_s:g} s"
            error = LLMTimeoutError(msg, code="deadline_exceeded")
            raise explain(error, self.config, request.model) from None
        if limit_s is None:
            return request
        return replace(request, timeout=max(0.001, limit_s - self._clock.monotonic() + started))

    def _is_ready(self) -> bool:
        return self._speaker is not None

    async def _make_ready(self) -> None:
        self._require_configuration()
        call = Call(LLMRequest([]), self.get_effective_model(None), self.config.base_url or "")
        self._speaker = await self._retried(call, self._find_speaker)

    async def _find_speaker(self) -> HTTPProvider:
        """Ask the server what it speaks, the most common first."""
        given = self.config.base_url or ""
        root = given.removesuffix("/v1").removesuffix("/api")
        for base_url in dict.fromkeys((given, f"{root}/v1")):
            if (models := await self._listed_models(f"{base_url}/models")) is not None:
                return self._speak_openai(base_url, models)
        if "version" in await self._probe(f"{root}/api/version"):
            models = await self._listed_models(f"{root}/api/tags") or []
            return self._speak(OllamaProvider, root, models)
        if "default_generation_settings" in await self._probe(f"{root}/props"):
            return self._speak(LlamaCppProvider, root, [])
        # It answers, but says nothing of itself: a bare host is taken to keep OpenAI's path.
        return self._speak_openai(given if urlsplit(given).path else f"{root}/v1", [])

    def _speak_openai(self, base_url: str, models: list[str]) -> HTTPProvider:
        self._configure(base_url, models)
        return self

    def _speak(self, dialect: type[HTTPProvider], root: str, models: list[str]) -> HTTPProvider:
        self._configure(root, models)
        config = replace(self.config, row={"local": True, **self.config.row})
        speaker = dialect(config, transport=self._transport, clock=self._clock)
        speaker.circuits = self.circuits
        speaker.max_partial_bytes = self.max_partial_bytes
        return speaker

    def _configure(self, base_url: str, models: list[str]) -> None:
        self._listed = models
        self.config = replace(
            self.config, base_url=base_url, models=self.config.models or models[:1]
        )

    async def _listed_models(self, url: str) -> list[str] | None:
        """Give the models listed at an address; None where there is no such list."""
        try:
            answer = await self._probe(url)
        except (AuthenticationError, PermissionDeniedError):
            return []  # the path is there; the call itself will say what is wrong with the key
        try:
            return model_ids_from_wire(answer)
        except ResponseFormatError:
            return None

    async def _probe(self, url: str) -> dict[str, Any]:
        """Get a JSON object; `{}` where the server has none at this path.

        Raises:
            LLMError: no connection, a key is wanted, or the server cannot answer at the moment.
        """
        try:
            reply = await self._send("GET", url, None, PROBE_TIMEOUT_S, None)
            answer = parse_json(reply.body)
        except ResponseFormatError:
            return {}
        except (AuthenticationError, PermissionDeniedError):
            raise
        except LLMError as error:
            if error.retryable:
                raise
            return {}
        return answer if isinstance(answer, dict) else {"data": answer}
