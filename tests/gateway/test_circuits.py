"""Providers that keep failing are left alone, as a gateway's clients and administrators see it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from faultmaven.infrastructure.llm.health import Circuits
from faultmaven.infrastructure.llm.retry import FakeClock
from tests.gateway.conftest import MESSAGES

PAIR = {"FALLBACK_PROVIDERS": "groq"}
BROKEN = "status:503:retry-after-ms=1"


def stop_clock(client: Any) -> FakeClock:
    clock = FakeClock()
    registry = client.gateway.registry
    registry.circuits = Circuits(registry.circuits.policy, now=clock.monotonic, draw=lambda: 0.5)
    client.gateway.meter.breakers.circuits = registry.circuits
    return clock


async def asked(client: Any, model: str = "openai/fake", **fields: Any) -> tuple[int, Any]:
    async with client.chat(model, **fields) as reply:
        await reply.read()
        return reply.status, reply


async def break_circuit(client: Any, upstream: Any, times: int = 5) -> None:
    upstream.mode("status:500")
    for _ in range(times):
        await asked(client)
    upstream.mode(None)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_retry_storm_does_not_reach_a_provider_that_is_down(start, upstream, stream):
    """U41: a hundred callers, five hundred requests, nothing works."""
    offered, callers = 500, 100
    async with start(LLM_MAX_RETRIES="2") as client:
        stop_clock(client)
        upstream.mode(BROKEN)

        async def call_five_times() -> list[tuple[int, Any]]:
            return [await asked(client, stream=stream) for _ in range(offered // callers)]

        batches = await asyncio.gather(*(call_five_times() for _ in range(callers)))
        answers = [answer for batch in batches for answer in batch]
        reached = len(upstream.requests)
        refused = [reply for status, reply in answers if "retry-after" in reply.headers]
        for _ in range(20):
            status, reply = await asked(client, stream=stream)
            assert status == 503
            assert reply.headers["x-faultmaven-attempts"] == "0"

    assert len(answers) == offered
    assert {status for status, _ in answers} == {503}
    # What was on its way when it opened, and no more: far below the offered 500 and a tenth.
    assert reached <= callers + 3
    assert len(upstream.requests) == reached, "nothing gets through after it has opened"
    assert len(refused) == offered


async def test_an_open_circuit_is_told_with_the_time_to_come_back(start, upstream):
    async with start() as client:
        stop_clock(client)
        await break_circuit(client, upstream)
        async with client.chat() as reply:
            error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (503, "upstream_unavailable")
    assert reply.headers["retry-after"] == "30"
    assert reply.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 5


async def test_recovery_is_probed_by_one_call_at_a_time(start, upstream):
    """U42: the crowd waits until two probes have succeeded."""
    async with start() as client:
        clock = stop_clock(client)
        await break_circuit(client, upstream)
        clock.advance(31.0)
        upstream.mode("hold")
        probe = asyncio.ensure_future(asked(client))
        await upstream.wait_for_requests(6)
        crowd = await asyncio.gather(*(asked(client) for _ in range(50)))
        assert {status for status, _ in crowd} == {503}
        assert len(upstream.requests) == 6
        upstream.release()
        assert (await probe)[0] == 200

        upstream.mode(None)
        assert (await asked(client))[0] == 200
        assert {status for status, _ in await asyncio.gather(*(asked(client) for _ in range(9)))} == {200}  # fmt: skip
        assert await states(client) == {"fake": "closed"}


async def test_a_probe_that_fails_keeps_it_open(start, upstream):
    async with start() as client:
        clock = stop_clock(client)
        await break_circuit(client, upstream)
        clock.advance(31.0)
        upstream.mode("status:500")
        assert (await asked(client))[0] == 502
        assert (await asked(client))[0] == 503

        assert await states(client) == {"fake": "open"}
        assert len(upstream.requests) == 6


async def test_a_client_that_leaves_gives_its_probe_back(start, upstream):
    async with start() as client:
        clock = stop_clock(client)
        await break_circuit(client, upstream)
        clock.advance(31.0)
        upstream.mode("stall-headers")
        async with aiohttp.ClientSession() as leaving:
            client.session, staying = leaving, client.session
            probe = asyncio.ensure_future(asked(client))
            await upstream.wait_for_requests(6)
            probe.cancel()
            with suppress(asyncio.CancelledError):
                await probe
        client.session = staying
        await upstream.wait_for_clients_gone()

        upstream.mode(None)
        assert (await asked(client))[0] == 200


async def test_the_next_provider_answers_without_asking_the_open_one(start, upstream):
    async with start(**PAIR) as client:
        stop_clock(client)
        for _ in range(5):
            upstream.script(["status:500"])
            assert (await asked(client))[0] == 200
        asked_so_far = len(upstream.requests)
        status, reply = await asked(client)

    assert status == 200
    assert reply.headers["x-faultmaven-provider"] == "groq"
    assert reply.headers["x-faultmaven-route"] == "fallback"
    assert reply.headers["x-faultmaven-attempts"] == "1"
    assert len(upstream.requests) == asked_so_far + 1


async def test_a_trial_a_second_passes_where_every_circuit_is_open(start, upstream):
    async with start(**PAIR) as client:
        clock = stop_clock(client)
        upstream.mode("status:500")
        for _ in range(5):
            await asked(client)
        before = len(upstream.requests)
        await asked(client)
        assert len(upstream.requests) == before
        clock.advance(1.0)
        for _ in range(5):
            await asked(client)
        assert len(upstream.requests) == before + 1

        upstream.mode(None)
        clock.advance(1.0)
        for _ in range(2):
            assert (await asked(client))[0] == 200


@pytest.mark.parametrize("spec", ["status:400", "status:401", "status:404", "context-length"])
async def test_a_refusal_opens_no_circuit(start, upstream, spec):
    async with start() as client:
        upstream.mode(spec)
        for _ in range(7):
            await asked(client)

        assert len(upstream.requests) == 7
        assert await states(client) in ({}, {"fake": "closed"})


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
@pytest.mark.parametrize("spec", ["stall-headers", "stall-mid-stream:4"])
async def test_a_client_in_a_hurry_opens_no_circuit(start, upstream, spec, model):
    async with start("circuit: {failures: 2}") as client:
        upstream.mode(spec)
        for _ in range(3):
            async with client.post(
                "/v1/chat/completions",
                {"model": model, "messages": MESSAGES, "stream": True},
                x_request_timeout="0.3",
            ) as reply:
                await reply.read()

        assert await states(client) == {"fake": "closed"}
        assert len(upstream.requests) == 3


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
@pytest.mark.parametrize(
    "spec", ["close-mid-stream:4", "error-event:4"], ids=["cut", "error event"]
)
async def test_a_stream_that_breaks_after_its_beginning_counts_as_a_failure(
    start, upstream, spec, model
):
    async with start() as client:
        stop_clock(client)
        upstream.mode(spec)
        for _ in range(5):
            assert (await asked(client, model, stream=True))[0] == 200

        assert (await asked(client, model, stream=True))[0] == 503
        assert len(upstream.requests) == 5


async def test_a_stream_that_its_client_leaves_counts_as_nothing(start, upstream):
    async with start() as client:
        upstream.mode("stall-mid-stream:4")
        for count in range(1, 7):
            async with aiohttp.ClientSession() as leaving:
                staying, client.session = client.session, leaving
                async with client.chat(stream=True) as reply:
                    await reply.content.readany()
                client.session = staying
            await upstream.wait_for_clients_gone(count)

        assert await states(client) == {"fake": "closed"}


async def test_at_most_four_tries_are_made_over_a_whole_plan(start, upstream):
    chain = "fallback_chains: {openai: [groq, anthropic/a]}"
    async with start(chain, LLM_MAX_RETRIES="2") as client:
        upstream.mode(BROKEN)
        async with client.chat() as reply:
            await reply.read()

    assert reply.headers["x-faultmaven-attempts"] == "4"
    # One try is kept for each that has not been asked.
    assert [r.json["model"] for r in upstream.requests][-1] == "a"
    assert len(upstream.requests) == 4


async def test_a_limit_sends_the_next_call_elsewhere_until_it_is_over(start, upstream):
    async with start(**PAIR) as client:
        clock = stop_clock(client)
        upstream.script(["status:429:retry-after=20"])
        assert (await asked(client))[1].headers["x-faultmaven-attempts"] == "2"
        assert (await asked(client))[1].headers["x-faultmaven-attempts"] == "1"
        clock.advance(21.0)
        assert (await asked(client))[1].headers["x-faultmaven-provider"] == "openai"


async def test_a_limit_is_passed_on_where_there_is_nobody_else(start, upstream):
    async with start() as client:
        stop_clock(client)
        upstream.script(["status:429:retry-after=20"])
        await asked(client)
        async with client.chat() as reply:
            error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (429, "rate_limit_exceeded")
    assert reply.headers["retry-after"] == "20"
    # Nothing was tried, so that a client may well come back by itself.
    assert "x-should-retry" not in reply.headers
    assert len(upstream.requests) == 1


async def test_an_exhausted_key_is_marked_and_asked_last(start, upstream):
    """U31: not retried, marked; another provider first, itself where there is none."""
    async with start(**PAIR) as client:
        upstream.script(["quota"])
        assert (await asked(client))[1].headers["x-faultmaven-provider"] == "groq"
        assert len(upstream.requests) == 2
        assert (await asked(client))[1].headers["x-faultmaven-attempts"] == "1"

        upstream.mode("quota")
        assert (await asked(client))[0] == 429
        assert len(upstream.requests) == 5, "groq, and openai after it"


KEYS = """
providers:
  pair: {base: openai, api_key_var: [PAIR_ONE, PAIR_TWO], default_model: m}
