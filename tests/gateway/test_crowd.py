"""More connections than a process may have files: P7."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource

import pytest

from faultmaven.gateway.crowd import (
    LEAST_CLIENTS,
    MOST_LINGERING,
    RESERVED_FILES,
    room_for_clients,
)
from tests.gateway.conftest import KEY, environment
from tests.gateway.processes import serving

FILES = 128
ROOM = (FILES - RESERVED_FILES) // 2
HELLO = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()


def test_there_is_room_by_the_files_that_may_be_open():
    room = room_for_clients()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert soft == hard
    assert room == max(LEAST_CLIENTS, (soft - RESERVED_FILES) // 2)


@pytest.fixture
async def narrow(upstream, tmp_path):
    """Run a gateway in a process that may have few files."""

    def have_few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    async with serving(tmp_path, environment(upstream), preexec_fn=have_few) as gateway:
        yield gateway


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def status_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Ask, and give the answer's status; 0 where the connection was closed before it was read."""
    try:
        writer.write(HELLO)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        length = int(re.search(rb"(?i)content-length: ([0-9]+)", head)[1])
        await reader.readexactly(length)
        assert b"x-request-id: req_" in head
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0
    return int(head.split()[1])


async def test_connections_beyond_the_files_are_refused_and_the_gateway_lives_on(narrow):
    clients = [await connect(narrow.port) for _ in range(300)]
    statuses = [await status_of(*client) for client in clients]
    assert statuses[:ROOM] == [200] * ROOM
    assert set(statuses[ROOM:]) <= {503, 0}
    assert statuses.count(503) >= MOST_LINGERING
    for _, writer in clients:
        writer.close()
    for _, writer in clients:
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    async with asyncio.timeout(60):
        while True:  # until the gateway has seen that they are gone
            reader, writer = await connect(narrow.port)
            status = await status_of(reader, writer)
            writer.close()
            if status == 200:
                break

    assert await narrow.end() == 0
