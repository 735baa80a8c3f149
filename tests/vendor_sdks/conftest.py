"""One fake upstream for both clients, in a thread of its own: some clients are synchronous."""

from collections.abc import Iterator

import pytest

from faultmaven.testing import FakeUpstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeUpstream]:
    """Give the server."""
    with FakeUpstream.in_thread() as server:
        yield server
