"""Starting, draining and ending, one process and several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from faultmaven.testing import FakeUpstream
from tests.gateway.conftest import KEY, MESSAGES, environment, events_of

ROOT = Path(__file__).resolve().parents[2]
# For what begins; and for what ends, which without a signal would go on for half a minute and more.
START_S, DEADLINE_S = 60, 25


class Process:
    """A gateway in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, banner: str) -> None:
        self.process = process
        self.banner = banner
        self.url = re.search(r"http://[0-9.]+:[0-9]+", banner)[0]

    async def end(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), DEADLINE_S)


@pytest.fixture
async def launch(upstream, tmp_path):
    running = []

    async def launching(*options: str, **variables: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faultmaven", "serve", "--port", "0", *options),
            env=_variables(upstream, tmp_path) | variables,
            cwd=tmp_path,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        running.append(process)
        banner = await asyncio.wait_for(process.stderr.readuntil(b"ready\n\n"), START_S)
        return Process(process, banner.decode())

    yield launching
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _variables(upstream, tmp_path):
    wanted = ("PATH", "HOME", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if name.startswith(wanted)}
    return {**kept, **environment(upstream), "PYTHONPATH": str(ROOT)}


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
    assert await gateway.end() == 0


async def test_sigterm_lets_streams_end(launch, upstream):
    gateway = await launch()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with session.post(gateway.url + "/v1/chat/completions", json=body) as reply:
            await reply.content.readline()
            gateway.process.send_signal(signal.SIGTERM)
            with pytest.raises(aiohttp.ClientError):
                await ask_for_ever(gateway.url)
            upstream.release()
            rest = await reply.text()

    assert events_of(rest)[-1] == "[DONE]"
    assert await gateway.end() == 0


async def test_sigterm_closes_connections_without_a_request(launch, upstream):
    gateway = await launch()
    host, port = gateway.url.removeprefix("http://").split(":")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with session.post(gateway.url + "/v1/chat/completions", json=body) as reply:
            await reply.content.readline()
            fresh, fresh_writer = await asyncio.open_connection(host, int(port))
            kept, kept_writer = await asyncio.open_connection(host, int(port))
            kept_writer.write(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n")
            await kept.readuntil(b'"ok"}')
            gateway.process.send_signal(signal.SIGTERM)
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
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with session.post(gateway.url + "/v1/chat/completions", json=body) as reply:
            await reply.content.readline()
            gateway.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE_S):
                while await ready_status(gateway.url) != 503:
                    pass
            plain = {"model": "openai/fake", "messages": MESSAGES}
            async with session.post(gateway.url + "/v1/chat/completions", json=plain) as later:
                assert later.status == 200
            with pytest.raises(aiohttp.ClientError):
                await ask_for_ever(gateway.url)
            upstream.release()
            rest = await reply.text()

    assert events_of(rest)[-1] == "[DONE]"
    assert await gateway.end() == 0


async def test_a_second_signal_ends_the_readiness_delay(launch, tmp_path):
    (tmp_path / "faultmaven.yaml").write_text("gateway: {ready_delay_s: 600}\n")
    gateway = await launch()
    gateway.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(DEADLINE_S):
        while await ready_status(gateway.url) != 503:
            pass

    assert await gateway.end() == 0


async def test_a_second_signal_ends_streams_with_an_error(launch, upstream):
    gateway = await launch()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with session.post(gateway.url + "/v1/chat/completions", json=body) as reply:
            await reply.content.readline()
            gateway.process.send_signal(signal.SIGTERM)
            with pytest.raises(aiohttp.ClientError):
                await ask_for_ever(gateway.url)
            gateway.process.send_signal(signal.SIGTERM)
            rest = await reply.text()

    assert "shutting down" in events_of(rest)[-1]
    assert await asyncio.wait_for(gateway.process.wait(), DEADLINE_S) == 0


async def test_workers_share_a_port_and_their_numbers(launch):
    gateway = await launch("--workers", "2")
    seen = 0
    headers = {"Authorization": f"Bearer {KEY}"}
    for _ in range(12):
        async with aiohttp.ClientSession(headers=headers) as session:
            body = {"model": "openai/fake", "messages": MESSAGES}
            async with session.post(gateway.url + "/v1/chat/completions", json=body) as reply:
                assert reply.status == 200
    async with asyncio.timeout(DEADLINE_S):
        while seen < 12:
            async with (
                aiohttp.ClientSession() as session,
                session.get(gateway.url + "/metrics") as reply,
            ):
                found = re.search(r"faultmaven_requests_total\{.*\} (\d+)", await reply.text())
                seen = int(float(found[1])) if found else 0

    assert seen == 12
    assert await gateway.end() == 0


async def test_a_worker_that_dies_is_replaced_and_its_numbers_stay(launch):
    gateway = await launch("--workers", "2")
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
    before = await asyncio.to_thread(lambda: children.read_text().split())

    os.kill(int(before[-1]), signal.SIGKILL)  # the first one is known to listen
    await asyncio.to_thread(wait_for_another, children, before)
    async with (
        aiohttp.ClientSession() as session,
        session.get(gateway.url + "/health/live") as reply,
    ):
        assert reply.status == 200
    assert await gateway.end() == 0


async def test_workers_end_when_nobody_is_left_to_tell_them(launch):
    gateway = await launch("--workers", "2")
    gateway.process.kill()
    await gateway.process.wait()

    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(aiohttp.ClientError):
            await ask_for_ever(gateway.url)


def test_check_says_whether_the_configuration_is_good(tmp_path):
    with FakeUpstream.in_thread() as upstream:
        variables = _variables(upstream, tmp_path)
        good = _check(tmp_path, variables)
        bad = _check(tmp_path, variables | {"OPENAI_API_KEY": ""})

    assert (good.returncode, "is good" in good.stdout) == (0, True)
    assert bad.returncode == 1
    assert "OPENAI_API_KEY" in bad.stderr


def test_a_port_in_use_is_one_line_and_an_exit_code(tmp_path):
    with FakeUpstream.in_thread() as upstream:
        variables = _variables(upstream, tmp_path)
        found = subprocess.run(
            [sys.executable, "-m", "faultmaven", "serve", "--port", str(upstream.port)],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "cannot listen" in found.stderr


def test_beyond_loopback_without_a_key_is_refused(tmp_path):
    with FakeUpstream.in_thread() as upstream:
        variables = _variables(upstream, tmp_path) | {"FAULTMAVEN_GATEWAY_KEYS": ""}
        found = _check(tmp_path, variables, "--host", "0.0.0.0")

    assert found.returncode == 2
    assert "FAULTMAVEN_GATEWAY_KEYS" in found.stderr


def wait_for_another(children: Path, before: list[str]) -> None:
    end = time.monotonic() + START_S
    while not set(children.read_text().split()) - set(before):
        assert time.monotonic() < end


def _check(tmp_path, variables, *options):
    return subprocess.run(
        [sys.executable, "-m", "faultmaven", "serve", "--check", *options],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
