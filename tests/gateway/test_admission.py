"""Limits as clients see them: C1 to C3, C23, S9 and S20."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.settings import load_settings
from faultmaven.gateway.admission import Admission
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.testing import TokenUsage
from tests.gateway.conftest import MESSAGES, events_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.gateway.conftest import Client

ONE, TWO = "vk-one-0123456789", "vk-two-0123456789"
KEYS = f"keys: [{{name: one, key: {ONE}}}, {{name: two, key: {TWO}}}]\n"
CHAT = "/v1/chat/completions"


def ask(client: Client, key: str = ONE, **fields: Any) -> Any:
    body = {"model": "openai/fake", "messages": MESSAGES, **fields}
    return client.post(CHAT, body, Authorization=f"Bearer {key}")


async def status_of(call: Any) -> int:
    async with call as reply:
        await reply.read()
        return reply.status


async def until(is_so: Callable[[], bool]) -> None:
    """Let everything run until something is so."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  # counters of the gateway set no events
            await asyncio.sleep(0)


def use_clock(client: Client) -> FakeClock:
    """Have the gateway's limits go by a clock that stands still."""
    clock = FakeClock()
    gateway, options = client.gateway, client.gateway.options
    gateway.admission = Admission(
        gateway.meter.tally,
        allowances=options.allowances,
        max_concurrency=options.max_concurrency,
        queue_s=options.queue_s,
        clock=clock,
    )
    return clock


def nothing_is_taken(client: Client) -> bool:
    admission = client.gateway.admission
    gates = (*admission._keys.values(), *admission._providers.values())
    counts = [admission.places.taken, admission.places.queued, *(gate.taken for gate in gates)]
    return not any(counts) and not (admission.tally.calls or admission.tally.queued)


@asynccontextmanager
async def held(client: Client, upstream: Any, key: str = ONE) -> AsyncIterator[asyncio.Task[int]]:
    """Keep one call at the upstream."""
    seen = len(upstream.requests)
    call = asyncio.create_task(status_of(ask(client, key, model="openai/fm:hold")))
    await upstream.wait_for_requests(seen + 1)
    try:
        yield call
    finally:
        upstream.release()
        await call


async def test_two_hundred_at_once_are_served_queued_or_sent_away(start, upstream):
    async with start(KEYS + "gateway: {max_concurrency: 10, queue_s: 60}") as client:
        tally = client.gateway.meter.tally
        calls = [
            asyncio.create_task(status_of(ask(client, model="openai/fm:hold"))) for _ in range(200)
        ]
        await until(lambda: sum(call.done() for call in calls) == 170)
        assert (tally.calls, tally.queued) == (10, 20)
        assert len(upstream.requests) == 10
        async with ask(client) as reply:
            error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (503, "overloaded")
        assert (reply.headers["Retry-After"], reply.headers["x-should-retry"]) == ("1", "true")
        upstream.release()
        statuses = await asyncio.gather(*calls)
        async with client.get("/metrics", Authorization=f"Bearer {ONE}") as reply:
            numbers = await reply.text()

    assert (statuses.count(200), statuses.count(503)) == (30, 170)
    assert len(upstream.requests) == 30
    assert 'faultmaven_rejected_total{reason="queue_full"} 171.0' in numbers
    assert "faultmaven_model_calls 0.0" in numbers
    assert nothing_is_taken(client)


async def test_who_waits_too_long_is_sent_away(start, upstream):
    async with start(KEYS + "gateway: {max_concurrency: 1, queue_s: 0.02}") as client:
        async with held(client, upstream):
            async with ask(client) as reply:
                assert (reply.status, (await reply.json())["error"]["code"]) == (503, "overloaded")
            assert client.gateway.meter.tally.rejected["queue_timeout"] == 1
        assert await status_of(ask(client)) == 200


async def test_a_deadline_holds_in_the_queue_too(start, upstream):
    async with start(KEYS + "gateway: {max_concurrency: 1}") as client, held(client, upstream):
        body = {"model": "openai/fake", "messages": MESSAGES}
        call = client.post(CHAT, body, Authorization=f"Bearer {ONE}", x_request_timeout="0.02")
        assert await status_of(call) == 503


async def test_who_leaves_the_queue_is_asked_of_nobody(start, upstream):
    async with start(KEYS + "gateway: {max_concurrency: 1, queue_s: 60}") as client:
        tally = client.gateway.meter.tally
        async with held(client, upstream):
            waiting = asyncio.create_task(status_of(ask(client)))
            await until(lambda: tally.queued == 1)
            waiting.cancel()
            await until(lambda: tally.queued == 0)
        assert await status_of(ask(client)) == 200
        await until(lambda: nothing_is_taken(client))

    assert len(upstream.requests) == 2


