"""What a caller sees of a bad upstream beside the error: waits, keys, connections, tools, usage.

Every fault, plain and streamed, is in test_fault_matrix.py.
"""

from __future__ import annotations

from contextlib import aclosing, suppress

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ServerError,
)
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing.listeners import broken_port

KEY = "sk-canary-0123456789abcdef"
LOOKUP = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
ROW = {
    "api_key_var": "ACME_API_KEY",
    "model_var": "ACME_MODEL",
    "base_url_var": "ACME_API_BASE",
}


class InstantClock(FakeClock):
    """Waits between tries take no time; the deadline counts real time."""

    def monotonic(self):
        import time

        return time.monotonic()

    def advance(self, seconds):
        pass


def provider(base_url, **settings):
    return OpenAIProvider(
        name="acme",
        api_key=KEY,
        base_url=base_url,
        models=["m"],
        row=ROW,
        clock=InstantClock(),
        **{"timeout": 20, **settings},
    )


@pytest.fixture
async def acme(upstream):
    async with provider(upstream.base_url) as made:
        yield made


async def text_of(upstream):
    """Give the upstream's undisturbed answer."""
    async with provider(upstream.base_url) as other:
        return (await other.generate("Hello")).content


async def test_server_asking_to_wait_is_waited_for(upstream):
    clock = InstantClock()
    async with provider(upstream.base_url) as made:
        made._clock = clock
        await made.generate("Hello", model="fm:flaky:1:status:429:retry-after=7")

    assert 7 <= clock.sleeps[0] <= 7.7


async def test_waits_grow_with_full_jitter(upstream):
    clock = InstantClock()
    async with provider(upstream.base_url) as made:
        made._clock = clock
        await made.generate("Hello", model="fm:flaky:2:status:500")

    assert 0 <= clock.sleeps[0] <= 0.5
    assert 0 <= clock.sleeps[1] <= 1.0


@pytest.mark.parametrize("retries", [0, 2, 3])
async def test_max_retries_bounds_the_tries(upstream, retries):
    async with provider(upstream.base_url, max_retries=retries) as made:
        with pytest.raises(ServerError):
            await made.generate("Hello", model="fm:status:500")

    assert len(upstream.requests) == retries + 1


async def test_deadline_bounds_tries_and_waits(upstream):
    async with provider(upstream.base_url, timeout=30) as made:
        with pytest.raises(LLMTimeoutError) as caught:
            await made.generate("Hello", model="fm:stall-headers", timeout=0.3)

    assert caught.value.code == "deadline_exceeded"
    assert len(upstream.requests) == 1


async def test_untrusted_certificate_is_not_retried():
    async with broken_port("tls-untrusted") as port, provider(port.url("https")) as made:
        with pytest.raises(LLMConnectionError, match="ca_file") as caught:
            await made.generate("Hello")

    assert caught.value.code == "tls_error"
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize("fault", ["auth-echo", "status:401"])
async def test_key_that_the_provider_quotes_is_redacted(acme, fault):
    with pytest.raises(AuthenticationError) as caught:
        await acme.generate("Hello", model=f"fm:{fault}")

    assert KEY not in str(caught.value)
    assert "ACME_API_KEY" in str(caught.value)


async def test_stale_connections_are_replaced_unseen(acme, upstream):
    for _ in range(10):
        await acme.generate("Hello", model="fm:ok-then-close:0")
        response = await acme.generate("Hello")

        assert len(response.route.attempts) == 1


async def test_leftover_bytes_never_reach_the_next_call(acme, upstream):
    expected = await text_of(upstream)
    for _ in range(5):
        with suppress(LLMError):
            await acme.generate("Hello", model="fm:cl-too-short", max_tokens=3)
        assert (await acme.generate("Hello")).content == expected


async def test_content_filter_is_an_answer(acme, upstream):
    response = await acme.generate("Hello", model="fm:content-filter")

    assert response.finish_reason == "content_filter"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("kind", ["string", "negative", "huge", "null"])
async def test_usage_that_cannot_be_true_is_estimated(acme, kind):
    response = await acme.generate("Hello", model=f"fm:bad-usage:{kind}")

    assert (response.input_tokens, response.usage_source) == (None, "estimated")
    assert 0 < response.usage["output_tokens"] < 10_000


async def test_missing_usage_is_estimated_and_said_so(acme):
    response = await acme.generate("Hello", model="fm:missing-usage")

    assert (response.input_tokens, response.usage_source) == (None, "estimated")
    assert response.usage["input_tokens"] > 0


# Streams.


async def collect(made, fault):
    """Give the text of a stream as far as it came, and the error that ended it."""
    text = ""
    try:
        async with aclosing(made.stream("Hello", model=f"fm:{fault}")) as chunks:
            async for chunk in chunks:
                text += chunk.text
    except LLMError as error:
        return text, error
    return text, None


async def test_interrupted_stream_is_not_repeated(acme, upstream):
    await collect(acme, "reset-mid-stream:5")

    assert len(upstream.requests) == 1


async def test_event_that_is_too_large_ends_the_stream(acme):
    text, error = await collect(acme, "giant-line:4")

    assert text == "before "
    assert error.code == "event_too_large"


async def test_closing_a_stream_cancels_the_upstream_call(acme, upstream):
    stream = acme.stream("Hello", model="fm:long:1000:20")
    await anext(stream)

    await stream.aclose()

    await upstream.wait_for_clients_gone(1)


async def test_key_in_a_stream_error_is_redacted(acme):
    _, error = await collect(acme, "key-in-stream")

    assert error is not None
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"timeout": 0.2}, "Try again, or raise `timeout` in the row of acme"),
        ({"timeout": 30, "call_timeout_s": 0.2}, "Raise the call's timeout"),
    ],
    ids=["row", "call"],
)
async def test_timeout_says_once_what_to_raise(upstream, settings, advice):
    async with provider(upstream.base_url, max_retries=0, **settings) as made:
        with pytest.raises(LLMTimeoutError) as caught:
            await made.generate("Hello", model="fm:stall-headers")

    assert advice in caught.value.message
    assert caught.value.message.lower().count("raise") == 1


@pytest.mark.parametrize(
    "fault",
    ["tool-args-object", "tool-args-empty", "tool-no-id", "tool-no-index", "tool-interleaved"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_odd_tool_calls_are_read(acme, fault, streamed):
    prompt, model = "Call the tool lookup", f"fm:{fault}"
    if streamed:
        response = assemble([c async for c in acme.stream(prompt, model=model, tools=[LOOKUP])])
    else:
        response = await acme.generate(prompt, model=model, tools=[LOOKUP])

    assert response.finish_reason == "tool_calls"
    assert response.tool_calls
    assert all(call.id and call.name for call in response.tool_calls)
    assert all(isinstance(call.arguments, dict) for call in response.tool_calls)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_broken_tool_arguments_are_given_verbatim(acme, streamed):
    prompt, model = "Call the tool lookup", "fm:tool-args-invalid"
    if streamed:
        response = assemble([c async for c in acme.stream(prompt, model=model, tools=[LOOKUP])])
    else:
        response = await acme.generate(prompt, model=model, tools=[LOOKUP])

    assert response.tool_calls[0].arguments is None
    assert response.tool_calls[0].arguments_raw
