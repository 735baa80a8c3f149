"""Taking a changed configuration into a running gateway.

All of it is taken or nothing: the providers' rows, the names of models, the gateway's own options.  It
is read in a thread; the requests that are being answered go on with what they began with.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.not_in_force import in_settings
from faultmaven.config.reload import INTERVAL_S, Watcher
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers.factory import build_own_provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.config.reload import State
    from faultmaven.config.settings import Settings
    from faultmaven.gateway.options import GatewayOptions
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
    from faultmaven.infrastructure.llm.router.names import NameTable

logger = logging.getLogger("faultmaven.gateway")

TAKEN: Final = "taken"
REFUSED: Final = "refused"


class Served(Protocol):
    """A gateway, as far as a reload concerns it."""

    registry: ProviderRegistry
    options: GatewayOptions

    def make_names(self) -> NameTable:
        """Read the registry's names; may be called from a thread."""
        ...

    def take(self, options: GatewayOptions, names: NameTable) -> None:
        """Go on with other options and names."""
        ...

    def count_reload(self, outcome: str) -> None:
        """Count a reload, `TAKEN` or `REFUSED`."""
        ...


class Configuration:
    """A registry and a gateway's options, which are read anew together.

    Attributes:
        registry: the providers.
        options: how the gateway is set up.
    """

    def __init__(self, registry: ProviderRegistry, options: GatewayOptions) -> None:
        self.registry = registry
        self.options = options

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.registry.settings

    def try_reload(self) -> str:
        """Take the configuration as it is now; "" or what is wrong with it, and nothing has changed."""
        try:
            settings = self.settings.again()
            options = self.options.again(settings)
            self.registry.reload(settings, build_own_provider)
        except (ConfigurationError, ConfigFileError) as exc:
            logger.warning("the configuration was not taken, the last good one stays: %s", exc)
            return str(exc)
        for warning in [*options.fixed_differences(settings), *in_settings(settings)]:
            logger.warning("%s", warning)
        if self.options.keys and not options.keys:
            logger.warning("no gateway key is left: whoever reaches this machine may come in")
        self.options = options
        logger.info("the configuration was read again")
        return ""


class Reloads:
    """The reloads of one gateway.

    Args:
        gateway: what takes the configuration.
        seen: the files' state when it was read; None takes the present one.

    Attributes:
        tell_others: has the other processes of the gateway reload; None where there are none.
    """

    def __init__(self, gateway: Served, seen: State | None = None) -> None:
        self.tell_others: Callable[[], None] | None = None
        self._gateway = gateway
        self._configuration = Configuration(gateway.registry, gateway.options)
        self._watcher = Watcher(self._configuration, seen)
        self._turn = asyncio.Lock()
        self._asked: set[asyncio.Task[str]] = set()

    async def run(self, interval_s: float = INTERVAL_S) -> None:
        """Take what changes until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look()
            except Exception:
                logger.exception("the changed configuration could not be taken")

    async def look(self) -> bool:
        """Look at the files once, and take them if they have changed; whether they had."""
        return await self._take(self._watcher.look)

    async def reload(self) -> str:
        """Take the configuration as it is now; "" or what is wrong with it, and the last good one stays."""
        await self._take(self._reload)
        return self._watcher.problem

    def ask(self) -> None:
        """Reload soon, without waiting for it: for signals."""
        task = asyncio.create_task(self.reload(), name="faultmaven-reload")
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def close(self) -> None:
        """Give up the reloads that were asked for."""
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    async def _take(self, read: Callable[[], bool]) -> bool:
        """Read in a thread, one at a time, and have the gateway go on with what was read."""
        async with self._turn:
            if not await asyncio.to_thread(read):
                return False
            if self._watcher.problem:
                self._gateway.count_reload(REFUSED)
            else:
                names = await asyncio.to_thread(self._gateway.make_names)
                self._gateway.take(self._configuration.options, names)
                self._gateway.count_reload(TAKEN)
            return True

    def _reload(self) -> bool:
        self._watcher.reload()
        return True
