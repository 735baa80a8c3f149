"""HTTP/1.1 as the fake upstream reads and writes it."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from faultmaven.testing.journal import RecordedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.testing.connection import Connection

MAX_HEAD_BYTES = 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class MalformedRequestError(ValueError):
    """The client did not send HTTP/1.1 as the standard has it."""


async def read_request(
    connection: Connection, number: int, number_on_connection: int
) -> RecordedRequest | None:
    """Read one request with its body; None where the client closed instead.

    Raises:
        MalformedRequestError: it is no HTTP.
    """
    try:
        head = await connection.reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial.strip():
            msg = f"the connection ended inside the head: {exc.partial[:80]!r}"
            raise MalformedRequestError(msg) from exc
        return None
    if len(head) > MAX_HEAD_BYTES:
        msg = f"a head of {len(head)} bytes"
        raise MalformedRequestError(msg)
    method, target, header_lines = _parse_head(head)
    headers = {name.lower(): value for name, value in header_lines}
    if headers.get("expect", "").lower() == "100-continue":
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(connection.reader, headers)
    parts = urlsplit(target)
    return RecordedRequest(
        number=number,
        method=method,
        path=unquote(parts.path),
        raw_target=target,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        header_lines=tuple(header_lines),
        body=body,
        connection_id=connection.number,
        number_on_connection=number_on_connection,
        received_s=time.monotonic(),
    )


def _parse_head(head: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        msg = f"a bad request line: {first[:80]!r}"
        raise MalformedRequestError(msg)
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            msg = f"a bad header line: {line[:80]!r}"
            raise MalformedRequestError(msg)
        pairs.append((name, value.strip()))
    return words[0], words[1], pairs


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunked(reader)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        msg = f"a bad content-length: {length[:80]!r}"
        raise MalformedRequestError(msg)
    return await reader.readexactly(int(length))


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size_line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(size_line, 16)
        except ValueError as exc:
            msg = f"a bad chunk size: {size_line[:80]!r}"
            raise MalformedRequestError(msg) from exc
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def head(
    status: int,
    headers: Iterable[tuple[str, str]],
    version: str = "1.1",
    reason: str | None = None,
) -> bytes:
    """Write a status line and headers, exactly those given."""
    if reason is None:
        reason = _REASONS.get(status, "Status")
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Write one chunk of a chunked body; `b""` writes the last one."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
