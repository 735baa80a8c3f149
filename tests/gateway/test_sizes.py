"""Much of everything: bodies, events, headers and nesting that would take memory, or hold the loop up."""

from __future__ import annotations

import asyncio
import io
import json
import resource

import pytest

from faultmaven.gateway.body import parse_object
from faultmaven.gateway.faults import Fault
from tests.gateway.conftest import KEY, MESSAGES
from tests.gateway.lanes import LANES
from tests.gateway.test_raw_http import AUTH
from tests.growth import MOST, TIMES, Growth

every_lane = pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
MEGABYTE = 1024 * 1024

# A megabyte of what takes more than linear time where nobody looked.
ADVERSARIES = {
    "open brackets": lambda size: b"[" * size,
    "open objects": lambda size: b'{"a":' * (size // 5),
    "quotes": lambda size: b'"' * size,
    "escapes": lambda size: b'{"a":"' + b"\\u0022" * (size // 6) + b'"}',
    "backslashes": lambda size: b'{"a":"' + b"\\\\" * (size // 2) + b'"}',
    "digits": lambda size: b'{"a":' + b"9" * size + b"}",
    "exponent": lambda size: b'{"a":1e' + b"9" * size + b"}",
    "same keys": lambda size: b"{" + b'"a":1,' * (size // 6) + b'"b":1}',
    "keys": lambda size: b"{" + b",".join(b'"%d":1' % n for n in range(size // 12)) + b"}",
    "spaces": lambda size: b" " * size,
    "surrogates": lambda size: b'{"a":"' + b"\\ud800" * (size // 6) + b'"}',
    "wide": lambda size: b'{"a":[' + b"[]," * (size // 3) + b"[]]}",
}


@pytest.mark.parametrize("make", ADVERSARIES.values(), ids=ADVERSARIES)
def test_a_megabyte_of_malice_costs_no_more_than_its_size(make):
    growth = Growth()
    for times in growth.rounds():
        raw = make(MEGABYTE * times // TIMES)
        with growth.of(times):
            told = fault_of_reading(raw)

        assert told is None or (told.status == 400 and len(str(told)) < 500)
    assert growth.factor < MOST


def fault_of_reading(raw: bytes) -> Fault | None:
    try:
        parse_object(raw)
    except Fault as fault:
        return fault
    return None


@pytest.mark.parametrize(
    ("before", "deeper"), [(b"", b"["), (b"", b'{"a":'), (b'{"messages":', b"[")]
)
async def test_deep_nesting_is_refused_at_no_cost(client, upstream, caplog, before, deeper):
    growth = Growth()
    for times in growth.rounds():
        body = before + deeper * 12_500 * times
        with growth.of(times):
            async with client.post("/v1/chat/completions", body) as reply:
                assert reply.status == 400

    assert growth.factor < MOST
    assert "RecursionError" not in caplog.text
    assert not upstream.requests


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 2000000\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n", b"413"),
        (b"Content-Encoding: gzip\r\nContent-Length: 20\r\n", b"415"),
        (b"Content-Encoding: br\r\nContent-Length: 20\r\n", b"415"),
    ],
    ids=["length", "chunks", "gzip", "brotli"],
)
async def test_too_much_is_refused_before_it_is_read(start, upstream, head, status):
    async with start("gateway: {max_body_bytes: 100000}") as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n" + AUTH + head + b"\r\n")
        if b"chunked" in head:
            for _ in range(4):
                writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        answer = await asyncio.wait_for(reader.read(4096), 10)
        writer.close()

    assert answer.split(b" ")[1] == status
    assert b"connection: close" in answer
    assert not upstream.requests


@every_lane
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("spec", "most_mb"),
    [
        ("gzip-bomb:256", 64),
        (
            "huge-body:32",
            64 + 4 * 32,
        ),  # the provider is in this process, too, and keeps its answer
        ("status-huge:500:16", 64 + 4 * 16),
    ],
)
async def test_much_from_a_provider_is_not_kept(start, lane, stream, spec, most_mb):
    async with start() as client:
        async with client.post(lane.path, lane.body("ok")) as reply:
            await reply.read()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async with client.post(lane.path, lane.body(spec, stream=stream)) as reply:
            assert reply.status == 502
            assert len(await reply.read()) < 4096

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < most_mb * 1024


@every_lane
@pytest.mark.parametrize(
    ("spec", "count"), [("gzip-members", 2500), ("comment-flood", 6000), ("many-headers", 1000)]
)
async def test_many_small_things_cost_no_more_than_their_number(start, lane, spec, count):
    growth = Growth()
    async with start() as client:
        for times in growth.rounds():
            body = lane.body(f"{spec}:{count * times}", stream=True)
            with growth.of(times):
                async with client.post(lane.path, body) as reply:
                    await reply.read()

    assert growth.factor < MOST


@every_lane
@pytest.mark.parametrize("spec", ["giant-line:4", "endless-line:64"])
async def test_an_event_that_is_too_long_ends_the_stream(start, upstream, lane, spec):
    async with start() as client:
        async with client.post(lane.path, lane.body(spec, stream=True)) as reply:
            body = await reply.text()
        await upstream.wait_for_finished(1)

    assert reply.status == 502 or lane.broken_by(body) is not None
    assert len(body) < 64 * 1024
    assert upstream.last_request.bytes_sent < 16 * MEGABYTE


def with_limits(**limits: int) -> str:
    row = {"limits": limits}
    return json.dumps({"providers": {"openai": row, "anthropic": row}})


@every_lane
@pytest.mark.parametrize(("limit_bytes", "status"), [(16384, 502), (131072, 200)])
async def test_an_answer_may_be_no_longer_than_the_row_says(
    start, upstream, lane, limit_bytes, status
):
    upstream.reply(chunks=["x" * 65536])
    async with (
        start(with_limits(max_response_bytes=limit_bytes)) as client,
        client.post(lane.path, lane.body("ok")) as reply,
    ):
        body = await reply.json()

    assert reply.status == status
    if status == 502:
        assert "larger" in lane.error_of(body)["message"]


@every_lane
async def test_an_event_may_be_as_long_as_the_row_says(start, lane):
    async with (
        start(with_limits(max_event_bytes=4 * MEGABYTE)) as client,
        client.post(lane.path, lane.body("giant-line:2", stream=True)) as reply,
    ):
        body = await reply.text()

    assert lane.text_of(body, stream=True) == "before " + "x" * 2 * MEGABYTE + " after"
    assert lane.ends(body) == 1


@every_lane
async def test_an_event_may_be_no_longer_than_the_row_says(start, upstream, lane):
    upstream.reply(chunks=["before ", "x" * 65536, " after"])
    async with (
        start(with_limits(max_event_bytes=16384)) as client,
        client.post(lane.path, lane.body("ok", stream=True)) as reply,
    ):
        body = await reply.text()

    assert reply.status == 502 or lane.broken_by(body) is not None
    assert "xxx" not in body
    assert lane.ends(body) == 0


@every_lane
async def test_a_stream_that_was_not_asked_for_has_the_rows_limit(start, upstream, lane):
    upstream.reply(chunks=["before ", "x" * 2048, " after"])
    statuses = []
    for limit_bytes in (1024, 65536):
        async with (
            start(with_limits(max_event_bytes=limit_bytes)) as client,
            client.post(lane.path, lane.body("stream-for-json")) as reply,
        ):
            statuses.append(reply.status)

    assert statuses == [502, 200]


async def test_others_are_answered_while_one_sends_much(client):
    large = {"model": "openai/f", "messages": [{"role": "user", "content": "x" * 8_000_000}]}
    body = json.dumps(large).encode()

    async def one() -> int:
        async with client.session.post(
            client.url + "/v1/chat/completions",
            data=io.BytesIO(body),
            headers={"Authorization": f"Bearer {KEY}"},
        ) as reply:
            await reply.read()
            return reply.status

    sending = [asyncio.ensure_future(one()) for _ in range(3)]
    async with client.post(
        "/v1/chat/completions", {"model": "openai/f", "messages": MESSAGES}
    ) as reply:
        assert reply.status == 200

    assert await asyncio.gather(*sending) == [200] * 3
