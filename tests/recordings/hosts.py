"""Every recorded provider at once, on one port: a request names its recording by its model."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.recordings.replay import body_of, head_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_MODEL = re.compile(rb"recording-(\d+)-model")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def model_of(place: int) -> str:
    """Name the model that answers with the recording in this place of the list."""
    return f"recording-{place}-model"


@asynccontextmanager
async def hosting(
    exchanges: Sequence, journal: dict[str, bytes] | None = None
) -> AsyncIterator[str]:
    """Serve recordings, each for its model; gives scheme, host and port.

    Args:
        exchanges: the recordings.
        journal: gets the last request of each model, head and body.
    """
    answers = [_answer_of(exchange) for exchange in exchanges]
    serving: dict[asyncio.Task, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[asyncio.current_task()] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                asked = head + await reader.readexactly(int(length[1]) if length else 0)
                model = _MODEL.search(asked)
                if journal is not None:
                    journal[model[0].decode()] = asked
                writer.write(answers[int(model[1])])
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


def _answer_of(exchange) -> bytes:
    unknown = 400 if exchange["kind"] == "error" else 200
    head, body = head_of(exchange, exchange["response"]["status"] or unknown), body_of(exchange)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + chunk + b"0\r\n\r\n"
