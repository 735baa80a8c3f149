"""An upstream that is far faster than what is measured: OpenAI chat and Anthropic, precomputed, as a program.

`python -m benchmarks.mock CHUNKS` prints its port and serves until its standard input ends.  Streams
under `/v1` come at once; under `/pace/20/v1` a chunk comes every 20 milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "The quick brown fox jumps over the lazy dog."
WORD = "fox "
_USAGE = {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 19}
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "mock"}
_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "mock"}
_TOKENS = {"input_tokens": 9, "output_tokens": 10}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_STREAM_END = b"0\r\n\r\n"
_PACE: Final = re.compile(rb" /pace/(\d+)/")


class Answers(NamedTuple):
    """What is said in one API.

    Attributes:
        plain: the reply to a call without streaming, head and all.
        pieces: the chunks of a stream, each framed as HTTP wants it.
    """

    plain: bytes
    pieces: list[bytes]


def openai_answers(chunks: int) -> Answers:
    """Give OpenAI chat's: `chunks` times the word, then usage and the end."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    events = [_chunk([_delta({"content": WORD})]) for _ in range(chunks)]
    events += [_chunk([_delta({}, "stop")]), _chunk([], usage=_USAGE), b"data: [DONE]\n\n"]
    return Answers(_whole(body), [_framed(event) for event in events])


def anthropic_answers(chunks: int) -> Answers:
    """Give Anthropic Messages': the same words in its grammar."""
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    content = [{"type": "text", "text": TEXT}]
    text = {"type": "text_delta", "text": WORD}
    beginning = {**_MESSAGE, "content": [], "usage": _TOKENS}
    events = [
        _named("message_start", message=beginning),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(_named("content_block_delta", index=0, delta=text) for _ in range(chunks)),
        _named("content_block_stop", index=0),
        _named("message_delta", delta=end, usage=_TOKENS),
        _named("message_stop"),
    ]
    body = {**_MESSAGE, **end, "content": content, "usage": _TOKENS}
    return Answers(_whole(body), [_framed(event) for event in events])


def _whole(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _delta(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(choices: list[dict[str, Any]], **further: Any) -> bytes:
    data = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **further}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


class _Upstream(asyncio.Protocol):
    """Answers every request of a keep-alive connection."""

    def __init__(self, openai: Answers, anthropic: Answers) -> None:
        self._answers = {b"chat": openai, b"messages": anthropic}
        self._whole_streams = {
            name: _STREAM_HEAD + b"".join(answers.pieces) + _STREAM_END
            for name, answers in self._answers.items()
        }
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._writing: set[asyncio.Task[None]] = set()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            total = end + 4 + _content_length(head)
            if len(self._data) < total:
                return
            body, self._data = self._data[end + 4 : total], self._data[total:]
            self._answer(head[: head.find(b"\r\n")], body)

    def _answer(self, line: bytes, body: bytes) -> None:
        assert self._transport is not None
        api = b"messages" if b"/messages" in line else b"chat"
        if b'"stream":true' not in body.replace(b" ", b""):
            self._transport.write(self._answers[api].plain)
        elif found := _PACE.search(line):
            task = asyncio.create_task(self._write(self._answers[api], int(found[1]) / 1000))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        else:
            self._transport.write(self._whole_streams[api])

    async def _write(self, answers: Answers, pause_s: float) -> None:
        """Write a stream chunk by chunk, each at its time however late the one before it was."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        due = loop.time()
        self._transport.write(_STREAM_HEAD)
        for piece in answers.pieces:
            self._transport.write(piece)
            due += pause_s
            await asyncio.sleep(due - loop.time())
        self._transport.write(_STREAM_END)


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
    openai, anthropic = openai_answers(chunks), anthropic_answers(chunks)
    server = await loop.create_server(
        lambda: _Upstream(openai, anthropic), "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
