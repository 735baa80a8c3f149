"""`/p/{provider}/…`: what is tried again, with which key, and what is answered once."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.conftest import KEY, MESSAGES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/p/pair/chat/completions"
BODY = {"model": "m", "messages": MESSAGES}
PAIR = "providers: {pair: {base: openai, api_key_var: [PAIR_ONE, PAIR_TWO], default_model: m}}"
KEYS = {"PAIR_ONE": "sk-one-0123456789", "PAIR_TWO": "sk-two-0123456789"}
ONE, TWO = KEYS.values()


@asynccontextmanager
async def host(*answers: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """Answer requests in turn and close after each; b"" closes without a word."""
    seen: list[str] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.partition(b" HTTP")[0].decode())
        writer.write(left.pop(0) if left else b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Take connections, and never answer."""
    gone = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        gone.set()


def sent(client: Any, method: str, path: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    bearer = {"Authorization": f"Bearer {KEY}"} | named
    return client.session.request(method, client.url + path, headers=bearer)


def answer(status: str, **body: Any) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return f"{head}\r\nConnection: close\r\nX-Should-Retry: false\r\n\r\n".encode() + data


@pytest.mark.parametrize("spec", ["status:401", "status:402", "status:429"])
async def test_the_next_key_is_taken_where_only_the_key_failed(start, upstream, spec):
    async with start(PAIR, PAIR_API_BASE=upstream.base_url, **KEYS) as client:
        upstream.script([spec, None, None])
        for _ in range(2):
            async with client.post(PATH, BODY) as reply:
                assert reply.status == 200

    assert [request.api_key for request in upstream.requests] == [ONE, TWO, TWO]
    assert [request.json for request in upstream.requests] == [BODY] * 3


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_answer_of_the_last_key_goes_back_as_it_is(start, upstream, stream):
    async with start(PAIR, PAIR_API_BASE=upstream.base_url, **KEYS) as client:
        upstream.mode("status:429")
        async with client.post(PATH, {**BODY, "stream": stream}) as reply:
            body = await reply.json()

    assert reply.status == 429
    assert body["error"]["type"]
    assert [request.api_key for request in upstream.requests] == [ONE, TWO]


@pytest.mark.parametrize("spec", ["status:400", "status:403", "status:404", "status:500"])
async def test_other_answers_go_back_at_once(start, upstream, spec):
    async with start(PAIR, PAIR_API_BASE=upstream.base_url, LLM_MAX_RETRIES="2", **KEYS) as client:
        upstream.mode(spec)
        async with client.post(PATH, BODY) as reply:
            assert reply.status == int(spec.partition(":")[2])
        circuits = client.gateway.registry.circuits.states()

    assert [request.api_key for request in upstream.requests] == [ONE]
    assert circuits == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_what_may_be_sent_twice_is_sent_again_where_no_answer_came(start, method):
    async with (
        host(b"", answer("200 OK", id="file-1")) as (url, seen),
        start(OPENAI_API_BASE=url, LLM_MAX_RETRIES="1") as client,
        sent(client, method, "/p/openai/files/file-1") as reply,
    ):
        assert await reply.json() == {"id": "file-1"}

    assert seen == [f"{method} /v1/files/file-1"] * 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_have_been_done_is_not_sent_again(start, method):
    async with (
        host(b"", answer("200 OK")) as (url, seen),
        start(OPENAI_API_BASE=url, LLM_MAX_RETRIES="2") as client,
        sent(client, method, "/p/openai/batches") as reply,
    ):
        assert reply.status == 502

    assert len(seen) == 1


async def test_what_reached_nobody_is_sent_again(start):
    async with host() as (url, _seen):
        pass
    async with start(OPENAI_API_BASE=url, LLM_MAX_RETRIES="1") as client:
        async with sent(client, "POST", "/p/openai/batches") as reply:
            assert reply.status == 502
        counted = [
            line
            for line in client.gateway.metrics().decode().splitlines()
            if "_attempts_total{" in line
        ]

    assert [line.rpartition(" ")[2] for line in counted] == ["2.0"]


async def test_a_providers_word_on_trying_again_goes_back(start):
    async with (
        host(answer("500 No", error={"message": "no"})) as (url, seen),
        start(OPENAI_API_BASE=url) as client,
        client.get("/p/openai/files") as reply,
    ):
        assert reply.status == 500

    assert reply.headers["x-should-retry"] == "false"
    assert len(seen) == 1


async def test_a_request_with_an_idempotency_key_is_passed_on_once(start, upstream):
    async with start() as client:
        told = []
        for _ in range(2):
            async with client.post(
                "/p/openai/chat/completions", BODY, Idempotency_Key="abc"
            ) as reply:
                told.append((await reply.read(), reply.headers.get("idempotent-replayed")))
        async with client.post(
            "/p/openai/chat/completions", {**BODY, "n": 1}, Idempotency_Key="abc"
        ) as reply:
            assert reply.status == 422

    assert told == [(told[0][0], None), (told[0][0], "true")]
    assert len(upstream.requests) == 1
    assert upstream.last_request.headers["idempotency-key"] == "abc"


@pytest.mark.parametrize(
    ("spec", "times"), [("status:429", 2), ("status:503", 2), ("status:500", 1)]
)
async def test_a_refusal_is_not_kept_for_its_idempotency_key(start, upstream, spec, times):
    async with start() as client:
        upstream.mode(spec)
        for _ in range(2):
            async with client.post(
                "/p/openai/chat/completions", BODY, Idempotency_Key="abc"
            ) as reply:
                assert reply.status == int(spec.partition(":")[2])

    assert len(upstream.requests) == times


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_bounds_all_tries_together(start, method):
    async with (
        silent() as url,
        start(OPENAI_API_BASE=url, LLM_MAX_RETRIES="2") as client,
        sent(client, method, "/p/openai/files", x_request_timeout="0.05") as reply,
    ):
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (504, "upstream_timeout")


async def test_a_stream_is_passed_on_as_it_comes(start, upstream):
    async with start(PAIR, PAIR_API_BASE=upstream.base_url, **KEYS) as client:
        upstream.script(["status:401", None])
        async with client.post(PATH, {**BODY, "stream": True}) as reply:
            text = await reply.text()

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert text.endswith("data: [DONE]\n\n")
