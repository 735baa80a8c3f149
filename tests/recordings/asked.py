"""Recordings asked for through a gateway: by which APIs, with what questions, and several at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import pytest
import yaml

from faultmaven.config.settings import load_settings
from faultmaven.gateway.options import GatewayOptions
from faultmaven.gateway.run import make_gateway
from faultmaven.gateway.server import GatewayServer
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from tests.infrastructure.llm.wire.dialect_checks import FOLDER, recorded
from tests.recordings import told_by_chat, told_by_gemini, told_by_messages, told_by_responses
from tests.recordings.hosts import hosting, model_of
from tests.recordings.test_replay import KEY, NO_ANSWERS, SPEAKERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.recordings.told import Told

GATEWAY_KEY = "gk-recordings-0123456789abcdef"
AT_ONCE = 8
QUESTION = [{"role": "user", "content": "Hello"}]


class Front(NamedTuple):
    """An API of the gateway's: how to ask, how to read, and what its relay passes on as it is.

    Attributes:
        path: with the model's name in it where the API has it so.
        streamed_path: the same for a stream.
        body: what to ask, without the model.
        relays: dialects of which a client gets the provider's own bytes.
        says_refusals: a refusal has a field of its own.
    """

    path: str
    streamed_path: str
    body: dict[str, Any]
    read: Callable[[dict[str, Any]], Told]
    read_stream: Callable[..., Told]
    relays: frozenset[str] = frozenset()
    says_refusals: bool = True


FRONTS = {
    "chat": Front(
        "/v1/chat/completions",
        "/v1/chat/completions",
        {"messages": QUESTION},
        told_by_chat.read_chat,
        told_by_chat.read_chat_stream,
        frozenset({"openai-chat", "mistral-chat"}),
    ),
    "responses": Front(
        "/v1/responses",
        "/v1/responses",
        {"input": "Hello"},
        told_by_responses.read_response,
        told_by_responses.read_response_stream,
        frozenset({"openai-responses"}),
    ),
    "messages": Front(
        "/v1/messages",
        "/v1/messages",
        {"messages": QUESTION, "max_tokens": 1000},
        told_by_messages.read_message,
        told_by_messages.read_message_stream,
        frozenset({"anthropic-messages"}),
        says_refusals=False,
    ),
    "gemini": Front(
        "/v1beta/models/{}:generateContent",
        "/v1beta/models/{}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        told_by_gemini.read_generated,
        told_by_gemini.read_generated_stream,
        says_refusals=False,
    ),
}


class Case(NamedTuple):
    """A recording, and the place at which its host has it."""

    place: int
    exchange: Any
    expected: Any


def cases_of(kind: str) -> list[Any]:
    return [case.values for case in recorded(*SPEAKERS, kind=kind, exclude=NO_ANSWERS)]


ALL = [
    Case(place, *values)
    for place, values in enumerate([*cases_of("response"), *cases_of("error")] if FOLDER else ())
]


@asynccontextmanager
async def gateway_of_recordings(folder: Path) -> AsyncIterator[Client]:
    """Run a gateway in front of all recordings; its file is written into the folder."""
    journal: dict[str, bytes] = {}
    async with hosting([case.exchange for case in ALL], journal) as origin:
        rows = {
            dialect: {
                "provider_class": speaker.class_name,
                "default_base_url": f"{origin}{speaker.path}",
                "default_model": "recorded",
                "api_key_var": "RECORDED_API_KEY",
                "finish_reason_optional": True,
                "max_retries": 0,
                **speaker.row,
            }
            for dialect, speaker in SPEAKERS.items()
        }
        # What one recording reports must not keep the next from being asked for.
        file = folder / "faultmaven.yaml"
        file.write_text(yaml.safe_dump({"providers": rows, "circuit": {"enabled": False}}))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            settings = load_settings(
                FAULTMAVEN_CONFIG=str(file),
                FAULTMAVEN_GATEWAY_KEYS=GATEWAY_KEY,
                CHAT_PROVIDER="openai-chat",
                RECORDED_API_KEY=KEY,
            )
            gateway = make_gateway(ProviderRegistry(settings), GatewayOptions.of(settings, port=0))
        server = GatewayServer(gateway)
        await server.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
                yield Client(session, journal)
        finally:
            await server.stop()


class Client:
    """Asks the gateway for recordings, several at a time.

    Attributes:
        journal: by model, what the provider was asked last.
    """

    def __init__(self, session: aiohttp.ClientSession, journal: dict[str, bytes]) -> None:
        self._session = session
        self.journal = journal
        self._places = asyncio.Semaphore(AT_ONCE)

    async def ask(
        self, front: Front, case: Case, *, stream: bool, **fields: Any
    ) -> tuple[int, Any, str]:
        """Give status, headers and body; `fields` stand above those of the front's question."""
        model = f"{case.exchange['dialect']}/{model_of(case.place)}"
        path = (front.streamed_path if stream else front.path).format(model)
        body = {**front.body, **fields}
        if "{}" not in front.path:
            body |= {"model": model, "stream": stream}
        if stream and front is FRONTS["chat"]:
            body["stream_options"] = {"include_usage": True}
        headers = {"Authorization": f"Bearer {GATEWAY_KEY}"}
        async with self._places, self._session.post(path, json=body, headers=headers) as reply:
            return reply.status, reply.headers, await reply.text()


def cases(kind: str, dialect: str) -> list[Case]:
    """Give the recordings of a dialect whose facts are of a kind."""
    return [
        case
        for case in ALL
        if case.exchange["dialect"] == dialect and case.expected["type"] == kind
    ]
