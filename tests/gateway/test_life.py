"""Starting, draining and ending, one process and several."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from faultmaven.testing import FakeUpstream
from tests.gateway.conftest import KEY, MESSAGES, environment, events_of
from tests.gateway.processes import HANG_S, SERVE, Served, surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# For what ends, which without a signal would go on for half a minute and more.
DEADLINE_S = 25
BEARER = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def streaming(gateway: Served) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask for a stream, which begins, and goes on when the upstream is released."""
    body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
    async with (
        aiohttp.ClientSession(gateway.url, headers=BEARER) as session,
        session.post("/v1/chat/completions", json=body) as reply,
    ):
        await reply.content.readline()
        yield reply


async def chat_status(gateway: Served) -> int:
    body = {"model": "openai/fake", "messages": MESSAGES}
    async with (
        aiohttp.ClientSession(gateway.url, headers=BEARER) as session,
        session.post("/v1/chat/completions", json=body) as reply,
    ):
        return reply.status


async def ask_for_ever(url: str) -> None:
    while True:
        async with aiohttp.ClientSession() as session:
            await session.get(url + "/health/ready")


async def ready_status(url: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url + "/health/ready") as reply,
    ):
        return reply.status


async def test_the_banner_shows_clients_the_way_and_no_key(launch):
    gateway = await launch()

    assert "OPENAI_BASE_URL=" in gateway.banner
    assert "ANTHROPIC_BASE_URL=" in gateway.banner
    assert "curl " in gateway.banner
    assert KEY not in gateway.banner
    assert await gateway.end(DEADLINE_S) == 0


async def test_sigterm_lets_streams_end(launch, upstream):
    gateway = await launch()
    async with streaming(gateway) as reply:
        gateway.process.terminate()
        with pytest.raises(aiohttp.ClientError):
            await ask_for_ever(gateway.url)
        upstream.release()
        rest = await reply.text()

    assert events_of(rest)[-1] == "[DONE]"
    assert await gateway.end(DEADLINE_S) == 0


async def test_sigterm_closes_connections_without_a_request(launch, upstream):
    gateway = await launch()
    async with streaming(gateway) as reply:
        fresh, fresh_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        kept, kept_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        kept_writer.write(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n")
        await kept.readuntil(b'"ok"}')
        gateway.process.terminate()
        async with asyncio.timeout(DEADLINE_S):
            assert (await fresh.read(), await kept.read()) == (b"", b"")
        for writer in (fresh_writer, kept_writer):
            writer.close()
        upstream.release()
        rest = await reply.text()

    assert events_of(rest)[-1] == "[DONE]"


async def test_connections_are_taken_until_the_readiness_delay_is_over(launch, upstream, tmp_path):
    (tmp_path / "faultmaven.yaml").write_text("gateway: {ready_delay_s: 3}\n")
    gateway = await launch()
    async with streaming(gateway) as reply:
        gateway.process.terminate()
        async with asyncio.timeout(DEADLINE_S):
            while await ready_status(gateway.url) != 503:
                pass
        assert await chat_status(gateway) == 200
        with pytest.raises(aiohttp.ClientError):
            await ask_for_ever(gateway.url)
        upstream.release()
        rest = await reply.text()

    assert events_of(rest)[-1] == "[DONE]"
    assert await gateway.end(DEADLINE_S) == 0


async def test_a_second_signal_ends_the_readiness_delay(launch, tmp_path):
    (tmp_path / "faultmaven.yaml").write_text("gateway: {ready_delay_s: 600}\n")
    gateway = await launch()
    gateway.process.terminate()
    async with asyncio.timeout(DEADLINE_S):
        while await ready_status(gateway.url) != 503:
            pass

    assert await gateway.end(DEADLINE_S) == 0


async def test_a_second_signal_ends_streams_with_an_error(launch, upstream):
    gateway = await launch()
    async with streaming(gateway) as reply:
        gateway.process.terminate()
        with pytest.raises(aiohttp.ClientError):
            await ask_for_ever(gateway.url)
        gateway.process.terminate()
        rest = await reply.text()

    assert "shutting down" in events_of(rest)[-1]
    assert await gateway.over(DEADLINE_S) == 0


async def test_workers_share_a_port_and_their_numbers(launch):
    gateway = await launch("--workers", "2")
    seen = 0
    for _ in range(12):
        assert await chat_status(gateway) == 200
    async with asyncio.timeout(DEADLINE_S):
        while seen < 12:
            async with (
                aiohttp.ClientSession() as session,
                session.get(gateway.url + "/metrics") as reply,
            ):
                found = re.search(r"faultmaven_requests_total\{.*\} (\d+)", await reply.text())
                seen = int(float(found[1])) if found else 0

    assert seen == 12
    assert await gateway.end(DEADLINE_S) == 0


async def test_a_worker_that_dies_is_replaced_and_its_numbers_stay(launch):
    gateway = await launch("--workers", "2")
    before = gateway.workers()

    os.kill(before[-1], signal.SIGKILL)  # the first one is known to listen
    await gateway.wait_for_another_worker(before)
    async with (
        aiohttp.ClientSession() as session,
        session.get(gateway.url + "/health/live") as reply,
    ):
        assert reply.status == 200
    assert await gateway.end(DEADLINE_S) == 0


async def test_workers_end_when_nobody_is_left_to_tell_them(launch):
    gateway = await launch("--workers", "2")
    gateway.process.kill()
    await gateway.process.wait()

    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(aiohttp.ClientError):
            await ask_for_ever(gateway.url)


def serve(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start a gateway that ends by itself."""
    with FakeUpstream.in_thread() as upstream:
        return subprocess.run(
            [*SERVE, *options],
            env=surroundings(folder) | environment(upstream) | variables,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )


def test_check_says_whether_the_configuration_is_good(tmp_path):
    good = serve(tmp_path, "--check")
    bad = serve(tmp_path, "--check", OPENAI_API_KEY="")

    assert (good.returncode, "is good" in good.stdout) == (0, True)
    assert bad.returncode == 1
    assert "OPENAI_API_KEY" in bad.stderr


def test_a_port_in_use_is_one_line_and_an_exit_code(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = serve(tmp_path, "--port", str(taken.getsockname()[1]))

    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "cannot listen" in found.stderr


def test_beyond_loopback_without_a_key_is_refused(tmp_path):
    found = serve(tmp_path, "--check", "--host", "0.0.0.0", FAULTMAVEN_GATEWAY_KEYS="")

    assert found.returncode == 2
    assert "FAULTMAVEN_GATEWAY_KEYS" in found.stderr
