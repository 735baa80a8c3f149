"""A seam for tests: whatever providers send goes through a transport of the test's choice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faultmaven.infrastructure.llm.http.transport import Transport

_wrap: Callable[[Transport], Transport] | None = None


def intercepted(transport: Transport) -> Transport:
    """Give what to send through now: the transport itself, outside of `intercept`."""
    return transport if _wrap is None else _wrap(transport)


@contextmanager
def intercept(wrap: Callable[[Transport], Transport]) -> Iterator[None]:
    """Let every provider of the process, in every thread, send through `wrap(its transport)`.

    The innermost of several counts.
    """
    global _wrap  # noqa: PLW0603  # the one switch of the process, off but in tests
    outer, _wrap = _wrap, wrap
    try:
        yield
    finally:
        _wrap = outer
