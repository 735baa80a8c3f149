"""What commands begin with: the log on standard error, and the registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

_FORMAT = "%(levelname)s %(name)s: %(message)s"

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
