"""A server that answers every request with one recorded response, its body cut as it is told."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.infrastructure.llm.wire.dialect_checks import stream_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# What a recorder's headers say of how the bytes travelled is not true of these.
HOP_HEADERS = {"connection", "content-encoding", "content-length", "transfer-encoding"}
CONTENT_TYPES = {
    "body": "application/json",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "raw_b64": "application/vnd.amazon.eventstream",
    "text": "text/plain",
}


def body_of(exchange) -> bytes:
    """Give the body of a recorded response as bytes."""
    response = exchange["response"]
    if (data := stream_bytes(exchange)) is not None:
        return data
    if "text" in response:
        return response["text"].encode()
    return json.dumps(response["body"], ensure_ascii=False).encode()


def head_of(exchange, status: int) -> bytes:
    """Give status line and headers; the body follows in chunks."""
    response = exchange["response"]
    headers = {
        name.lower(): value
        for name, value in (response["headers"] or {}).items()
        if name.lower() not in HOP_HEADERS
    }
    kind = next(kind for kind in CONTENT_TYPES if kind in response)
    headers.setdefault("content-type", CONTENT_TYPES[kind])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Recorded\r\n{lines}transfer-encoding: chunked\r\n\r\n".encode()


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut bytes at the given places, taken modulo their length."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(places) if end > start]


@asynccontextmanager
async def replaying(
    exchange, *, cuts: Sequence[int] = (), status: int | None = None
) -> AsyncIterator[str]:
    """Serve a recorded response to whatever is asked; gives scheme, host and port.

    Args:
        exchange: the recording.
        cuts: where the body is cut, in bytes.
        status: stands where the recording has none.
    """
    head = head_of(exchange, exchange["response"]["status"] or status or 200)
    pieces = pieces_of(body_of(exchange), cuts)

    serving: dict[asyncio.Task, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[asyncio.current_task()] = writer
        try:
            while await _read_request(reader):
                writer.write(head)
                for piece in pieces:
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in serving.values():
            writer.transport.abort()
        await asyncio.gather(*serving)


async def _read_request(reader: asyncio.StreamReader) -> bool:
    """Read one request; False where the client has gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return False
        head += line
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return True
