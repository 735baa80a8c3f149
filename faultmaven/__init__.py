"""FaultMaven: an LLM provider is a row of data.

    >>> import faultmaven
    >>> faultmaven.complete("Say hello", provider="echo").content
    'Echo (no model): Say hello'

Everything here is loaded on first use: importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm import errors
    from faultmaven.infrastructure.llm.calls import acomplete, astream, close, complete, stream
    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.providers import get_registry, reset_registry
    from faultmaven.infrastructure.llm.types import (
        EmbeddingResponse,
        LLMChunk,
        LLMMessage,
        LLMRequest,
        LLMResponse,
    )

__version__ = "0.1.0"

__all__ = [
    "EmbeddingResponse",
    "LLMChunk",
    "LLMError",
    "LLMMessage",
    "LLMRequest",
    "LLMResponse",
    "acomplete",
    "astream",
    "close",
    "complete",
    "errors",
    "get_registry",
    "reset_registry",
    "stream",
]

_LLM = "faultmaven.infrastructure.llm"
_HOMES = {
    "LLMError": f"{_LLM}.errors",
    "acomplete": f"{_LLM}.calls",
    "astream": f"{_LLM}.calls",
    "close": f"{_LLM}.calls",
    "complete": f"{_LLM}.calls",
    "get_registry": f"{_LLM}.providers",
    "reset_registry": f"{_LLM}.providers",
    "stream": f"{_LLM}.calls",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    if name == "errors":
        return import_module(f"{_LLM}.errors")
    return getattr(import_module(_HOMES.get(name, f"{_LLM}.types")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
