"""Each fault of an upstream, for a plain call and for a stream: the error, the tries, or the whole text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from faultmaven.testing.answers import Question, Reply, make_answer
from faultmaven.testing.listeners import broken_port

if TYPE_CHECKING:
    pass

KEY = "sk-canary-0123456789abcdef"
TEXT = make_answer(Question(), Reply(), 1).text
ROW = {"api_key_var": "ACME_API_KEY", "model_var": "ACME_MODEL", "base_url_var": "ACME_API_BASE"}


class InstantClock(FakeClock):
    """Waits between tries take no time; deadlines count real time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        pass


@dataclass(frozen=True)
class Fails:
    """The error that a caller gets.

    Attributes:
        kind: its class.
        tries: requests that reached the upstream.
        code: ours or the provider's; None for any.
        begun: whether text came before it.
    """

    kind: type[LLMError]
    tries: int = 3
    code: str | None = None
    begun: bool = False


@dataclass(frozen=True)
class Passes:
    """The whole text, after as many requests."""

    tries: int = 1


Outcome = Fails | Passes
OK = Passes()
CLOSED = Fails(LLMConnectionError)
CUT = Fails(StreamInterruptedError, 1, "stream_incomplete", begun=True)
SLOW = Fails(LLMTimeoutError)
BROKEN_HTTP = Fails(ResponseFormatError, 2, "protocol_error")
BROKEN_CODING = Fails(ResponseFormatError, 2, "bad_encoding")
NO_JSON = Fails(ResponseFormatError, 2, "invalid_json")
EMPTY = Fails(ResponseFormatError, 2, "empty_response")
NO_OBJECT = Fails(ResponseFormatError, 2, "not_an_object")
TOO_LARGE = Fails(ResponseFormatError, 1, "response_too_large")
REDIRECT = Fails(ResponseFormatError, 1, "unexpected_redirect")
SERVER = Fails(ServerError)
BUSY = Fails(OverloadedError)

