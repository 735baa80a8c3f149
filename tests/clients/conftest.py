"""Fixtures: one scripted upstream, one gateway in front of it, for all clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from faultmaven.testing import FakeUpstream
from tests.clients.served import DIALECTS, UPSTREAM_KEY, Served, provider_rows, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The clients' own warnings are theirs to mend.
IGNORED = ("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/clients" in item.nodeid:
            for rule in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def _trust_one_authority(one_authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the clients the world's authorities: reading them takes 30 ms for each new client."""
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))


@pytest.fixture(scope="session")
def running_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream.in_thread(api_keys=[UPSTREAM_KEY]) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def gateway(
    running_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    rows = provider_rows(running_upstream.base_url_for)
    # The default provider has models that are known: a name that nobody has is refused.
    default = {
        "CHAT_PROVIDER": "groq",
        "GROQ_API_KEY": UPSTREAM_KEY,
        "GROQ_API_BASE": running_upstream.base_url,
        # What the documentation's examples ask.
        "ANTHROPIC_API_KEY": UPSTREAM_KEY,
        "ANTHROPIC_API_BASE": running_upstream.base_url,
        "OPENAI_API_KEY": UPSTREAM_KEY,
        "OPENAI_API_BASE": running_upstream.base_url,
    }
    with serving(folder, rows, **default) as served:
        yield served


@pytest.fixture
def upstream(running_upstream: FakeUpstream) -> FakeUpstream:
    """The upstream, with nothing told and nothing seen."""
    running_upstream.reset()
    return running_upstream


@pytest.fixture(params=["chat", "messages", "responses", "gemini"])
def model(request: pytest.FixtureRequest) -> str:
    """A model behind each dialect that the clients' APIs are translated into."""
    assert request.param in DIALECTS
    return f"up-{request.param}/fake-model"
