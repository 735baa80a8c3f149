"""A gateway in this process, in front of the fake upstream, and clients of it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from faultmaven.config.settings import load_settings
from faultmaven.gateway.options import GatewayOptions
from faultmaven.gateway.run import make_gateway
from faultmaven.gateway.server import GatewayServer
from faultmaven.infrastructure.llm.events import CallFinished, subscribe
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from faultmaven.testing import FakeUpstream
from tests.gateway.processes import Served, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

KEY = "gk-0123456789abcdef0123456789abcdef"
UPSTREAM_KEY = "sk-canary-upstream-0123456789"
MESSAGES = [{"role": "user", "content": "Hello"}]


class Client:
    """Speaks to one gateway."""

    def __init__(
        self, server: GatewayServer, gateway: Any, session: aiohttp.ClientSession
    ) -> None:
        self.server = server
        self.gateway = gateway
        self.session = session
        self.url = f"http://127.0.0.1:{server.port}"

    @property
    def port(self) -> int:
        return self.server.port

    def post(self, path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {"Authorization": f"Bearer {KEY}"} | named
        kind = {"data": body} if isinstance(body, bytes | str) else {"json": body}
        return self.session.post(self.url + path, headers=merged, **kind)

    def get(self, path: str, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.get(
            self.url + path, headers={"Authorization": f"Bearer {KEY}"} | named
        )

    def chat(self, model: str = "openai/fake", **fields: Any) -> Any:
        return self.post("/v1/chat/completions", {"model": model, "messages": MESSAGES, **fields})

    def messages(self, model: str = "anthropic/fake", **fields: Any) -> Any:
        body = {"model": model, "max_tokens": 64, "messages": MESSAGES, **fields}
        return self.post("/v1/messages", body)


@pytest.fixture
def start(
    upstream: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Give what starts a gateway: environment variables, the file's text, options."""
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def starting(file: str = "{}", **given: Any) -> AsyncIterator[Client]:
        path = tmp_path / "faultmaven.yaml"
        path.write_text(file)
        variables = {name: given.pop(name) for name in list(given) if name.isupper()}
        settings = load_settings(**environment(upstream) | variables, FAULTMAVEN_CONFIG=str(path))
        registry = ProviderRegistry(settings)
        options = GatewayOptions.of(settings, port=0, **given)
        gateway = make_gateway(registry, options)
        server = GatewayServer(gateway)
        await server.start()
        async with aiohttp.ClientSession() as session:
            try:
                yield Client(server, gateway, session)
            finally:
                await server.stop()

    return starting


@pytest.fixture
async def client(start: Callable[..., Any]) -> AsyncIterator[Client]:
    async with start() as running:
        yield running


@pytest.fixture
def records() -> Iterator[list[CallFinished]]:
    """Give what is published of calls that have ended, in a list that grows."""
    ended: list[CallFinished] = []
    leave = subscribe(ended.append)
    yield ended
    leave()


@pytest.fixture
async def launch(upstream: FakeUpstream, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Give what runs a gateway in a process of its own: options, and environment variables."""
    async with AsyncExitStack() as running:

        async def launching(*options: str, **variables: str) -> Served:
            given = environment(upstream) | variables
            return await running.enter_async_context(serving(tmp_path, given, *options))

        yield launching


def environment(upstream: FakeUpstream) -> dict[str, str]:
    """Give the variables of a gateway in front of the fake upstream."""
    return {
        "FAULTMAVEN_GATEWAY_KEYS": KEY,
        "CHAT_PROVIDER": "openai",
        "OPENAI_API_KEY": UPSTREAM_KEY,
        "OPENAI_API_BASE": upstream.base_url,
        "ANTHROPIC_API_KEY": UPSTREAM_KEY,
        "ANTHROPIC_API_BASE": upstream.base_url,
        "GROQ_API_KEY": UPSTREAM_KEY,
        "GROQ_API_BASE": upstream.base_url,
        "LLM_MAX_RETRIES": "0",
    }


def events_of(text: str) -> list[str]:
    """Give the data of a stream's events."""
    return [line[6:] for line in text.splitlines() if line.startswith("data: ")]
