"""Servers that every test of a provider may use."""

from collections.abc import AsyncIterator

import pytest

from tests.infrastructure.llm.providers.canned import CannedServer


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    """Give a server with prepared answers."""
    async with CannedServer() as server:
        yield server
