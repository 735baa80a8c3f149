"""When a provider that was replaced may be closed: as soon as no request can be using it any more.

Requests are counted by the configuration that they began under, one number for all of them.  A
replaced provider is closed when those that began before its end have ended, which costs a request two
additions and a stream's pieces nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider

logger = logging.getLogger("faultmaven.gateway")


class Era:
    """The time between two changes of the configuration.

    Attributes:
        requests: how many that began in it are still being answered.
        is_over: a later one has begun.
    """

    __slots__ = ("is_over", "replaced", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.is_over = False
        self.replaced: list[BaseLLMProvider] = []


class Eras:
    """The eras of one gateway.

    Attributes:
        now: the present one.
    """

    def __init__(self) -> None:
        self.now = Era()
        self._past: deque[Era] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    def turn(self, replaced: Iterable[BaseLLMProvider]) -> None:
        """Begin another era; whatever it has replaced is closed when nobody can be using it."""
        self.now.replaced += replaced
        self.now.is_over = True
        self._past.append(self.now)
        self.now = Era()
        self.settle()

    def settle(self) -> None:
        """Close what was replaced in past eras whose requests have all ended."""
        while self._past and not self._past[0].requests:
            replaced = self._past.popleft().replaced
            if replaced:
                task = asyncio.create_task(close_all(replaced), name="faultmaven-close-replaced")
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close what is left, whoever uses it."""
        left = [provider for era in self._past for provider in era.replaced]
        self._past.clear()
        await close_all(left)
        await asyncio.gather(*self._closing)


async def close_all(providers: Iterable[BaseLLMProvider]) -> None:
    """Close providers, each whatever befalls the others."""
    for provider in providers:
        try:
            await provider.close()
        except Exception:
            # A class of somebody else's may raise anything.
            logger.warning("%s could not be closed", provider.provider_name, exc_info=True)
