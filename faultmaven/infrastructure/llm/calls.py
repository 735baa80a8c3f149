"""The shortest way to an answer: four functions, blocking or not, over the process's registry."""

from __future__ import annotations

import asyncio
import atexit
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from faultmaven.infrastructure.llm.providers.registry import get_registry

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
    )

    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse

    Prompt = str | Iterable[Mapping[str, Any]]

T = TypeVar("T")

_CLOSE_TIMEOUT_S = 10.0


async def acomplete(
    prompt: Prompt, *, provider: str | None = None, role: str | None = None, **options: Any
) -> LLMResponse:
    """Answer a prompt or a conversation.

    Args:
        prompt: text, or OpenAI-shaped messages.
        provider: a row's name: that provider and no other; None takes CHAT_PROVIDER and, where it
            fails, FALLBACK_PROVIDERS.
        role: synthesis, classifier, code or multimodal: the provider configured for that work.
        **options: as for `BaseLLMProvider.generate`.

    Raises:
        LLMError: see `faultmaven.infrastructure.llm.errors`.
    """
    registry = get_registry()
    if provider is not None or role is not None:
        return await registry.get_provider(provider, role=role).generate(prompt, **options)
    return await registry.route_request(prompt, **options)


async def astream(
    prompt: Prompt, *, provider: str | None = None, role: str | None = None, **options: Any
) -> AsyncGenerator[LLMChunk, None]:
    """Answer piece by piece; as `acomplete`.  Closing the iterator cancels the call."""
    registry = get_registry()
    if provider is not None or role is not None:
        chunks = registry.get_provider(provider, role=role).stream(prompt, **options)
    else:
        chunks = registry.stream_route(prompt, **options)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def complete(
    prompt: Prompt, *, provider: str | None = None, role: str | None = None, **options: Any
) -> LLMResponse:
    """Answer a prompt, blocking until the answer is there; as `acomplete`.

    Works in scripts and in notebooks, whether or not an event loop runs in this thread.
    """
    return _LOOP.run(acomplete(prompt, provider=provider, role=role, **options))


def stream(
    prompt: Prompt, *, provider: str | None = None, role: str | None = None, **options: Any
) -> Iterator[LLMChunk]:
    """Answer piece by piece, blocking for each; as `acomplete`.  Closing it cancels the call."""
    chunks = astream(prompt, provider=provider, role=role, **options)
    try:
        while (chunk := _LOOP.run(_next(chunks))) is not None:
            yield chunk
    finally:
        _LOOP.run(_close(chunks))


def close() -> None:
    """Close the connections and engines that blocking calls opened; a later call opens them again.

    At the end of the process this happens by itself.
    """
    if _LOOP.has_started:
        _LOOP.run(get_registry().close())


class _LoopThread:
    """An event loop in a thread of its own, started when the first blocking call is made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_started(self) -> bool:
        """Tell whether any blocking call has been made."""
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine to run on the loop; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="faultmaven-calls", daemon=True
                )
                thread.start()
                atexit.register(self._stop, self._loop, thread)
            return self._loop

    def _stop(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_TIMEOUT_S)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _next(chunks: AsyncIterator[LLMChunk]) -> LLMChunk | None:
    return await anext(chunks, None)


async def _close(chunks: Any) -> None:
    await chunks.aclose()


_LOOP = _LoopThread()