# The fault's number in the list of faults, what the upstream does, and what a plain call and a stream
# must make of it; one outcome stands for both.
FAULTS: list[tuple[str, str, Outcome] | tuple[str, str, Outcome, Outcome]] = [
    ("U8", "bad-status-line", BROKEN_HTTP),
    ("U9", "reset-before-headers", CLOSED),
    ("U9", "close-before-headers", CLOSED),
    ("U11", "reset-mid-headers", CLOSED),
    ("U11", "close-mid-headers", CLOSED),
    ("U12", "reset-mid-body", CLOSED, CUT),
    ("U12", "close-mid-body", CLOSED, CUT),
    ("U13", "reset-mid-stream:5", CLOSED, CUT),
    ("U13", "close-mid-stream:5", CLOSED, CUT),
    ("U13", "reset-mid-event:3", CLOSED, CUT),
    ("U14", "reset-mid-stream:1", CLOSED),
    ("U14", "flaky:1:reset-mid-stream:0", Passes(2)),
    ("U16", "http10", OK),
    ("U16", "early-hints", OK),
    ("U17", "redirect:301", REDIRECT),
    ("U17", "redirect:302", REDIRECT),
    ("U17", "redirect:307", REDIRECT),
    ("U17", "redirect:308", REDIRECT),
    ("U17", "redirect:loop", REDIRECT),
    ("U18", "stall-headers", SLOW),
    ("U19", "stall-first-event", SLOW),
    ("U20", "stall-mid-stream:5", SLOW, Fails(LLMTimeoutError, 1, "read_timeout", begun=True)),
    ("U21", "comments-only:20", SLOW),
    ("U22", "slow-drip:1:50", SLOW),
    ("U22", "slow-headers:100", SLOW),
    ("U23", "slow-stream:10", OK),
    ("U25", "done-then-hang", OK),
    ("U28", "flaky:1:status:429:retry-after=1", Passes(2)),
    ("U29", "flaky:1:status:429:retry-after-date=2", Passes(2)),
    ("U29", "flaky:1:status:429:retry-after-date=-5", Passes(2)),
    ("U30", "flaky:1:status:429", Passes(2)),
    ("U30", "flaky:1:status:429:retry-after-ms=300", Passes(2)),
    ("U30", "flaky:1:status:429:retry-after=0", Passes(2)),
    ("U30", "flaky:1:status:429:retry-after=-1", Passes(2)),
    ("U30", "flaky:1:status:429:retry-after=inf", Passes(2)),
    ("U30", "flaky:1:status:429:retry-after=abc", Passes(2)),
    ("U30", "status:429:retry-after=1000000000", Fails(RateLimitError, 1)),
    ("U31", "quota", Fails(BudgetExceededError, 1, "insufficient_quota")),
    ("U32", "status:500", SERVER),
    ("U32", "status:502", SERVER),
    ("U32", "status:503", BUSY),
    ("U32", "status:504", SERVER),
    ("U32", "status:520", SERVER),
    ("U32", "status:524", SERVER),
    ("U32", "status:529", BUSY),
    ("U33", "status:408", SLOW),
    ("U33", "status:409", Fails(InvalidRequestError, 1)),
    ("U33", "status:409:x-should-retry=true", Fails(InvalidRequestError)),
    ("U34", "status:400:x-should-retry=true", Fails(InvalidRequestError)),
    ("U34", "status:503:x-should-retry=false", Fails(OverloadedError, 1)),
    ("U35", "status:400", Fails(InvalidRequestError, 1)),
    ("U35", "status:404", Fails(ModelNotFoundError, 1)),
    ("U35", "status:413", Fails(InvalidRequestError, 1)),
    ("U35", "status:422", Fails(InvalidRequestError, 1)),
    ("U36", "context-length", Fails(ContextLengthError, 1)),
    ("U37", "status:401", Fails(AuthenticationError, 1)),
    ("U37", "status:402", Fails(BudgetExceededError, 1)),
    ("U37", "status:403", Fails(PermissionDeniedError, 1)),
    ("U38", "auth-echo", Fails(AuthenticationError, 1)),
    ("U38", "key-in-stream", Fails(AuthenticationError, 1),
     Fails(AuthenticationError, 1, begun=True)),
    ("U39", "status-html:502", SERVER),
    ("U39", "status-text:500", SERVER),
    ("U39", "status-empty:500", SERVER),
    ("U39", "status-huge:500:5", SERVER),
    ("U40", "flaky:2:status:503", Passes(3)),
    ("U43", "200-error", SERVER),
    ("U44", "200-html", NO_JSON),
    ("U44", "200-empty", EMPTY),
    ("U44", "204", EMPTY),
    ("U44", "json-array", NO_OBJECT),
    ("U44", "json-scalar", NO_OBJECT),
    ("U45", "truncated-json", NO_JSON),
    ("U45", "invalid-json", NO_JSON),
    ("U46", "wrong-content-type", OK),
    ("U46", "no-content-type", OK),
    ("U47", "json-for-stream", OK),
    ("U47", "stream-for-json", OK),
    ("U48", "gzip", OK),
    ("U48", "gzip-corrupt", BROKEN_CODING),
    ("U48", "gzip-lie", BROKEN_CODING),
    ("U48", "unknown-encoding", BROKEN_CODING),
    ("U49", "gzip-bomb:24", TOO_LARGE, Fails(ResponseFormatError, 2, "event_too_large")),
    ("U49", "gzip-members:20000", BROKEN_CODING),
    ("U50", "huge-body:64", TOO_LARGE),
    ("U51", "bom", OK),
    ("U51", "utf16", NO_JSON, EMPTY),
    ("U53", "nan", NO_JSON),
    ("U53", "big-int", NO_JSON),
    ("U53", "deep-json", NO_JSON),
    ("U53", "dup-keys", OK),
    ("U54", "cl-twice", BROKEN_HTTP),
    ("U54", "cl-negative", BROKEN_HTTP),
    ("U54", "cl-and-te", BROKEN_HTTP),
    ("U54", "bad-chunk-size", BROKEN_HTTP),
    ("U54", "huge-header:64", BROKEN_HTTP),
    ("U54", "many-headers:1000", BROKEN_HTTP),
    ("U54", "bad-headers", BROKEN_HTTP),
    ("U55", "cl-too-long", CLOSED, OK),
    ("U56", "hop-headers", OK),
    ("U57", "truncate-stream:5", OK, CUT),
    ("U57", "missing-finish", OK, CUT),
    ("U58", "empty-stream", OK, EMPTY),
    ("U59", "missing-done", OK),
    ("U60", "dup-done", OK),
    ("U60", "done-then-more", OK),
    ("U61", "error-event:4", SERVER, Fails(ServerError, 1, begun=True)),
    ("U61", "error-then-done", SERVER, Fails(ServerError, 1, begun=True)),
    ("U62", "error-first", SERVER),
    ("U63", "malformed-chunk:3", NO_JSON,
     Fails(ResponseFormatError, 1, "invalid_json", begun=True)),
    ("U63", "non-object-chunk:3", NO_OBJECT,
     Fails(ResponseFormatError, 1, "not_an_object", begun=True)),
    ("U64", "empty-choices", Fails(ResponseFormatError, 2, "no_choices"), OK),
    ("U64", "two-choices", OK),
    ("U65", "no-choices", Fails(ResponseFormatError, 2, "no_choices"), Fails(StreamInterruptedError)),
    ("U65", "null-content", EMPTY),
    ("U65", "wrong-types", Fails(ResponseFormatError, 2, "wrong_type")),
    ("U66", "unknown-fields", OK),
    ("U66", "unknown-finish", OK),
    ("U68", "missing-usage", OK),
    ("U69", "bad-usage:null", OK),
    ("U69", "bad-usage:string", OK),
    ("U69", "bad-usage:negative", OK),
    ("U69", "bad-usage:huge", OK),
    ("U69", "bad-usage:float", OK),
    ("U69", "bad-usage:partial", OK),
    ("U69", "bad-usage:list", OK),
    ("U69", "bad-usage:bool", OK),
    ("U69", "usage-each", OK),
    ("U71", "out-of-order", OK),
    ("U72", "split-utf8", OK),
    ("U72", "split-bytes", OK),
    ("U72", "coalesced", OK),
    ("U73", "crlf", OK),
    ("U73", "cr", OK),
    ("U73", "mixed-eol", OK),
    ("U73", "multi-data", OK),
    ("U73", "no-space", OK),
    ("U73", "noise-fields", OK),
    ("U73", "nul-bytes", OK),
    ("U73", "no-final-newline", OK),
    ("U74", "endless-line:256", TOO_LARGE, Fails(ResponseFormatError, 2, "event_too_large")),
    ("U75", "comment-flood:20000", OK),
]  # fmt: skip
PLAIN = [pytest.param(fault, outcomes[0], id=f"{n}-{fault}") for n, fault, *outcomes in FAULTS]
STREAMED = [pytest.param(fault, outcomes[-1], id=f"{n}-{fault}") for n, fault, *outcomes in FAULTS]


