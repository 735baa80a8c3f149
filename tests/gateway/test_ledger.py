"""The gateway's ledger: one row for each call, whatever happens to the call, the disk or the process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections import Counter

import aiohttp
import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError
from tests.gateway.conftest import KEY, UPSTREAM_KEY
from tests.gateway.test_books import BODY, CHAT, SITUATIONS, send

CANARY = "canary in the prompt"


def rows(path, query="SELECT * FROM calls ORDER BY id"):
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "kept" / "ledger.db"


@pytest.fixture
def start_kept(start, kept):
    def starting(file="{}", **given):
        return start(file, FAULTMAVEN_DATABASE_URL=f"sqlite:///{kept}", **given)

    return starting


async def test_every_situation_has_exactly_one_row(start_kept, kept):
    async with start_kept(PROVIDER_TYPE="openai") as client:
        for path, body, status, _ in SITUATIONS.values():
            assert await send(client, path, body) == status
        for path in (CHAT, "/v1/messages", "/p/openai/x"):
            assert await send(client, path, BODY, key=None) == 401
        assert await send(client, CHAT, BODY, method="PUT") == 405
        assert await send(client, "/health/live", "", method="GET") == 200

    found = rows(kept)
    assert len(found) == len(SITUATIONS) + 4
    assert len({row["request_id"] for row in found}) == len(found)
    assert Counter(row["status"] for row in found)[401] == 3
    for row, (_, _, status, outcome) in zip(found, SITUATIONS.values(), strict=False):
        assert row["status"] == status
        assert outcome in (None, row["outcome"])


async def test_a_row_says_who_what_and_how_much(start_kept, kept):
    async with start_kept() as client, client.chat(stream=True) as reply:
        request_id = reply.headers["x-request-id"]
        await reply.read()

    (row,) = rows(kept)
    assert row["request_id"] == request_id
    assert (row["front"], row["caller"]) == ("openai_chat", "key1")
    assert (row["provider"], row["model"], row["rule"]) == ("openai", "fake", "explicit")
    assert (row["attempts"], row["streamed"], row["status"], row["outcome"]) == (1, 1, 200, "ok")
    assert row["input_tokens"] > 0
    assert row["usage_source"] == "provider"
    assert 0 <= row["first_ms"] <= row["duration_ms"]


async def test_neither_prompt_nor_key_is_in_the_file(start_kept, kept):
    async with start_kept() as client:
        for model in ("openai/fake", f"openai/{KEY}", "anthropic/fm:status:500"):
            async with client.chat(model, messages=[{"role": "user", "content": CANARY}]) as reply:
                await reply.read()
        async with client.post(CHAT, BODY, x_request_id=UPSTREAM_KEY) as reply:
            await reply.read()

    text = b"".join(file.read_bytes() for file in kept.parent.iterdir())
    assert len(rows(kept)) == 4
    for secret in (CANARY, KEY, UPSTREAM_KEY):
        assert secret.encode() not in text


@pytest.mark.parametrize("retention", ["{days: 0}", "{rows: 0}", "0", "off"])
async def test_a_retention_of_nothing_keeps_nothing(start_kept, kept, retention):
    async with start_kept(f"retention: {retention}") as client, client.chat() as reply:
        assert reply.status == 200

    assert not kept.exists()


async def test_nothing_is_kept_unless_it_is_said(start):
    async with start() as client:
        assert client.gateway.books.ledger is None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_contents_are_kept_where_that_is_said(start_kept, kept, caplog, stream):
    file = "retention: {days: 1, content: true}"
    async with (
        start_kept(file) as client,
        client.chat(stream=stream, messages=[{"role": "user", "content": CANARY}]) as reply,
    ):
        text = await reply.text()

    (exchange,) = rows(kept, "SELECT * FROM exchanges")
    assert CANARY in exchange["request"]
    assert exchange["answer"] == text
    assert exchange["request_id"] == rows(kept)[0]["request_id"]
    assert "retention.content" in caplog.text


async def test_rows_beyond_the_number_are_gone_after_a_start(start_kept, kept):
    for _ in range(2):
        async with start_kept("retention: {rows: 3}") as client:
            for _ in range(5):
                async with client.chat() as reply:
                    await reply.read()

    async with start_kept("retention: {rows: 3}"):
        pass
    assert len(rows(kept)) == 3


async def test_calls_go_on_where_nothing_can_be_written(start_kept, kept):
    kept.parent.write_text("in the way of the folder")
    async with start_kept() as client:
        async with client.chat() as reply:
            assert reply.status == 200
        ledger = client.gateway.books.ledger
        assert await asyncio.to_thread(ledger.flush) is False
        async with client.get("/health/ready") as reply:
            assert (reply.status, (await reply.json())["status"]) == (200, "degraded")
        async with client.get("/metrics") as reply:
            text = await reply.text()
        kept.parent.unlink()

    assert "faultmaven_ledger_failing 1.0" in text
    assert "faultmaven_ledger_waiting 1.0" in text
    assert len(rows(kept)) == 1


@pytest.mark.parametrize("url", ["postgresql://u:p@h/db", "mysql://h/db", "sqlite://"])
async def test_other_databases_are_refused_at_the_start(start, url):
    with pytest.raises(ConfigurationError, match="FAULTMAVEN_DATABASE_URL"):
        async with start(FAULTMAVEN_DATABASE_URL=url):
            pass


@pytest.fixture
def serve(launch, kept):
    def serving(*options, **variables):
        return launch(*options, FAULTMAVEN_DATABASE_URL=f"sqlite:///{kept}", **variables)

    return serving


async def ask(url, stream=False):
    """Give the id of a request that was answered."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.post(url + CHAT, json={**BODY, "stream": stream}) as reply,
    ):
        await reply.read()
        assert reply.status == 200
        return reply.headers["x-request-id"]


