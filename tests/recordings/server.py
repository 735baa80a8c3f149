"""A small server of recorded answers: it hears whole requests and sends pieces."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@asynccontextmanager
async def serving(answer: Callable[[bytes], Iterable[bytes]]) -> AsyncIterator[str]:
    """Answer whatever is asked; gives scheme, host and port.

    Args:
        answer: takes a request, head and body, and gives the answer's bytes as they are to be sent.
    """
    clients: dict[asyncio.Task, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients[asyncio.current_task()] = writer
        try:
            while True:
                for piece in answer(await _request(reader)):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in clients.values():
            writer.transport.abort()
        await asyncio.gather(*clients)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)
