"""An upstream that is far faster than what is measured: OpenAI chat, precomputed, as a program.

`python -m benchmarks.mock CHUNKS` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "The quick brown fox jumps over the lazy dog."
WORD = "fox "
_USAGE = {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 19}
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "mock"}


def plain_answer() -> bytes:
    """Give the reply to a call without streaming."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def streamed_answer(chunks: int) -> bytes:
    """Give the reply to a streaming call: `chunks` times the word, then usage and the end."""
    events = [_event({"content": WORD}) for _ in range(chunks)]
    events += [_event({}, "stop"), _usage_event(), b"data: [DONE]\n\n"]
    parts = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"".join(parts) + b"0\r\n\r\n"


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _usage_event() -> bytes:
    data = {**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


class _Upstream(asyncio.Protocol):
    """Answers every request of a keep-alive connection."""

    def __init__(self, plain: bytes, streamed: bytes) -> None:
        self._plain = plain
        self._streamed = streamed
        self._data = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            total = end + 4 + _content_length(self._data[:end])
            if len(self._data) < total:
                return
            body, self._data = self._data[end + 4 : total], self._data[total:]
            compact = body.replace(b" ", b"")
            reply = self._streamed if b'"stream":true' in compact else self._plain
            assert self._transport is not None
            self._transport.write(reply)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@contextmanager
def mock_upstream(chunks: int) -> Iterator[str]:
    """Run the program; give its base URL."""
    command = [sys.executable, "-m", "benchmarks.mock", str(chunks)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.stdin.close()


async def _serve(chunks: int) -> None:
    loop = asyncio.get_running_loop()
    plain, streamed = plain_answer(), streamed_answer(chunks)
    server = await loop.create_server(lambda: _Upstream(plain, streamed), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