async def test_a_keys_answers_say_what_is_left_of_its_limits(start, upstream):
    upstream.reply("x", usage=TokenUsage(20, 10))
    limits = "limits: {keys: {one: {requests_per_minute: 2, tokens_per_minute: 10000}}}"
    async with start(KEYS + limits) as client:
        clock = use_clock(client)
        async with ask(client) as reply:
            headers = reply.headers
            assert headers["x-ratelimit-limit-requests"] == "2"
            assert headers["x-ratelimit-remaining-requests"] == "1"
            assert headers["x-ratelimit-reset-requests"] == "1m1s"
            assert headers["x-ratelimit-limit-tokens"] == "10000"
            assert 9000 < int(headers["x-ratelimit-remaining-tokens"]) < 9750
        clock.advance(30)
        async with ask(client, stream=True) as reply:
            assert reply.headers["x-ratelimit-remaining-requests"] == "0"
            await reply.read()
        async with ask(client) as reply:
            error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (429, "rate_limit_exceeded")
        assert error["type"] == "rate_limit_error"
        assert reply.headers["Retry-After"] == "31"
        assert reply.headers["x-ratelimit-remaining-requests"] == "0"
        assert reply.headers["x-ratelimit-remaining-tokens"] == str(10000 - 2 * 30)
        assert "x-should-retry" not in reply.headers
        async with ask(client, TWO) as reply:
            assert reply.status == 200
            assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]
        clock.advance(31)
        assert await status_of(ask(client)) == 200

    assert len(upstream.requests) == 4


