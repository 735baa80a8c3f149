"""Ways to ask one question, by library: the floor (bare aiohttp), ours, and peers that are installed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

MODEL = "mock"
MESSAGES = [{"role": "user", "content": "Say something about a fox."}]
KEY = "sk-benchmark-0123456789"


class Caller(ABC):
    """One library, its client kept for all calls."""

    package = ""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @abstractmethod
    async def open(self) -> None:
        """Make the client."""

    @abstractmethod
    async def ask(self) -> str:
        """Give the text of a whole answer."""

    @abstractmethod
    async def stream(self) -> tuple[str, int]:
        """Give a streamed answer's text, and the number of its pieces that had text."""

    @abstractmethod
    async def close(self) -> None:
        """Close the client."""


class BareAiohttp(Caller):
    """aiohttp, `json.loads`, and events split by hand: what any client has to do."""

    package = "aiohttp"

    @override
    async def open(self) -> None:
        aiohttp = import_module("aiohttp")
        self._session = aiohttp.ClientSession()
        self._url = f"{self.base_url}/chat/completions"
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    @override
    async def ask(self) -> str:
        body = json.dumps({"model": MODEL, "messages": MESSAGES, "max_tokens": 100}).encode()
        async with self._session.post(self._url, data=body, headers=self._headers) as reply:
            assert reply.status == 200
            answer = json.loads(await reply.read())
        text: str = answer["choices"][0]["message"]["content"]
        return text

    @override
    async def stream(self) -> tuple[str, int]:
        wanted = {
            "model": MODEL, "messages": MESSAGES, "max_tokens": 100, "stream": True,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        body = json.dumps(wanted).encode()
        pieces: list[str] = []
        rest = b""
        async with self._session.post(self._url, data=body, headers=self._headers) as reply:
            assert reply.status == 200
            async for data in reply.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        choices = json.loads(line[6:])["choices"]
                        if choices and (text := choices[0]["delta"].get("content")):
                            pieces.append(text)
        return "".join(pieces), len(pieces)

    @override
    async def close(self) -> None:
        await self._session.close()


class FaultMaven(Caller):
    """Ours: `get_registry().get_provider().generate()` and `.stream()`."""

    package = "faultmaven"

    @override
    async def open(self) -> None:
        self._registry = import_module("faultmaven").get_registry()
        row = {"default_base_url": self.base_url, "default_model": MODEL, "allow_http": True}
        self._registry.register("bench", {**row, "api_key_var": "BENCH_API_KEY"})

    @override
    async def ask(self) -> str:
        provider = self._registry.get_provider("bench")
        response = await provider.generate(MESSAGES, max_tokens=100)
        text: str = response.content
        return text

    @override
    async def stream(self) -> tuple[str, int]:
        provider = self._registry.get_provider("bench")
        async with aclosing(provider.stream(MESSAGES, max_tokens=100)) as chunks:
            pieces = [chunk.text async for chunk in chunks if chunk.text]
        return "".join(pieces), len(pieces)

    @override
    async def close(self) -> None:
        await self._registry.close()


class OpenAI(Caller):
    """OpenAI's own client."""

    package = "openai"

    @override
    async def open(self) -> None:
        self._client = import_module("openai").AsyncOpenAI(base_url=self.base_url, api_key=KEY)

    @override
    async def ask(self) -> str:
        answer = await self._client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=100
        )
        return answer.choices[0].message.content or ""

    @override
    async def stream(self) -> tuple[str, int]:
        return await _joined(
            await self._client.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=100, stream=True
            )
        )

    @override
    async def close(self) -> None:
        await self._client.close()


class LiteLLM(Caller):
    """litellm's `acompletion`."""

    package = "litellm"

    @override
    async def open(self) -> None:
        self._options: dict[str, Any] = {
            "model": f"openai/{MODEL}", "messages": MESSAGES, "max_tokens": 100,
            "api_base": self.base_url, "api_key": KEY,
        }  # fmt: skip
        self._complete = import_module("litellm").acompletion

    @override
    async def ask(self) -> str:
        answer = await self._complete(**self._options)
        return answer.choices[0].message.content or ""

    @override
    async def stream(self) -> tuple[str, int]:
        return await _joined(await self._complete(**self._options, stream=True))

    @override
    async def close(self) -> None:
        """It keeps its clients itself."""


class AnyLLM(Caller):
    """any-llm, its client kept."""

    package = "any_llm"

    @override
    async def open(self) -> None:
        make = import_module("any_llm").AnyLLM.create
        self._client = make("openai", api_key=KEY, api_base=self.base_url)

    @override
    async def ask(self) -> str:
        answer = await self._client.acompletion(model=MODEL, messages=MESSAGES, max_tokens=100)
        return answer.choices[0].message.content or ""

    @override
    async def stream(self) -> tuple[str, int]:
        return await _joined(
            await self._client.acompletion(
                model=MODEL, messages=MESSAGES, max_tokens=100, stream=True
            )
        )

    @override
    async def close(self) -> None:
        """It has nothing to close."""


async def _joined(stream: Any) -> tuple[str, int]:
    pieces = [
        chunk.choices[0].delta.content
        async for chunk in stream
        if chunk.choices and chunk.choices[0].delta.content
    ]
    return "".join(pieces), len(pieces)


CALLERS: dict[str, type[Caller]] = {
    "bare aiohttp": BareAiohttp,
    "faultmaven": FaultMaven,
    "openai": OpenAI,
    "litellm": LiteLLM,
    "any-llm": AnyLLM,
}


def installed() -> list[str]:
    """Name the callers whose library this interpreter has."""
    return [name for name, caller in CALLERS.items() if find_spec(caller.package) is not None]
