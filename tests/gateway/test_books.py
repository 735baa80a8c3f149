"""Every call to a model is written down once, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os

import pytest

from faultmaven.gateway.access_lines import MAX_WAITING, AccessLines, line_of, write_some
from faultmaven.gateway.record import Record
from faultmaven.infrastructure.llm.types import Usage
from tests.gateway.conftest import KEY, MESSAGES, UPSTREAM_KEY

CHAT = "/v1/chat/completions"
BODY = {"model": "openai/fake", "messages": MESSAGES}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@pytest.fixture
def lines(monkeypatch):
    """Give the lines of the access log as they are written."""
    written: list[str] = []
    handler = AccessLines(write=lambda data: written.append(data.decode()) or len(data))
    logger = logging.getLogger("faultmaven.gateway.access")
    logger.addHandler(handler)
    yield lambda: [line for text in written for line in text.splitlines()]
    logger.removeHandler(handler)


async def send(client, path, body, key=KEY, method="POST"):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    kind = {"data": body} if isinstance(body, str) else {"json": body}
    async with client.session.request(method, client.url + path, headers=headers, **kind) as reply:
        await reply.read()
        return reply.status


SITUATIONS = {
    "an answer": (CHAT, BODY, 200, "ok"),
    "a stream": (CHAT, {**BODY, "stream": True}, 200, "ok"),
    "translated": (CHAT, {**BODY, "model": "anthropic/fake"}, 200, "ok"),
    "messages": ("/v1/messages", {**BODY, "max_tokens": 9}, 200, "ok"),
    "completions": ("/v1/completions", {"model": "openai/fake", "prompt": "Hi"}, 200, "ok"),
    "responses": ("/v1/responses", {"model": "openai/fake", "input": "Hi"}, 200, "ok"),
    "embeddings": ("/v1/embeddings", {"model": "openai/fake", "input": "Hi"}, 200, "ok"),
    "gemini": ("/v1beta/models/openai%2Ffake:generateContent", GEMINI, 200, "ok"),
    "the service": ("/chat", {"messages": MESSAGES}, 200, "ok"),
    "passed on": ("/p/openai/chat/completions", {**BODY, "model": "fake"}, 200, "ok"),
    "no JSON": (CHAT, "{", 400, "invalid_request"),
    "no messages": (CHAT, {"model": "openai/fake"}, 400, "invalid_request"),
    "unknown model": (CHAT, {**BODY, "model": "none/such"}, 404, None),
    "unknown verb": ("/v1beta/models/openai%2Ffake:sing", GEMINI, 404, "not_found"),
    "no such stream": ("/v1beta/models/x:streamGenerateContent", GEMINI, 400, "invalid_request"),
    "unknown path": ("/v1/chat/completion", BODY, 404, "not_found"),
    "unknown provider": ("/p/none/x", BODY, 404, "UnknownProviderError"),
    "a provider that fails": (CHAT, {**BODY, "model": "openai/fm:status:500"}, 502, None),
    "one that is slow": (CHAT, {**BODY, "model": "openai/fm:status:429"}, 429, None),
    "an answer that breaks": (CHAT, {**BODY, "model": "openai/fm:reset-mid-body"}, 502, None),
    "a stream that breaks": (
        CHAT, {**BODY, "model": "openai/fm:reset-mid-stream:3", "stream": True}, 200, "incomplete",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
async def test_each_call_has_one_line(lines, start, situation):
    path, body, status, outcome = situation
    async with start(PROVIDER_TYPE="openai") as client:
        assert await send(client, path, body) == status

    assert len(lines()) == 1
    line = json.loads(lines()[0])
    assert line["status"] == status
    assert outcome in (None, line["outcome"])
    assert (line["code"] is None) == (line["outcome"] == "ok")


@pytest.mark.parametrize(
    "path",
    [CHAT, "/v1/messages", "/v1/responses", "/v1/embeddings", "/chat", "/p/openai/x",
     "/v1beta/models/openai%2Ffake:generateContent"],
)  # fmt: skip
async def test_a_call_without_a_key_has_one_line(lines, start, path):
    async with start() as client:
        assert await send(client, path, BODY, key=None) == 401

    assert [json.loads(line)["status"] for line in lines()] == [401]


async def test_the_wrong_method_has_one_line(lines, start):
    async with start() as client:
        assert await send(client, CHAT, BODY, method="PUT") == 405

    assert [json.loads(line)["code"] for line in lines()] == ["method_not_allowed"]


async def test_what_is_no_call_has_no_line(lines, start):
    async with start() as client:
        for path in ("/health/live", "/v1/models", "/favicon.ico", "/metrics"):
            await send(client, path, "", method="GET")

    assert lines() == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_leaves_has_one_line(lines, start, upstream, stream):
    async with start() as client:
        asking = asyncio.create_task(client.session.post(
            client.url + CHAT,
            json={**BODY, "model": "openai/fm:hold", "stream": stream},
            headers={"Authorization": f"Bearer {KEY}"},
        ))  # fmt: skip
        await upstream.wait_for_requests(1)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await asking).close()
        await upstream.wait_for_clients_gone()

    found = [json.loads(line) for line in lines()]
    assert [(line["outcome"], line["status"]) for line in found] == [("cancelled", 499)]


async def test_a_line_says_what_happened_and_no_secret(lines, start):
    headers = {"x_request_id": "mine-1"}
    async with start() as client:
        body = {**BODY, "messages": [{"role": "user", "content": "canary prompt"}]}
        async with client.post(CHAT, body, **headers) as reply:
            assert reply.status == 200
        async with client.post(CHAT, {**BODY, "model": f"openai/{KEY}"}) as reply:
            await reply.read()
        async with client.post(CHAT, BODY, x_request_id=UPSTREAM_KEY) as reply:
            await reply.read()

    text = "\n".join(lines())
    first = json.loads(lines()[0])
    assert first["request_id"] == "mine-1"
    assert (first["provider"], first["model"], first["status"]) == ("openai", "fake", 200)
    assert first["input_tokens"] > 0
    assert first["duration_ms"] >= 0
    for secret in (KEY, UPSTREAM_KEY, "canary prompt"):
        assert secret not in text


@pytest.mark.parametrize(
    "model", ["a\nb", "a\r\nb", "\x1b[31mred", "a\u2028b", "a\x85b", "a\x7fb", "\u202eevil", "é"]
)
def test_a_line_is_one_line_of_plain_ascii(model):
    record = Record("r", "openai_chat", "key1", 0.0, provider="p", model=model)

    line = line_of(record)

    assert json.loads(line)["model"] == model
    assert line.isascii()
    assert line.isprintable()


async def test_lines_are_written_together():
    written: list[str] = []
    handler = AccessLines("access ", lambda data: written.append(data.decode()) or len(data))
    for _ in range(3):
        handler.add(Record("r", "openai_chat", "key1", 0.0, usage=Usage(3, 4)))

    await asyncio.sleep(0)
    handler.flush()

    assert len(written) == 1
    assert written[0].count("\naccess {") == 2


async def test_a_log_that_nobody_reads_stops_no_call():
    def refuse(_data: bytes) -> int:
        raise BrokenPipeError

    handler = AccessLines(write=refuse)
    handler.add(Record("r", "openai_chat", "key1", 0.0))
    handler.flush()


async def test_a_pipe_that_is_full_holds_nothing_up_and_loses_no_half_line():
    read: list[bytes] = []
    room = [700]

    def take(data: bytes) -> int:
        taken = min(room[0], len(data))
        room[0] -= taken
        read.append(data[:taken])
        return taken

    handler = AccessLines(write=take)
    for number in range(MAX_WAITING + 5):
        handler.add(Record(f"r{number}", "openai_chat", "key1", 0.0))
    handler.flush()
    assert len(b"".join(read)) == 700

    handler.add(Record("later", "openai_chat", "key1", 0.0))
    room[0] = 1 << 30
    handler.flush()

    lines = [json.loads(line) for line in b"".join(read).splitlines()]
    ids = [line["request_id"] for line in lines if line["event"] == "request"]
    assert ids == [*(f"r{number}" for number in range(MAX_WAITING)), "later"]
    assert [line["count"] for line in lines if line["event"] == "lines_left_out"] == [5]


def test_a_pipe_takes_what_it_has_room_for_at_once():
    reader, writer = os.pipe()
    data = b"x" * 1_000_000
    try:
        taken = write_some(data, writer)
        assert 0 < taken < len(data)
        assert len(os.read(reader, len(data))) == taken
        assert write_some(b"rest", writer) == 4
    finally:
        os.close(reader)
        os.close(writer)


async def test_a_call_that_cannot_be_written_down_is_answered_all_the_same(
    start, tmp_path, caplog
):
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with start(FAULTMAVEN_DATABASE_URL=url) as client:
        record = Record("r", "openai_chat", "half \ud800 a pair", 0.0)
        client.gateway.finish(record)
        assert await send(client, CHAT, BODY) == 200

    assert "cannot be written down" in caplog.text
