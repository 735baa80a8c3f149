"""From a row and an environment to a provider that can be called."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers import row as rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider

logger = logging.getLogger("faultmaven.providers")


def make_instance(
    name: str, row: Mapping[str, Any], settings: Settings, warned: set[str]
) -> BaseLLMProvider:
    """Make a provider.

    Args:
        name: the row's name.
        row: the row, complete.
        settings: where its variables are looked up.
        warned: the rows whose doubtful state was told of; this one is added where its state is.

    Raises:
        ProviderNotConfiguredError: a variable that it needs is not set.
        ConfigurationError: the row, a variable or its class cannot be used, or it is disabled or
            retired.
    """
    if row["status"] in rows.REFUSED_STATUS:
        reason = row.get("status_reason") or "Choose another provider."
        msg = f"{name} is {row['status']}: {reason}"
        raise ConfigurationError(msg, provider=name, code=f"provider_{row['status']}")
    if row["status"] == "unclear" and name not in warned:
        warned.add(name)
        told = row.get("status_reason", "its state is unclear")
        logger.warning("%s may not work: %s", name, told)
    from faultmaven.infrastructure.llm.providers.provider_class import (
        construct,
        load_provider_class,
    )

    config = rows.make_config(name, dict(row), settings)
    provider_class = load_provider_class(name, row["provider_class"], settings.config_folder)
    return construct(name, lambda: provider_class(config))
