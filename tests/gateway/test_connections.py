"""The way to a provider: ports that are broken, certificates that are wrong, connections kept and reused."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from faultmaven.infrastructure.llm.http import TransportPolicy
from faultmaven.testing import FakeUpstream, broken_port
from faultmaven.testing.listeners import make_tls
from tests.gateway.conftest import KEY, MESSAGES
from tests.gateway.lanes import LANES

FRONTS = ["/v1/chat/completions", "/v1/messages"]

# Kind and scheme: status, code, tries with two retries.
PORTS = {
    ("refused", "http"): (502, "upstream_unreachable", 3),
    ("black-hole", "http"): (504, "upstream_timeout", 3),
    ("reset-at-accept", "http"): (502, "upstream_unreachable", 3),
    ("garbage", "http"): (502, "upstream_protocol_error", 2),
    ("plain-http", "https"): (502, "upstream_unreachable", 3),
    ("reset-at-hello", "https"): (502, "upstream_unreachable", 3),
    ("handshake-stall", "https"): (504, "upstream_timeout", 3),
    ("tls-untrusted", "https"): (502, "upstream_tls_error", 1),
    ("tls-wrong-host", "https"): (502, "upstream_tls_error", 1),
    ("tls-expired", "https"): (502, "upstream_tls_error", 1),
}


# These say nothing at all, so that only a time limit ends them.
SILENT = frozenset({"black-hole", "handshake-stall"})


def row(url: str, *more: str, kind: str = "") -> str:
    timeout_s = 0.3 if kind in SILENT else 30
    fields = ", ".join(
        [
            f"base: openai, default_base_url: '{url}/v1', api_key_var: null",
            f"timeout: {timeout_s}",
            *more,
        ]
    )
    return f"providers: {{there: {{{fields}}}}}"


def ask(client, *, stream=False, model="there/fake", **headers):
    body = {"model": model, "messages": MESSAGES, "stream": stream}
    return client.post("/v1/chat/completions", body, **headers)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("kind", "scheme"), PORTS)
async def test_a_broken_port_is_told_and_tried_again_where_that_helps(start, kind, scheme, stream):
    status, code, tries = PORTS[kind, scheme]
    async with (
        broken_port(kind) as port,
        start(row(port.url(scheme), kind=kind), LLM_MAX_RETRIES="2") as client,
        ask(client, stream=stream) as reply,
    ):
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (status, code)
    assert reply.headers["x-faultmaven-attempts"] == str(tries)
    assert reply.headers["x-should-retry"] == "false"
    assert "127.0.0.1" not in error["message"]
    assert str(port.port) not in error["message"]


@pytest.mark.parametrize("kind", ["refused", "garbage", "tls-untrusted", "handshake-stall"])
async def test_another_provider_answers_for_a_broken_port(start, kind):
    scheme = "http" if kind in ("refused", "garbage") else "https"
    async with (
        broken_port(kind) as port,
        start(
            row(port.url(scheme), kind=kind), FALLBACK_PROVIDERS="openai", CHAT_PROVIDER="there"
        ) as client,
        ask(client, model="fake") as reply,
    ):
        assert reply.status == 200
        assert reply.headers["x-faultmaven-provider"] == "openai"
        assert reply.headers["x-faultmaven-attempts"] == "2"


@pytest.mark.parametrize("kind", ["black-hole", "handshake-stall"])
async def test_connecting_ends_at_the_clients_deadline(start, kind):
    scheme = "https" if kind == "handshake-stall" else "http"
    async with broken_port(kind) as port, start(row(port.url(scheme))) as client:
        began = time.monotonic()
        async with ask(client, x_request_timeout="0.3") as reply:
            assert reply.status == 504

    assert 0.25 < time.monotonic() - began < TransportPolicy().connect_timeout_s


async def test_a_host_that_nobody_knows(start):
    async with (
        start(row("https://nxdomain.invalid"), LLM_MAX_RETRIES="2") as client,
        ask(client) as reply,
    ):
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (502, "upstream_unreachable")
    assert "there" in error["message"]
    assert "nxdomain" not in error["message"]


@asynccontextmanager
async def tls_upstream(tmp_path: Path):
    """Serve HTTPS; give the server and the file of the authority that vouches for it."""
    pytest.importorskip("trustme")
    context, authority = make_tls()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority)
    async with FakeUpstream(tls=context) as server:
        yield server, ca_file


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_named_authority_is_trusted_and_connections_are_kept(start, tmp_path, stream):
    async with (
        tls_upstream(tmp_path) as (server, ca_file),
        start(row(server.url, f"ca_file: {ca_file}")) as client,
    ):
        for _ in range(5):
            async with ask(client, stream=stream) as reply:
                assert reply.status == 200
                assert "Grüße" in await reply.text()
        assert server.connections_opened == 1


async def test_streams_over_tls_are_whole_however_they_are_cut(start, tmp_path):
    specs = ("split-bytes", "flood:200:4096", "gzip", "slow-stream:1")
    async with (
        tls_upstream(tmp_path) as (server, ca_file),
        start(row(server.url, f"ca_file: {ca_file}")) as client,
    ):
        for spec in specs:
            async with ask(client, stream=True, model=f"there/fm:{spec}") as reply:
                text = await reply.text()
            assert LANES["relayed chat"].ends(text) == 1, spec
        async with ask(client, stream=True, model="there/fm:flood:200:4096") as reply:
            assert len(await reply.read()) > 200 * 4096


async def test_an_unverified_certificate_is_taken_when_told_so_and_warned_of(
    start, tmp_path, caplog
):
    async with (
        tls_upstream(tmp_path) as (server, _),
        start(row(server.url, "tls_verify: false")) as client,
        ask(client) as reply,
    ):
        assert reply.status == 200

    assert "not verified" in caplog.text


async def test_a_file_that_holds_no_authority_is_a_configuration_error(start, tmp_path):
    async with tls_upstream(tmp_path) as (server, ca_file):
        ca_file.write_text("no certificate")
        async with start(row(server.url, f"ca_file: {ca_file}")) as client, ask(client) as reply:
            error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (503, "configuration_error")
    assert "ca_file" in error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_went_stale_is_replaced_unseen(client, upstream, end, stream):
    for count in range(1, 21):
        async with client.chat(f"openai/fm:ok-then-{end}:0", stream=stream) as reply:
            assert reply.status == 200
            assert reply.headers["x-faultmaven-attempts"] == "1"
            await reply.read()

        assert len(upstream.requests) == count


async def test_an_answer_that_nobody_asked_for_reaches_nobody(client, upstream):
    for _ in range(25):
        async with client.chat("openai/fm:poison") as reply:
            assert "POISONED" not in await reply.text()
        await upstream.wait_until(lambda: upstream.connections_open == 0)  # it was thrown away
        async with client.chat() as reply:
            assert "POISONED" not in await reply.text()


@pytest.mark.parametrize("spec", ["cl-too-short", "dup-done", "done-then-more", "close-mid-body"])
async def test_leftovers_never_reach_the_next_request(client, spec):
    for stream in (False, True) * 3:
        async with client.chat(f"openai/fm:{spec}", stream=stream) as reply:
            await reply.read()
        async with client.chat() as reply:
            answer = await reply.json()

        assert answer["model"] == "fake"
        assert answer["choices"][0]["message"]["content"].startswith("Grüße")


@pytest.mark.parametrize("code", ["301", "302", "307", "308", "loop"])
async def test_redirects_are_not_followed(client, upstream, code):
    for lane in LANES.values():
        async with client.post(lane.path, lane.body(f"redirect:{code}")) as reply:
            assert reply.status == 502

    assert upstream.redirect_followed == 0
    assert upstream.redirect_leaks == []
    assert len(upstream.requests) == len(LANES)


async def test_the_environments_proxy_and_netrc_are_not_used(
    start, upstream, monkeypatch, tmp_path
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password sk-canary-netrc\n")
    async with broken_port("reset-at-accept") as trap:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, trap.url())
        monkeypatch.setenv("HOME", str(tmp_path))
        async with start() as client:
            for lane in LANES.values():
                async with client.post(lane.path, lane.body("ok")) as reply:
                    assert reply.status == 200

        assert trap.journal.connections_opened == 0
    assert "canary-netrc" not in str([request.headers for request in upstream.requests])


async def test_who_waits_for_a_connection_does_not_wait_for_ever(start, records):
    async with broken_port("handshake-stall") as port, start(row(port.url("https"))) as client:
        replies = await asyncio.gather(*(fetch(client) for _ in range(20)))

    assert replies == [504] * 20
    assert len(records) == 20
    assert KEY not in repr(records)


async def fetch(client) -> int:
    async with ask(client) as reply:
        await reply.read()
        return reply.status
