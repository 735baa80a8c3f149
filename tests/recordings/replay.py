"""A server that answers every request with one recorded response, its body cut as it is told."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.infrastructure.llm.wire.dialect_checks import stream_bytes
from tests.recordings.server import serving
from tests.splits import split

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
    # An empty chunk would be the last.
    pieces = [piece for piece in split(body_of(exchange), cuts) if piece]
    answer = [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
    async with serving(lambda _: answer) as origin:
        yield origin
