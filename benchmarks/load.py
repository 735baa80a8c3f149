"""Clients that ask a server of chat, over connections of their own, and check every answer."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.mock import TEXT, WORD

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = "gk-benchmark-0123456789"


class Ask(NamedTuple):
    """What is asked for, again and again.

    Attributes:
        path: of the client's API.
        model: as the gateway names it.
        chunks: of a stream; 0 asks for a plain answer.
    """

    path: str
    model: str
    chunks: int = 0

    @property
    def end(self) -> bytes:
        """What a stream of this API ends with."""
        return b"message_stop" if self.path.endswith("messages") else b"[DONE]"


async def ask_all(port: int, ask: Ask, *, width: int, count: int) -> None:
    """Ask `count` times over `width` connections.

    Raises:
        RuntimeError: an answer is wrong: a figure that was not checked counts for nothing.
    """
    left = iter(range(count))
    await asyncio.gather(*(_client(port, ask, left) for _ in range(width)))


async def _client(port: int, ask: Ask, left: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = _request(ask)
    for _ in left:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if found:
            body = await reader.readexactly(int(found[1]))
        else:
            body = await _read_stream(reader)
        if not _is_right(ask, body):
            msg = f"a wrong answer: {head!r} {body[:300]!r}"
            raise RuntimeError(msg)
    writer.close()
    await writer.wait_closed()


async def _read_stream(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while True:
        piece = await reader.readuntil(b"\r\n")
        size = int(piece, 16)
        pieces.append(await reader.readexactly(size + 2))
        if not size:
            return b"".join(pieces)


def _is_right(ask: Ask, body: bytes) -> bool:
    if ask.chunks:
        return body.count(WORD.encode()) == ask.chunks and ask.end in body
    return TEXT.encode() in body


def _request(ask: Ask) -> bytes:
    question = "How does the registry choose a provider? " * 6
    fields: dict[str, Any] = {"model": ask.model, "max_tokens": 256, "temperature": 0.7}
    if ask.path.endswith("messages"):
        fields["system"] = "You are terse."
        fields["messages"] = [{"role": "user", "content": question}]
    else:
        fields["messages"] = [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": question},
        ]
    if ask.chunks:
        fields["stream"] = True
    body = json.dumps(fields).encode()
    head = (
        f"POST {ask.path} HTTP/1.1\r\nHost: benchmark\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
