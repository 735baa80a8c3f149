"""Servers that every test of a provider may use."""

from collections.abc import AsyncIterator

import pytest

from faultmaven.testing import FakeUpstream
from tests.infrastructure.llm.providers.canned import CannedServer


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    """Give a server with prepared answers."""
    async with CannedServer() as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    """Give a fake upstream."""
    async with FakeUpstream() as upstream:
        yield upstream
