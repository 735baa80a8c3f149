"""Tries, fallbacks and deadlines, as a client sees them."""

from __future__ import annotations

import time

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import MESSAGES, events_of

PAIR = {"FALLBACK_PROVIDERS": "groq"}
BROKEN = ["status:503", "close-before-headers", "200-html", "error-first", "empty-stream"]


@pytest.mark.parametrize("spec", BROKEN)
async def test_the_next_provider_answers_and_the_client_sees_one_clean_stream(
    start, upstream, spec
):
    async with start(**PAIR) as client:
        upstream.script([spec, None])
        async with client.chat(stream=True) as reply:
            relayed = events_of(await reply.text())

    assert reply.headers["x-faultmaven-provider"] == "groq"
    assert reply.headers["x-faultmaven-route"] == "fallback"
    assert reply.headers["x-faultmaven-attempts"] == "2"
    assert relayed[-1] == "[DONE]"
    assert len(upstream.requests) == 2


async def test_a_fallback_may_speak_another_dialect(start, upstream):
    async with start(FALLBACK_PROVIDERS="anthropic/claude-x") as client:
        upstream.script(["status:500", None])
        async with client.chat() as reply:
            answer = await reply.json()

    assert reply.headers["x-faultmaven-provider"] == "anthropic"
    assert upstream.requests[1].json["model"] == "claude-x"
    assert answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("spec", ["status:400", "context-length", "status:422"])
async def test_a_clients_own_mistake_is_not_repeated_elsewhere(start, upstream, spec):
    async with start(**PAIR) as client:
        upstream.script([spec])
        async with client.chat() as reply:
            assert reply.status in (400, 422)

    assert len(upstream.requests) == 1


async def test_a_stream_that_has_begun_does_not_change_its_provider(start, upstream):
    async with start(**PAIR) as client:
        upstream.script(["close-mid-stream:4"])
        async with client.chat(stream=True) as reply:
            assert '"error"' in events_of(await reply.text())[-1]

    assert len(upstream.requests) == 1


async def test_when_all_fail_the_last_reason_is_told(start, upstream):
    async with start(**PAIR) as client:
        upstream.mode("status:503")
        async with client.chat() as reply:
            error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (503, "overloaded")
    assert "(1) openai" in error["message"]
    assert "(2) groq" in error["message"]
    assert reply.headers["x-faultmaven-attempts"] == "2"
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_provider_is_tried_again_before_anyone_else(start, upstream, stream):
    async with start(LLM_MAX_RETRIES="2") as client:
        upstream.script(["status:429:retry-after-ms=1", "status:429:retry-after-ms=1", None])
        async with client.chat(stream=stream) as reply:
            assert reply.status == 200
            await reply.read()

    assert reply.headers["x-faultmaven-attempts"] == "3"
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_all_tries_fit_into_the_clients_deadline(start, upstream, provider):
    async with start(LLM_MAX_RETRIES="2") as client:
        upstream.mode("stall-headers")
        started = time.monotonic()
        async with client.post(
            "/v1/chat/completions",
            {"model": f"{provider}/fake", "messages": MESSAGES},
            x_request_timeout="0.3",
        ) as reply:
            assert reply.status == 504

    assert 0.25 < time.monotonic() - started < 20  # a try alone may take a minute


async def test_a_chain_of_the_file_takes_the_place_of_the_usual_one(start, upstream):
    file = "fallback_chains: {openai: [anthropic/claude-z]}"
    async with start(file, **PAIR) as client:
        upstream.script(["status:500", Reply("from the chain")])
        async with client.chat() as reply:
            assert reply.headers["x-faultmaven-provider"] == "anthropic"


async def test_aliases_and_groups_of_the_file_are_models(start, upstream):
    file = """
models:
  aliases: {fast: groq/llama-x, named: {provider: openai, model: gpt-y}}
  groups: {both: [openai/a, groq/b]}
"""
    async with start(file) as client:
        for name, model in (("fast", "llama-x"), ("named", "gpt-y"), ("both", "a")):
            async with client.chat(name) as reply:
                assert reply.status == 200
            assert upstream.last_request.json["model"] == model
        async with client.get("/v1/models") as reply:
            ids = [row["id"] for row in (await reply.json())["data"]]
    assert {"fast", "named", "both"} <= set(ids)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("asked", "chain", "answers"),
    [
        ("gpt-4o-mini", "groq/llama-3.3-70b-versatile", "groq"),
        ("gpt-4o-mini", "groq/nobody-knows, anthropic/claude-sonnet-4-5", "anthropic"),
        ("gpt-4o-mini", "openai/gpt-4o", None),
        ("gpt-4o-mini", "groq/nobody-knows", None),
    ],
)
async def test_what_was_too_long_is_asked_again_in_a_larger_window_only(
    start, upstream, asked, chain, answers, stream
):
    async with start(f"fallback_chains: {{openai: [{chain}]}}") as client:
        upstream.script(["context-length", None])
        async with client.chat(f"openai/{asked}", stream=stream) as reply:
            await reply.read()

    assert reply.status == (200 if answers else 400)
    assert reply.headers.get("x-faultmaven-provider") == answers
    assert len(upstream.requests) == (2 if answers else 1)
