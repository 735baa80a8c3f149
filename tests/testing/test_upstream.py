"""The server itself: what it records, how it is told what to do, and how it is run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import urllib.error
import urllib.request

import aiohttp
import pytest

from faultmaven.testing import FakeUpstream, TokenUsage

TURN = [{"role": "user", "content": "Use the tool look."}]


def post(url, body, headers=None):
    request = urllib.request.Request(url, json.dumps(body).encode(), headers or {})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


async def test_upstream_records_what_came(upstream, ask):
    await ask(path="/v1/chat/completions?a=1&a=2&b=")
    request = upstream.last_request

    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.query == {"a": "2", "b": ""}
    assert request.headers["host"] == "test"
    assert request.json["model"] == "m"
    assert request.body.startswith(b'{"model"')
    assert request.api_key == "sk-canary-1"
    assert request.finished_s is not None
    assert request.client_gone_s is None


async def test_upstream_counts_connections(upstream):
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"{upstream.base_url}/models") as response:
                await response.read()
        assert (upstream.connections_opened, upstream.connections_open) == (1, 1)
    await upstream.wait_until_closed()

    assert [r.number_on_connection for r in upstream.requests] == [1, 2, 3]


async def test_chunked_request_body_is_joined(upstream):
    async def pieces():
        yield b'{"model":'
        yield b'"m","messages":[]}'

    url = f"{upstream.base_url}/chat/completions"
    headers = {"Expect": "100-continue"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=pieces(), headers=headers) as response,
    ):
        assert response.status == 200

    assert upstream.last_request.json == {"model": "m", "messages": []}


async def test_malformed_request_is_refused_and_noted(upstream):
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(b"NONSENSE\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert upstream.stats()["malformed"] == ["a bad request line: 'NONSENSE'"]


async def test_unknown_path_is_404_and_recorded(upstream, ask):
    heard = await ask(path="/v1/v1/messages/")

    assert heard.status == 404
    assert len(upstream.requests) == 1


async def test_keys_are_demanded_when_told():
    async with FakeUpstream(api_keys=["sk-good"]) as upstream:
        url = f"{upstream.base_url}/models"
        async with aiohttp.ClientSession() as session:
            statuses = []
            for headers in (
                {},
                {"Authorization": "Bearer sk-bad"},
                {"Authorization": "Bearer sk-good"},
                {"x-api-key": "sk-good"},
                {"x-goog-api-key": "sk-good"},
            ):
                async with session.get(url, headers=headers) as response:
                    statuses.append(response.status)

    assert statuses == [401, 401, 200, 200, 200]


async def test_reply_sets_everything(upstream, ask):
    upstream.reply(
        chunks=["a", "b"],
        reasoning="hm",
        tool_calls=[("weather", {"city": "Paris"})],
        usage=TokenUsage(10, 20, cache_read_tokens=4, reasoning_tokens=3),
    )
    answer = (await ask()).json
    message = answer["choices"][0]["message"]

    assert message["content"] == "ab"
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"city": "Paris"}'
    assert answer["usage"]["total_tokens"] == 30
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


async def test_client_that_leaves_is_noted(upstream, open_request):
    _reader, writer = await open_request("fm:stall-headers")
    await upstream.wait_for_requests(1)
    writer.close()
    (request,) = await upstream.wait_for_clients_gone()

    assert request.client_gone_s >= 0


async def test_wait_says_what_was_seen_when_it_gives_up(upstream):
    with pytest.raises(TimeoutError, match=r"the upstream saw .*'requests': 0"):
        await upstream.wait_until(lambda: False, timeout_s=0.01)


async def test_failure_of_the_server_is_raised_at_its_end():
    async def ask_nonsense():
        async with FakeUpstream() as upstream, aiohttp.ClientSession() as session:
            url = f"{upstream.base_url}/chat/completions"
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(url, json={"model": "fm:status:abc"})

    with pytest.raises(ValueError, match="invalid literal"):
        await ask_nonsense()


async def test_reset_forgets(upstream, ask):
    upstream.mode("status:500")
    await ask("fm:flaky:1:status:503")
    upstream.reset()

    assert upstream.requests == []
    assert (await ask()).status == 200
    assert (await ask("fm:flaky:1:status:503")).status == 503


@pytest.mark.parametrize("steps", range(5))
async def test_stop_ends_a_connection_accepted_just_before(steps):
    with socket.socket() as client:
        client.setblocking(False)
        async with FakeUpstream() as upstream:
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", upstream.port))
            for _ in range(steps):
                await asyncio.sleep(0)

        client.settimeout(60)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.to_thread(client.recv, 1) == b""


async def test_stop_ends_held_requests():
    async with FakeUpstream() as upstream:
        _reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        upstream.mode("stall-headers")
        await upstream.wait_for_requests(1)
    writer.close()

    assert upstream.connections_open == 0


def test_upstream_runs_on_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def ask():
        async with FakeUpstream() as upstream, aiohttp.ClientSession() as session:
            url = f"{upstream.base_url}/chat/completions"
            async with session.post(url, json={"model": "m"}) as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
                await session.post(url, json={"model": "fm:reset-before-headers"})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())


def test_in_thread_serves_synchronous_code():
    with FakeUpstream.in_thread(model="m-1") as upstream:
        upstream.reply("from the thread")
        answer = post(f"{upstream.base_url}/chat/completions", {"model": "x", "messages": []})
        upstream.when(lambda: len(upstream.requests) == 1).result(timeout=60)

    assert answer["choices"][0]["message"]["content"] == "from the thread"


def test_admin_routes_do_what_the_methods_do():
    with FakeUpstream.in_thread() as upstream:
        admin, chat = f"{upstream.url}/__admin", f"{upstream.base_url}/chat/completions"
        post(f"{admin}/script", {"behaviours": ["status:503"]})
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(chat, {"model": "m"})
        post(f"{admin}/reply", {"text": "told"})
        told = post(chat, {"model": "m"})
        post(f"{admin}/mode", {"behaviour": "status:500"})
        with pytest.raises(urllib.error.HTTPError, match="500"):
            post(chat, {"model": "m"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(f"{admin}/mode", {"behaviour": "nonsense"})
        with pytest.raises(urllib.error.HTTPError, match="404"):
            post(f"{admin}/nonsense", {})
        stats = post(f"{admin}/stats", {})
        seen = post(f"{admin}/requests", {})
        post(f"{admin}/keys", {"keys": ["sk-1"]})
        post(f"{admin}/release", {})
        post(f"{admin}/reset", {})
        with pytest.raises(urllib.error.HTTPError, match="401"):
            post(chat, {"model": "m"})
        faults = post(f"{admin}/faults", {})

    assert told["choices"][0]["message"]["content"] == "told"
    assert stats["requests"] == len(seen) == 3
    assert "ok" in faults


async def test_command_prints_its_url_and_serves():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "faultmaven.testing.upstream", stdout=asyncio.subprocess.PIPE
    )
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/models") as response:
            assert (await response.json())["data"][0]["id"] == "fake-model"
    finally:
        process.terminate()
        await process.communicate()


async def test_command_lists_the_faults():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faultmaven.testing.upstream",
        "--list",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert b"fm:reset-mid-stream:N\n" in output


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "m", "input": 5}),
        ("/v1/messages", {"model": "m", "messages": TURN, "thinking": {"type": ["enabled"]}}),
    ],
    ids=["no texts", "odd thinking"],
)
async def test_an_odd_request_is_answered(upstream, path, body):
    async with (
        aiohttp.ClientSession(upstream.url) as session,
        session.post(path, json=body) as reply,
    ):
        assert reply.status == 200


BROKEN = [
    {"type": "object", "properties": [], "required": ["a"]},
    {
        "type": "object",
        "properties": {"a": {"type": "array", "minItems": "two"}},
        "required": ["a"],
    },
    {"type": "object", "required": 5},
    {"type": {"string": True}},
    {"$ref": 7},
    {"anyOf": {"type": "string"}},
    {"enum": {"a": 1}},
    {"type": "integer", "multipleOf": 0, "minimum": 3},
]
FUNCTION = {"name": "look", "description": "Look."}
# Paths, and bodies that declare a tool of a schema.
DECLARING = {
    "chat": (
        "/v1/chat/completions",
        lambda schema: {
            "messages": TURN,
            "tools": [{"type": "function", "function": {**FUNCTION, "parameters": schema}}],
        },
    ),
    "messages": (
        "/v1/messages",
        lambda schema: {"messages": TURN, "tools": [{**FUNCTION, "input_schema": schema}]},
    ),
    "responses": (
        "/v1/responses",
        lambda schema: {
            "input": TURN,
            "tools": [{"type": "function", **FUNCTION, "parameters": schema}],
        },
    ),
    "gemini": (
        "/v1beta/models/m:generateContent",
        lambda schema: {
            "contents": [{"role": "user", "parts": [{"text": "Use the tool look."}]}],
            "tools": [{"functionDeclarations": [{**FUNCTION, "parametersJsonSchema": schema}]}],
        },
    ),
    "structure": (
        "/v1/chat/completions",
        lambda schema: {
            "messages": TURN,
            "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        },
    ),
}


@pytest.mark.parametrize("schema", BROKEN, ids=str)
@pytest.mark.parametrize(("path", "declaring"), DECLARING.values(), ids=DECLARING)
async def test_a_schema_that_is_none_is_refused_as_by_a_provider(
    upstream, path, declaring, schema
):
    async with aiohttp.ClientSession(upstream.url) as session:
        async with session.post(path, json={"model": "m", **declaring(schema)}) as reply:
            refused, said = reply.status, await reply.json()
        async with session.post(path, json={"model": "m", **declaring({})}) as reply:
            taken = reply.status

    assert (refused, taken) == (400, 200)
    assert "schema" in said["error"]["message"]
