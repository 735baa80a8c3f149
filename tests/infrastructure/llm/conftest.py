"""What the transport's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faultmaven.infrastructure.llm.http import HTTPTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def transport() -> AsyncIterator[HTTPTransport]:
    """Give a transport that is closed in the end."""
    made = HTTPTransport("acme")
    yield made
    await made.close()