def provider(base_url: str, timeout_s: float = 20.0) -> OpenAIProvider:
    return OpenAIProvider(
        name="acme", api_key=KEY, base_url=base_url, models=["m"], row=ROW, timeout=timeout_s,
        clock=InstantClock(),
    )  # fmt: skip


async def ask(
    base_url: str, model: str, *, stream: bool, outcome: Outcome = OK
) -> tuple[str, LLMError | None]:
    """Give the text as far as it came, and the error that ended it."""
    text = ""
    is_slow = isinstance(outcome, Fails) and outcome.kind is LLMTimeoutError
    async with provider(base_url, 0.5 if is_slow else 20.0) as acme:
        try:
            if not stream:
                return (await acme.generate("Hello", model=model)).content, None
            async for chunk in acme.stream("Hello", model=model):
                text += chunk.text
        except LLMError as error:
            return text, error
    return text, None


def check(outcome: Outcome, text: str, error: LLMError | None, tries: int) -> None:
    if isinstance(outcome, Passes):
        assert error is None
        assert text == TEXT
        assert tries == outcome.tries
        return
    assert isinstance(error, outcome.kind)
    assert outcome.code in (None, error.code)
    assert len(error.attempts) == tries == outcome.tries
    assert bool(text) == outcome.begun
    said = f"{error} {error!r} {error.upstream_message}"
    assert KEY not in said
    assert str(error).startswith("acme: ")
    assert str(error).count("acme: ") == 1
    assert len(str(error)) < 3000
    assert not (outcome.begun and error.retryable)
    if isinstance(error, StreamInterruptedError):
        assert error.partial_text == text


@pytest.mark.parametrize(("fault", "outcome"), PLAIN)
async def test_plain_call(upstream: FakeUpstream, fault: str, outcome: Outcome) -> None:
    text, error = await ask(upstream.base_url, f"fm:{fault}", stream=False, outcome=outcome)

    check(outcome, text, error, len(upstream.requests))


