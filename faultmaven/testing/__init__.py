"""For authors of providers: a server that can fail in every way there is, and a suite to pass.

`FakeUpstream` is the server; `ProviderContract` is a class of tests to subclass; `use_cassette` records
real traffic and plays it back.  Everything is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faultmaven.testing.answers import Reply, TokenUsage, ToolUse
    from faultmaven.testing.cassette import CassetteTransport, use_cassette
    from faultmaven.testing.contract import ProviderContract
    from faultmaven.testing.journal import RecordedRequest
    from faultmaven.testing.listeners import broken_port
    from faultmaven.testing.upstream import FakeUpstream

__all__ = [
    "CassetteTransport",
    "FakeUpstream",
    "ProviderContract",
    "RecordedRequest",
    "Reply",
    "TokenUsage",
    "ToolUse",
    "broken_port",
    "use_cassette",
]

_HOMES = {
    "CassetteTransport": "cassette",
    "FakeUpstream": "upstream",
    "ProviderContract": "contract",
    "RecordedRequest": "journal",
    "Reply": "answers",
    "TokenUsage": "answers",
    "ToolUse": "answers",
    "broken_port": "listeners",
    "use_cassette": "cassette",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
