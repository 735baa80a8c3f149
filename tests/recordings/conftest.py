"""Fixtures: one gateway in front of all recordings, for a file's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.recordings.asked import Client, gateway_of_recordings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory) -> AsyncIterator[Client]:
    async with gateway_of_recordings(tmp_path_factory.mktemp("recordings")) as running:
        yield running