@pytest.mark.parametrize(("fault", "outcome"), STREAMED)
async def test_stream(upstream: FakeUpstream, fault: str, outcome: Outcome) -> None:
    text, error = await ask(upstream.base_url, f"fm:{fault}", stream=True, outcome=outcome)

    check(outcome, text, error, len(upstream.requests))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("kind", "scheme", "error", "tries"),
    [
        ("refused", "http", LLMConnectionError, 3),  # U1
        ("tls-untrusted", "https", LLMConnectionError, 1),  # U4
        ("tls-wrong-host", "https", LLMConnectionError, 1),  # U5
        ("tls-expired", "https", LLMConnectionError, 1),
        ("plain-http", "https", LLMConnectionError, 3),  # U6
        ("reset-at-hello", "https", LLMConnectionError, 3),
        ("reset-at-accept", "http", LLMConnectionError, 3),  # U7
        ("garbage", "http", ResponseFormatError, 2),  # U8
    ],
)
async def test_port_that_is_broken(
    kind: str, scheme: str, error: type[LLMError], tries: int, *, stream: bool
) -> None:
    if kind.startswith("tls"):
        pytest.importorskip("trustme")
    async with broken_port(kind) as port:
        _, caught = await ask(port.url(scheme), "m", stream=stream)

    assert isinstance(caught, error)
    assert len(caught.attempts) == tries
    assert "ACME_API_BASE" in str(caught) or caught.code == "tls_error"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_host_without_an_address(*, stream: bool) -> None:
    _, error = await ask("https://nothing.invalid/v1", "m", stream=stream)

    assert error is not None
    assert (error.code, len(error.attempts)) == ("dns_failure", 2)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_half_a_surrogate_pair_is_text_that_can_be_printed(
    upstream: FakeUpstream, *, stream: bool
) -> None:
    text, error = await ask(upstream.base_url, "fm:surrogate", stream=stream)

    assert error is None
    assert text.encode().decode() == "half � pair"


async def test_bytes_that_are_no_utf8_are_replaced_in_streams_only(upstream: FakeUpstream) -> None:
    plain = await ask(upstream.base_url, "fm:invalid-utf8", stream=False)
    streamed = await ask(upstream.base_url, "fm:invalid-utf8", stream=True)

    assert isinstance(plain[1], ResponseFormatError)
    assert streamed[1] is None
    assert "�" in streamed[0]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_refusal_of_a_filter_is_an_answer(upstream: FakeUpstream, *, stream: bool) -> None:
    text, error = await ask(upstream.base_url, "fm:content-filter", stream=stream)

    assert (text, error, len(upstream.requests)) == ("I cannot ", None, 1)


@pytest.mark.parametrize(
    "fault", ["null", "string", "negative", "huge", "float", "partial", "list", "bool"]
)
async def test_usage_that_cannot_be_true_is_no_usage(upstream: FakeUpstream, fault: str) -> None:
    async with provider(upstream.base_url) as acme:
        chunks = [c async for c in acme.stream("Hello", model=f"fm:bad-usage:{fault}")]

    assert chunks[-1].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)


async def test_error_body_that_stalls_is_not_waited_for(upstream: FakeUpstream) -> None:
    async with provider(upstream.base_url, 0.5) as acme:
        with pytest.raises(OverloadedError):
            await acme.generate("Hello", model="fm:status-stall:503")

    assert len(upstream.requests) == 3


async def test_endless_stream_ends_at_the_deadline_of_the_call(upstream: FakeUpstream) -> None:
    async with provider(upstream.base_url) as acme:
        begun = time.monotonic()
        with pytest.raises(LLMTimeoutError) as caught:
            async for _ in acme.stream("Hello", model="fm:endless:5", timeout=0.3):
                pass

    assert caught.value.code == "deadline_exceeded"
    assert time.monotonic() - begun < 15  # the provider's own limit is longer


async def test_call_tries_and_waits_within_its_own_deadline(upstream: FakeUpstream) -> None:
    clock = FakeClock()
    async with provider(upstream.base_url) as acme:
        acme._clock = clock
        with pytest.raises(OverloadedError) as caught:
            await acme.generate("Hello", model="fm:status:503:retry-after=3", timeout=2)

    assert (len(caught.value.attempts), clock.sleeps) == (1, [])
