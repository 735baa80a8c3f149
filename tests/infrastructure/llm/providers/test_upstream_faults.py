"""Everything an upstream can do wrong, against a provider of the SDK.

One row a fault: its number in the fault list, what the upstream does, and what a caller must see.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import dataclass

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    ContextLengthError,
    InvalidRequestError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.testing import FakeUpstream
from faultmaven.testing.listeners import broken_port

KEY = "sk-canary-0123456789abcdef"
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
        **{"timeout": 0.4, **settings},
    )


@pytest.fixture
async def upstream():
    async with FakeUpstream() as server:
        yield server


@pytest.fixture
async def acme(upstream):
    async with provider(upstream.base_url) as made:
        yield made


async def text_of(upstream):
    """Give the upstream's undisturbed answer."""
    async with provider(upstream.base_url) as other:
        return (await other.generate("Hello")).content


@dataclass
class Row:
    number: str
    fault: str
    error: type[LLMError]
    attempts: int
    code: str | None = None
    retryable: bool | None = None


PLAIN = [
    Row("U9", "reset-before-headers", LLMConnectionError, 3),
    Row("U9", "close-before-headers", LLMConnectionError, 3),
    Row("U11", "reset-mid-headers", LLMConnectionError, 3),
    Row("U11", "close-mid-headers", LLMConnectionError, 3),
    Row("U12", "reset-mid-body", LLMConnectionError, 3),
    Row("U12", "close-mid-body", LLMConnectionError, 3),
    Row("U8", "bad-status-line", LLMError, 2, "protocol_error"),
    Row("U17", "redirect:307", LLMError, 1, "unexpected_redirect"),
    Row("U18", "stall-headers", LLMTimeoutError, 3),
    Row("U31", "quota", BudgetExceededError, 1),
    Row("U32", "status:500", ServerError, 3),
    Row("U32", "status:502", ServerError, 3),
    Row("U32", "status:503", OverloadedError, 3),
    Row("U32", "status:529", OverloadedError, 3),
    Row("U32", "status:504", ServerError, 3),
    Row("U32", "status:520", ServerError, 3),
    Row("U33", "status:408", LLMTimeoutError, 3),
    Row("U33", "status:409", LLMError, 1),
    Row("U34", "status:503:x-should-retry=false", OverloadedError, 1),
    Row("U34", "status:400:x-should-retry=true", InvalidRequestError, 3),
    Row("U30", "status:429:retry-after=100000", RateLimitError, 1),
    Row("U35", "status:400", InvalidRequestError, 1),
    Row("U35", "status:404", ModelNotFoundError, 1),
    Row("U35", "status:413", InvalidRequestError, 1),
    Row("U35", "status:422", InvalidRequestError, 1),
    Row("U36", "context-length", ContextLengthError, 1),
    Row("U37", "status:401", AuthenticationError, 1),
    Row("U37", "status:402", BudgetExceededError, 1),
    Row("U37", "status:403", PermissionDeniedError, 1),
    Row("U39", "status-html:502", ServerError, 3),
    Row("U39", "status-text:500", ServerError, 3),
    Row("U39", "status-empty:500", ServerError, 3),
    Row("U39", "status-huge:500:5", ServerError, 3),
    Row("U43", "200-error", ServerError, 3),
    Row("U44", "200-html", ResponseFormatError, 2, "invalid_json"),
    Row("U44", "200-empty", ResponseFormatError, 2, "empty_response"),
    Row("U44", "204", ResponseFormatError, 2, "empty_response"),
    Row("U44", "json-array", ResponseFormatError, 3),
    Row("U45", "truncated-json", ResponseFormatError, 2, "invalid_json"),
    Row("U45", "invalid-json", ResponseFormatError, 2, "invalid_json"),
    Row("U48", "gzip-corrupt", LLMError, 2, "bad_encoding"),
    Row("U48", "unknown-encoding", LLMError, 2, "bad_encoding"),
    Row("U50", "huge-body:64", LLMError, 1, "response_too_large"),
    Row("U51", "utf16", ResponseFormatError, 2),
    Row("U53", "nan", ResponseFormatError, 2, "invalid_json"),
    Row("U53", "deep-json", ResponseFormatError, 2, "invalid_json"),
    Row("U54", "cl-twice", LLMError, 2, "protocol_error"),
    Row("U54", "bad-chunk-size", LLMError, 2, "protocol_error"),
    Row("U55", "cl-too-long", LLMConnectionError, 3),
    Row("U65", "no-choices", ResponseFormatError, 3, "no_choices"),
    Row("U65", "wrong-types", ResponseFormatError, 3, "wrong_type"),
]


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: f"{row.number}-{row.fault}")
async def test_plain_call_fails_as_it_should(acme, upstream, row):
    with pytest.raises(row.error) as caught:
        await acme.generate("Hello", model=f"fm:{row.fault}")

    error = caught.value
    assert len(error.attempts) == len(upstream.requests) == row.attempts
    assert error.provider == "acme"
    assert row.code in (None, error.code)
    assert str(error).startswith("acme: ")
    assert KEY not in f"{error} {error!r} {error.upstream_message}"
    assert len(str(error)) < 3000


