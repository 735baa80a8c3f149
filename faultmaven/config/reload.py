"""Taking changed configuration files into a running process, without a restart.

The files are looked at by their times and sizes, which costs a few system calls a second and works on
every file system, mounted secrets and network folders included.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from faultmaven.config.settings import Settings

    # Of each file: when it was changed, its size and its number; None where it is not there.
    State = dict[Path, tuple[int, int, int] | None]

INTERVAL_S: Final = 1.0
# A file that is being written may be valid and say half of what it will, or nothing at all: it is read
# when it has stayed the same for so long, or after so many looks.
SETTLE_S: Final = 0.1
SETTLE_LOOKS: Final = 10

logger = logging.getLogger("faultmaven.config")


class Reloadable(Protocol):
    """Has settings and can take them anew: a `ProviderRegistry`."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        ...

    def try_reload(self) -> str:
        """Take the configuration as it is now; "" or what is wrong with it."""
        ...


class Watcher:
    """Tells whether the configuration's files have changed, and has them taken; blocks while it does.

    Args:
        registry: what is reloaded.
        seen: the files' state when it read them; None takes the present one.
        wait: waits for so many seconds; a test passes its own.

    Attributes:
        seen: the files' state when they were last looked at.
        problem: what is wrong with the files as they are, and the last good ones stay; "" where
            nothing is.
    """

    def __init__(
        self,
        registry: Reloadable,
        seen: State | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.problem = ""
        self._registry = registry
        self._wait = wait
        self.seen = state_of(registry.settings.watched_paths()) if seen is None else seen

    def look(self) -> bool:
        """Look once; whether something had changed."""
        try:
            now = state_of(self._registry.settings.watched_paths())
        except OSError as exc:
            logger.warning("the configuration's files cannot be looked at: %s", exc)
            return False
        if now == self.seen:
            return False
        self._take(now)
        return True

    def reload(self) -> str:
        """Have the files taken whether or not they look changed; "" or what is wrong with them."""
        self._take(state_of(self._registry.settings.watched_paths()))
        return self.problem

    def _take(self, now: State) -> None:
        now = self._settled(now)
        self.problem = self._registry.try_reload()
        # As it was before the reading: what changed meanwhile is seen the next time.
        paths = self._registry.settings.watched_paths()
        self.seen = {path: now[path] if path in now else _stamp(path) for path in paths}

    def _settled(self, now: State) -> State:
        """Wait until nobody writes to the files any more; give their state."""
        for _ in range(SETTLE_LOOKS):
            self._wait(SETTLE_S)
            before, now = now, state_of(self._registry.settings.watched_paths())
            if now == before:
                break
        return now


def state_of(paths: Iterable[Path]) -> State:
    """Give what shows that a file was changed, replaced, made or removed."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # who reads it is told why
    return found.st_mtime_ns, found.st_size, found.st_ino