async def test_refusals_are_in_the_clients_own_api(start):
    async with start(KEYS + "limits: {default: {requests_per_minute: 1}}") as client:
        assert await status_of(ask(client)) == 200
        body = {"model": "anthropic/fake", "max_tokens": 5, "messages": MESSAGES}
        async with client.post("/v1/messages", body, Authorization=f"Bearer {ONE}") as reply:
            assert (await reply.json())["error"]["type"] == "rate_limit_error"
        path = "/v1beta/models/openai/fake:generateContent"
        contents = {"contents": [{"parts": [{"text": "x"}]}]}
        async with client.post(path, contents, Authorization=f"Bearer {ONE}") as reply:
            assert (await reply.json())["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert await status_of(ask(client, TWO)) == 200, "each key has the default for itself"


async def test_a_key_has_so_many_requests_at_the_same_time(start, upstream):
    async with start(KEYS + "limits: {keys: {one: {concurrency: 1}}}") as client:
        async with held(client, upstream):
            async with ask(client) as reply:
                assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
            assert await status_of(ask(client, TWO)) == 200
        assert await status_of(ask(client)) == 200


async def test_a_keys_tokens_are_counted_beforehand(start, upstream):
    async with start(KEYS + "limits: {keys: {one: {tokens_per_minute: 1000}}}") as client:
        use_clock(client)
        statuses = await asyncio.gather(
            *(status_of(ask(client, model="openai/fm:status:500", max_tokens=300)) for _ in "1234")
        )
        assert sorted(statuses) == [429, 502, 502, 502]
        assert await status_of(ask(client, max_tokens=900)) == 200, "failures have cost none"


async def test_a_key_has_smaller_bodies(start, upstream):
    async with start(KEYS + "limits: {keys: {one: {max_body_bytes: 1024}}}") as client:
        text = [{"role": "user", "content": "x" * 2000}]
        async with ask(client, messages=text) as reply:
            assert (reply.status, (await reply.json())["error"]["code"]) == (
                413,
                "request_too_large",
            )
        assert await status_of(ask(client, TWO, messages=text)) == 200
        bearer = {"Authorization": f"Bearer {ONE}"}
        contents = {"contents": [{"parts": [{"text": "x" * 2000}]}]}
        for path, body in (
            ("/v1/messages/count_tokens", {"model": "anthropic/fake", "messages": text}),
            ("/v1beta/models/openai/fake:countTokens", contents),
            ("/p/openai/embeddings", {"input": "x" * 2000}),
        ):
            assert await status_of(client.post(path, body, **bearer)) == 413, path

    assert len(upstream.requests) == 1


CLAMPED = {
    "chat": (CHAT, {"model": "openai/fake", "messages": MESSAGES, "max_tokens": 500}),
    "newer name": (
        CHAT,
        {"model": "openai/fake", "messages": MESSAGES, "max_completion_tokens": 500},
    ),
    "translated": (CHAT, {"model": "anthropic/fake", "messages": MESSAGES, "max_tokens": 500}),
    "messages": (
        "/v1/messages",
        {"model": "anthropic/fake", "messages": MESSAGES, "max_tokens": 500},
    ),
    "responses": (
        "/v1/responses",
        {"model": "openai/fake", "input": "x", "max_output_tokens": 500},
    ),
    "completions": ("/v1/completions", {"model": "openai/fake", "prompt": "x", "max_tokens": 500}),
    "gemini": (
        "/v1beta/models/openai/fake:generateContent",
        {
            "contents": [{"parts": [{"text": "x"}]}],
            "generationConfig": {"maxOutputTokens": 500},
        },
    ),
}


@pytest.mark.parametrize(("path", "body"), CLAMPED.values(), ids=CLAMPED)
async def test_longer_answers_than_a_key_may_have_are_not_asked_for(start, upstream, path, body):
    async with start(KEYS + "limits: {keys: {one: {max_tokens: 77}}}") as client:
        assert await status_of(client.post(path, body, Authorization=f"Bearer {ONE}")) == 200
        assert await status_of(client.post(path, body, Authorization=f"Bearer {TWO}")) == 200

    first, second = (request.body.decode() for request in upstream.requests)
    assert "77" in first
    assert "500" not in first
    assert "500" in second


@pytest.mark.parametrize(("add", "sent"), [("true", 77), ("false", None)])
async def test_a_bound_is_asked_for_only_where_the_limit_says_so(start, upstream, add, sent):
    limits = f"limits: {{keys: {{one: {{max_tokens: 77, add_max_tokens: {add}}}}}}}"
    async with start(KEYS + limits) as client:
        assert await status_of(ask(client)) == 200

    body = upstream.last_request.json
    assert (body.get("max_tokens") or body.get("max_completion_tokens")) == sent


async def test_failures_say_what_is_left_as_well(start, upstream):
    async with start(KEYS + "limits: {default: {requests_per_minute: 9}}") as client:
        async with ask(client, model="openai/fm:status:500") as reply:
            assert reply.status == 502
            assert reply.headers["x-ratelimit-remaining-requests"] == "8"
        async with ask(client, model="openai/fm:close-mid-stream:3", stream=True) as reply:
            assert reply.headers["x-ratelimit-remaining-requests"] == "7"
            await reply.read()


async def test_a_passed_stream_has_so_many_seconds(start, upstream):
    async with start(KEYS + "limits: {keys: {one: {stream_s: 1}}}") as client:
        body = {"model": "fm:hold", "messages": MESSAGES, "stream": True}
        bearer = {"Authorization": f"Bearer {ONE}"}
        with pytest.raises(aiohttp.ClientError):
            async with client.post("/p/openai/chat/completions", body, **bearer) as reply:
                await reply.read()
        await upstream.wait_for_clients_gone()
        await until(lambda: nothing_is_taken(client))


async def test_a_stream_has_so_many_seconds(start, upstream):
    async with start(KEYS + "limits: {keys: {one: {stream_s: 1}}}") as client:
        async with ask(client, model="openai/fm:hold", stream=True) as reply:
            assert reply.status == 200
            last = events_of(await reply.text())[-1]
        assert '"upstream_timeout"' in last
        await upstream.wait_for_clients_gone()
        await until(lambda: nothing_is_taken(client))


async def test_a_provider_at_its_limit_is_left_out(start, upstream):
    file = (
        KEYS
        + "limits: {providers: {openai: {requests_per_minute: 60}, groq: {requests_per_minute: 1}}}"
    )
    async with start(file, FALLBACK_PROVIDERS="groq") as client:
        clock = use_clock(client)
        for _ in range(60):
            async with ask(client) as reply:
                assert reply.headers["x-faultmaven-provider"] == "openai"
        async with ask(client) as reply:
            assert reply.headers["x-faultmaven-provider"] == "groq"
            assert reply.headers["x-faultmaven-route"] == "fallback"
            assert reply.headers["x-faultmaven-attempts"] == "1"
        async with ask(client) as reply:
            error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (429, "rate_limit_exceeded")
        assert reply.headers["Retry-After"] == "61"
        assert reply.headers["x-faultmaven-attempts"] == "0"
        assert "x-should-retry" not in reply.headers
        assert "60 requests a minute" in error["message"]
        clock.advance(61)
        async with ask(client) as reply:
            assert reply.headers["x-faultmaven-provider"] == "openai"

    assert len(upstream.requests) == 62


async def test_a_providers_tokens_are_settled_with_what_it_reports(start, upstream):
    upstream.reply("x", usage=TokenUsage(400, 100))
    async with start(KEYS + "limits: {providers: {openai: {tokens_per_minute: 1000}}}") as client:
        use_clock(client)
        statuses = [await status_of(ask(client, max_tokens=100)) for _ in range(3)]

    assert statuses == [200, 200, 429]


async def test_a_providers_places_are_free_when_its_streams_have_ended(start, upstream):
    async with start(KEYS + "limits: {providers: {openai: {concurrency: 1}}}") as client:
        async with ask(client, model="openai/fm:hold", stream=True) as stream:
            assert stream.status == 200
            assert await status_of(ask(client)) == 429
            upstream.release()
            await stream.read()
        await until(lambda: nothing_is_taken(client))
        assert await status_of(ask(client)) == 200


async def test_what_is_passed_on_counts_as_well(start, upstream):
    limits = "limits: {default: {requests_per_minute: 2}, keys: {two: {max_tokens: 5}}}"
    async with start(KEYS + limits) as client:
        bearer = {"Authorization": f"Bearer {ONE}"}
        async with client.get("/p/openai/models", **bearer) as reply:
            assert reply.headers["x-ratelimit-remaining-requests"] == "1"
        assert await status_of(client.get("/p/openai/models", **bearer)) == 200
        async with client.get("/p/openai/models", **bearer) as reply:
            assert (reply.status, reply.headers["x-ratelimit-remaining-requests"]) == (429, "0")
        other = {"Authorization": f"Bearer {TWO}"}
        assert await status_of(client.get("/p/openai/models", **other)) == 404
        assert nothing_is_taken(client)

    assert len(upstream.requests) == 2


ENDS = [
    "ok",
    "status:400",
    "status:429",
    "status:503",
    "200-html",
    "close-before-headers",
    "close-mid-body",
    "reset-mid-stream:3",
    "truncate-stream:4",
    "missing-usage",
]
ALL_LIMITS = """
limits:
  default: {concurrency: 5, requests_per_minute: 500, tokens_per_minute: 500000}
  providers:
    openai: {concurrency: 5, requests_per_minute: 500, tokens_per_minute: 500000}
    groq: {concurrency: 5, requests_per_minute: 500, tokens_per_minute: 500000}
"""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("spec", ENDS)
async def test_every_end_gives_everything_back(start, upstream, spec, stream):
    async with start(KEYS + ALL_LIMITS, FALLBACK_PROVIDERS="groq") as client:
        upstream.mode(spec)
        await asyncio.gather(*(status_of(ask(client, stream=stream)) for _ in range(4)))
        await until(lambda: nothing_is_taken(client))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("spec", ["hold", "stall-headers"])
async def test_clients_that_leave_give_everything_back(start, upstream, spec, stream):
    async with start(KEYS + ALL_LIMITS) as client:
        upstream.mode(spec)
        calls = [asyncio.create_task(status_of(ask(client, stream=stream))) for _ in range(4)]
        await upstream.wait_for_requests(4)
        for call in calls:
            call.cancel()
        await upstream.wait_for_clients_gone(4)
        await until(lambda: nothing_is_taken(client))
        upstream.mode(None)
        assert await status_of(ask(client)) == 200


async def test_a_worker_holds_its_share(start):
    limits = "limits: {default: {requests_per_minute: 5, max_tokens: 50}}"
    async with start(KEYS + limits, workers=2) as client:
        async with ask(client) as reply:
            assert reply.headers["x-ratelimit-limit-requests"] == "3"
        assert [await status_of(ask(client)) for _ in "123"] == [200, 200, 429]


async def test_other_limits_are_taken_while_it_runs(start, upstream, tmp_path):
    async with start(KEYS + "limits: {keys: {one: {requests_per_minute: 1}}}") as client:
        assert [await status_of(ask(client)) for _ in "12"] == [200, 429]
        (tmp_path / "faultmaven.yaml").write_text(
            KEYS + "limits: {keys: {one: {requests_per_minute: 3}}}"
        )
        assert await client.gateway.reloads.reload() == ""
        assert [await status_of(ask(client)) for _ in "123"] == [200, 200, 429]


BAD = {
    "limits: {keys: {one: {requests_per_minute: 0}}}": "at least 1 and at most 10000000",
    "limits: {default: {tokens_per_minute: -5}}": "at least 1 and at most",
    "limits: {providers: {openai: {concurrency: 1.5}}}": "integer",
    "limits: {providers: {openai: {concurrency: 1000000}}}": "at most 100000",
    "limits: {keys: {one: {stream_s: 0}}}": "at least 1 and at most 86400",
    "limits: {keys: {one: {max_body_bytes: lots}}}": "integer",
    "limits: {providers: {openai: {max_tokens: 5}}}": "unknown field",
    "gateway: {max_concurrency: 0}": "at least 1 and at most 100000",
    "gateway: {queue_s: 10000}": "at least 0 and at most 600",
}


@pytest.mark.parametrize(("file", "told"), BAD.items())
def test_limits_that_are_none_are_refused_with_what_is_permitted(
    tmp_path, monkeypatch, file, told
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "faultmaven.yaml"
    path.write_text(file)

    with pytest.raises(ConfigFileError, match=told):
        load_settings(FAULTMAVEN_CONFIG=str(path))
