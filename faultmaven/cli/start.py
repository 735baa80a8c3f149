"""What commands begin with: the log on standard error, the registry, and what is garbage."""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_FORMAT = "%(levelname)s %(name)s: %(message)s"
# A body of many small messages makes more objects than this at once, none of them garbage; see
# docs/decisions/garbage.md.
_COLLECT_AFTER: Final = 10_000

logger = logging.getLogger("faultmaven")


def start_logs(*, verbose: bool) -> None:
    """Send our log to standard error, secrets removed: warnings, or with `verbose` everything."""
    from faultmaven.cli.output import LogHandler
    from faultmaven.infrastructure.llm.secret import RedactingFilter

    handler = LogHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(RedactingFilter())
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


def start_registry() -> ProviderRegistry:
    """Give the process's registry; its settings say how much is logged.

    Raises:
        ConfigurationError: the environment, `.env` or faultmaven.yaml cannot be used.
    """
    from faultmaven.infrastructure.llm.providers.registry import get_registry

    registry = get_registry()
    if logger.level != logging.DEBUG:
        logger.setLevel(registry.settings.faultmaven_log.upper())
    return registry


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage among the objects that are made within, neither now nor later.

    For starting something that runs for long: its modules and tables stay for as long as it does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """Look for garbage less often: for a process that makes many objects and few circles of them."""
    gc.set_threshold(_COLLECT_AFTER)
