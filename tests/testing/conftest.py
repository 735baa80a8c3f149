"""A raw client for the fake upstream: what it heard, byte for byte, and how the connection ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from faultmaven.testing import FakeUpstream

Ask = Callable[..., Awaitable["Heard"]]


@dataclass(frozen=True)
class Heard:
    """An answer's bytes, and whether the connection ended with "eof" or "reset"."""

    raw: bytes
    ending: str

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    @property
    def body(self) -> bytes:
        raw = self.raw.partition(b"\r\n\r\n")[2]
        if self.header("transfer-encoding") != "chunked":
            return raw
        body = b""
        while raw:
            size, _, raw = raw.partition(b"\r\n")
            length = int(size, 16)
            body += raw[:length]
            raw = raw[length + 2 :]
        return body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> list[str]:
        """The data of each event of an SSE stream with LF line ends."""
        events = self.body.decode().split("\n\n")
        return [e.partition("data: ")[2] for e in events if "data: " in e]

    @property
    def objects(self) -> list[Any]:
        return [json.loads(text) for text in self.data if text != "[DONE]"]

    @property
    def text(self) -> str:
        """The text of an OpenAI chat stream."""
        choices = [c for data in self.objects for c in data["choices"]]
        return "".join(c["delta"].get("content") or "" for c in choices)


def request_bytes(path: str, body: dict[str, Any], **headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def read_to_end(reader: asyncio.StreamReader) -> Heard:
    heard = bytearray()
    while True:
        try:
            data = await reader.read(1 << 20)
        except ConnectionResetError:
            return Heard(bytes(heard), "reset")
        if not data:
            return Heard(bytes(heard), "eof")
        heard += data


@pytest.fixture
def ask(upstream: FakeUpstream) -> Ask:
    """Ask with a model of this name, on a connection of its own, and read to the end."""

    async def call(
        model: str = "m", *, stream: bool = False, path: str = "/v1/chat/completions", **body: Any
    ) -> Heard:
        question = {
            "model": model,
            "stream": stream,
            "messages": [{"role": "user", "content": "Hello"}],
        }
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        try:
            headers = {"Connection": "close", "Authorization": "Bearer sk-canary-1"}
            writer.write(request_bytes(path, question | body, **headers))
            return await asyncio.wait_for(read_to_end(reader), 60)
        finally:
            writer.close()

    return call


@pytest.fixture
def open_request(upstream: FakeUpstream) -> Callable[..., Awaitable[Any]]:
    """Ask, and give reader and writer without reading."""

    async def call(model: str, *, stream: bool = True, path: str = "/v1/chat/completions") -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        body = {"model": model, "stream": stream, "messages": []}
        writer.write(request_bytes(path, body))
        return reader, writer

    return call