@pytest.mark.parametrize(
    "fault",
    [
        "early-hints",
        "http10",
        "gzip",
        "wrong-content-type",
        "no-content-type",
        "stream-for-json",
        "bom",
        "dup-keys",
        "unknown-fields",
        "flaky:2:status:503",
        "flaky:1:reset-before-headers",
        "flaky:1:status:429:retry-after=1",
        "flaky:1:status:429:retry-after-ms=300",
        "flaky:1:status:429:retry-after-date=-5",
        "flaky:1:status:429:retry-after-ms=abc",
        "flaky:1:200-error",
    ],
)
async def test_plain_call_gets_through(acme, upstream, fault):
    response = await acme.generate("Hello", model=f"fm:{fault}")

    assert response.content == await text_of(upstream)


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


@pytest.mark.parametrize(
    ("kind", "scheme", "error"),
    [
        ("refused", "http", LLMConnectionError),
        ("reset-at-accept", "http", LLMConnectionError),
        ("garbage", "http", LLMError),
        ("plain-http", "https", LLMConnectionError),
        ("reset-at-hello", "https", LLMConnectionError),
    ],
)
async def test_broken_ports_are_connection_errors(kind, scheme, error):
    async with broken_port(kind) as port, provider(port.url(scheme)) as made:
        with pytest.raises(error, match="ACME_API_BASE"):
            await made.generate("Hello")


async def test_unknown_host_names_the_variable():
    async with provider("https://nothing.invalid/v1") as made:
        with pytest.raises(LLMConnectionError, match="ACME_API_BASE") as caught:
            await made.generate("Hello")

    assert caught.value.code == "dns_failure"


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


@pytest.mark.parametrize(
    "fault",
    [
        "missing-done",
        "dup-done",
        "done-then-more",
        "done-then-hang",
        "json-for-stream",
        "wrong-content-type",
        "empty-choices",
        "two-choices",
        "unknown-fields",
        "unknown-finish",
        "usage-each",
        "split-utf8",
        "split-bytes",
        "coalesced",
        "crlf",
        "cr",
        "mixed-eol",
        "multi-data",
        "no-space",
        "noise-fields",
        "comment-flood:10000",
        "bom",
        "flaky:1:reset-mid-stream:0",
        "flaky:1:error-first",
        "flaky:1:empty-stream",
        "flaky:2:status:503",
    ],
)
async def test_stream_gets_through_whole(acme, upstream, fault):
    text, error = await collect(acme, fault)

    assert error is None
    assert text == await text_of(upstream)


@dataclass
class Cut:
    number: str
    fault: str
    error: type[LLMError]
    begun: bool = True


@pytest.mark.parametrize(
    "row",
    [
        Cut("U13", "reset-mid-stream:5", StreamInterruptedError),
        Cut("U13", "close-mid-stream:5", StreamInterruptedError),
        Cut("U13", "reset-mid-event:3", StreamInterruptedError),
        Cut("U19", "stall-first-event", LLMTimeoutError, begun=False),
        Cut("U20", "stall-mid-stream:5", LLMTimeoutError),
        Cut("U21", "comments-only:50", LLMTimeoutError, begun=False),
        Cut("U57", "truncate-stream:5", StreamInterruptedError),
        Cut("U57", "missing-finish", StreamInterruptedError),
        Cut("U58", "empty-stream", LLMError, begun=False),
        Cut("U61", "error-event:4", ServerError),
        Cut("U61", "error-then-done", ServerError),
        Cut("U62", "error-first", ServerError, begun=False),
        Cut("U63", "malformed-chunk:3", ResponseFormatError),
        Cut("U63", "non-object-chunk", ResponseFormatError),
        Cut("U74", "giant-line:4", ResponseFormatError),
        Cut("U39", "status-html:502", ServerError, begun=False),
        Cut("U17", "redirect:307", LLMError, begun=False),
    ],
    ids=lambda row: f"{row.number}-{row.fault}",
)
async def test_stream_ends_in_an_error_and_keeps_what_came(acme, upstream, row):
    text, error = await collect(acme, row.fault)

    assert isinstance(error, row.error)
    assert bool(text) <= row.begun
    assert text == "before " or (await text_of(upstream)).startswith(text)
    if row.begun:
        assert not error.retryable
        assert len(error.attempts) == 1
    if isinstance(error, StreamInterruptedError):
        assert error.partial_text == text


async def test_interrupted_stream_is_not_repeated(acme, upstream):
    await collect(acme, "reset-mid-stream:5")

    assert len(upstream.requests) == 1


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
async def test_odd_tool_calls_are_read(acme, fault):
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}

    response = await acme.generate("Call the tool lookup", model=f"fm:{fault}", tools=[tool])

    assert response.tool_calls
    assert all(call.id and call.name for call in response.tool_calls)
    assert all(isinstance(call.arguments, dict) for call in response.tool_calls)


async def test_broken_tool_arguments_are_given_verbatim(acme):
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}

    response = await acme.generate(
        "Call the tool lookup", model="fm:tool-args-invalid", tools=[tool]
    )

    assert response.tool_calls[0].arguments is None
    assert response.tool_calls[0].arguments_raw