async def test_everything_is_written_at_the_end(serve, kept):
    gateway = await serve("--workers", "2")
    asked = await asyncio.gather(*(ask(gateway.url, stream=n % 2 == 0) for n in range(40)))

    assert await gateway.end() == 0
    assert sorted(row["request_id"] for row in rows(kept)) == sorted(asked)


async def test_each_call_is_a_line_on_standard_error(serve):
    gateway = await serve()
    asked = await ask(gateway.url)
    await gateway.end()

    lines = [line for line in gateway.log.splitlines() if '"event":"request"' in line]
    assert len(lines) == 1
    assert lines[0].startswith("INFO faultmaven.gateway.access: {")
    assert json.loads(lines[0].partition(": ")[2])["request_id"] == asked


async def test_the_log_is_json_where_that_is_said(serve, tmp_path):
    (tmp_path / "faultmaven.yaml").write_text("observability: {log_format: json}")
    gateway = await serve()
    await ask(gateway.url)
    await gateway.end()

    lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert [line["event"] for line in lines if "event" in line] == ["request"]


async def test_no_line_is_written_where_only_warnings_are(serve):
    gateway = await serve(FAULTMAVEN_LOG="warning")
    await ask(gateway.url)
    await gateway.end()

    assert '"event"' not in gateway.log


async def ask_until_it_ends(url, answered):
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            try:
                async with session.post(url + CHAT, json=BODY) as reply:
                    await reply.read()
            except aiohttp.ClientError:
                return
            answered.append(reply.headers["x-request-id"])


async def test_a_killed_gateway_loses_no_call(serve, kept):
    lost = []
    for count in (5, 40, 90):
        gateway = await serve()
        answered: list[str] = []
        asking = [asyncio.create_task(ask_until_it_ends(gateway.url, answered)) for _ in range(4)]
        async with asyncio.timeout(60):
            while len(answered) < count:
                await asyncio.wait(asking, timeout=0.01)
        gateway.process.kill()
        await asyncio.gather(*asking)
        await gateway.process.wait()

        lost += answered
        assert rows(kept, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    gateway = await serve()
    last = await ask(gateway.url)
    assert await gateway.end() == 0
    found = rows(kept)
    written = [row["request_id"] for row in found]
    assert set(lost) <= set(written)
    assert len(written) == len(set(written))
    assert written[-1] == last
    assert {row["outcome"] for row in found} <= {"ok", "incomplete"}
    assert sorted(file.name for file in kept.parent.iterdir()) == ["ledger.db"]


def wait_for_journal(kept):
    end = time.monotonic() + 60
    while not any(file.stat().st_size for file in kept.parent.glob("*-open-*")):
        assert time.monotonic() < end


async def test_a_call_that_was_open_when_the_gateway_was_killed_is_incomplete(
    serve, kept, upstream
):
    gateway = await serve()
    body = {**BODY, "model": "openai/fm:hold", "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(gateway.url + CHAT, json=body) as reply,
    ):
        await reply.content.readline()
        await asyncio.to_thread(wait_for_journal, kept)
        gateway.process.kill()
        await gateway.process.wait()
    upstream.release()
    gateway = await serve()
    await gateway.end()

    (row,) = rows(kept)
    assert (row["outcome"], row["code"]) == ("incomplete", "process_ended")
    assert (row["front"], row["caller"], row["usage_source"]) == ("openai_chat", "key1", "none")


async def test_a_worker_that_is_killed_leaves_its_calls_to_the_next(serve, kept):
    gateway = await serve("--workers", "2")
    asked = await asyncio.gather(*(ask(gateway.url) for _ in range(20)))
    os.kill(gateway.workers()[0], signal.SIGKILL)
    await gateway.end()
    gateway = await serve()
    await gateway.end()

    assert sorted(row["request_id"] for row in rows(kept)) == sorted(asked)