"""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("spec", ["status:401", "status:403", "status:402", "quota", "status:429"])
async def test_another_key_is_tried_where_only_the_key_failed(start, upstream, spec, stream):
    """U37: the caller sees the answer; the bad key rests."""
    keys = {"PAIR_ONE": "sk-one-0123456789", "PAIR_TWO": "sk-two-0123456789"}
    async with start(KEYS, PAIR_API_BASE=upstream.base_url, **keys) as client:
        upstream.script([spec, None, None])
        status, reply = await asked(client, "pair/m", stream=stream)
        assert status == 200
        assert reply.headers["x-faultmaven-attempts"] == "2"
        assert (await asked(client, "pair/m", stream=stream))[0] == 200
        async with client.get("/health/providers") as page:
            text = await page.text()
            listed = {row["name"]: row for row in (await page.json())["providers"]}

    used = [request.api_key for request in upstream.requests]
    assert used == ["sk-one-0123456789", "sk-two-0123456789", "sk-two-0123456789"]
    assert [(key["variable"], key["in_use"]) for key in listed["pair"]["keys"]] == [
        ("PAIR_ONE", False), ("PAIR_TWO", True),
    ]  # fmt: skip
    assert listed["pair"]["keys"][0]["until_s"] > 0
    assert "sk-one" not in text
    assert "sk-two" not in text


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_no_call_fails_when_one_of_two_keys_is_revoked(start, upstream, stream):
    """F9: the revoked key drops out with its first refusals."""
    keys = {"PAIR_ONE": "sk-one-0123456789", "PAIR_TWO": "sk-two-0123456789"}
    async with start(KEYS, PAIR_API_BASE=upstream.base_url, **keys) as client:

        async def ask_many() -> list[tuple[int, Any]]:
            calls = (asked(client, "pair/m", stream=stream) for _ in range(30))
            return await asyncio.gather(*calls)

        upstream.api_keys = set(keys.values())
        before = await ask_many()
        upstream.api_keys = {keys["PAIR_TWO"]}
        meanwhile = await ask_many()
        so_far = len(upstream.requests)
        after = await ask_many()

    assert {status for status, _ in [*before, *meanwhile, *after]} == {200}
    assert {r.api_key for r in upstream.requests[so_far:]} == {keys["PAIR_TWO"]}


async def test_when_every_key_is_refused_each_was_tried_once(start, upstream):
    keys = {"PAIR_ONE": "sk-one-0123456789", "PAIR_TWO": "sk-two-0123456789"}
    async with start(KEYS, PAIR_API_BASE=upstream.base_url, **keys) as client:
        upstream.mode("status:401")
        status, reply = await asked(client, "pair/m")

    assert status == 502
    assert reply.headers["x-faultmaven-attempts"] == "2"
    assert len(upstream.requests) == 2


async def test_the_file_sets_the_figures_and_may_switch_it_off(start, upstream):
    async with start("circuit: {failures: 2}") as client:
        await break_circuit(client, upstream, 2)
        assert (await asked(client))[0] == 503
    async with start("circuit: {enabled: false}") as client:
        await break_circuit(client, upstream, 9)
        assert (await asked(client))[0] == 200


async def test_administrators_see_circuits_in_pages_and_metrics(start, upstream):
    async with start() as client:
        clock = stop_clock(client)
        await break_circuit(client, upstream)
        clock.advance(10.0)
        async with client.get("/health/providers") as reply:
            listed = {row["name"]: row for row in (await reply.json())["providers"]}
        async with client.get("/metrics") as reply:
            metrics = await reply.text()

    assert listed["openai"]["circuits"] == [
        {
            "model": "fake", "state": "open", "since_s": 10.0, "until_s": 20.0, "failures": 0,
            "last_error": "ServerError", "cooling": False,
        }
    ]  # fmt: skip
    assert 'faultmaven_circuit_open{model="fake",provider="openai"} 1.0' in metrics


async def states(client: Any) -> dict[str, str]:
    async with client.get("/health/providers") as reply:
        providers = (await reply.json())["providers"]
    return {c["model"]: c["state"] for row in providers for c in row["circuits"]}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_call_that_is_kept_away_is_one_line_in_the_log(start, upstream, caplog, stream):
    async with start() as client:
        stop_clock(client)
        await break_circuit(client, upstream)
        caplog.clear()
        caplog.set_level("INFO", "faultmaven")
        for _ in range(9):
            await asked(client, stream=stream)

    assert [record.name for record in caplog.records] == ["faultmaven.gateway.access"] * 9
    assert not any(record.exc_info for record in caplog.records)
