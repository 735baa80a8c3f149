"""Providers: the rows, the registry, and one class for each dialect; all loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.providers.echo_provider import EchoProvider
    from faultmaven.infrastructure.llm.providers.embedded_provider import EmbeddedProvider
    from faultmaven.infrastructure.llm.providers.factory import create_provider
    from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
    from faultmaven.infrastructure.llm.providers.local_provider import LocalProvider
    from faultmaven.infrastructure.llm.providers.ollama_provider import OllamaProvider
    from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
    from faultmaven.infrastructure.llm.providers.registry import (
        PROVIDER_SCHEMA,
        ProviderRegistry,
        get_registry,
        reset_registry,
    )
    from faultmaven.infrastructure.llm.types import LLMResponse

__all__ = [
    "PROVIDER_SCHEMA",
    "AnthropicProvider",
    "BaseLLMProvider",
    "EchoProvider",
    "EmbeddedProvider",
    "HTTPProvider",
    "LLMResponse",
    "LocalProvider",
    "OllamaProvider",
    "OpenAIProvider",
    "ProviderConfig",
    "ProviderRegistry",
    "create_provider",
    "get_registry",
    "reset_registry",
]

_HOMES = {
    "AnthropicProvider": ".anthropic_provider",
    "BaseLLMProvider": ".base",
    "EchoProvider": ".echo_provider",
    "EmbeddedProvider": ".embedded_provider",
    "HTTPProvider": ".http_provider",
    "LLMResponse": "faultmaven.infrastructure.llm.types",
    "LocalProvider": ".local_provider",
    "OllamaProvider": ".ollama_provider",
    "OpenAIProvider": ".openai_provider",
    "ProviderConfig": ".config",
    "create_provider": ".factory",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, ".registry"), __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
