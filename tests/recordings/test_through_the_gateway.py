"""Recorded answers through the gateway: every dialect to every API that clients speak.

What the readers and the providers are judged by holds for what a client is told, too.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from itertools import chain

import pytest

from faultmaven.infrastructure.llm.wire.content import INVALID_ARGUMENTS
from tests.infrastructure.llm.wire.dialect_checks import FOLDER, stream_bytes
from tests.recordings.asked import FRONTS, Case, Front, cases
from tests.recordings.test_replay import SPEAKERS, failure_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not FOLDER, reason="FAULTMAVEN_RECORDINGS is not set"),
]


def deviations(
    front: Front, case: Case, status: int, text: str, *, stream: bool, strict: bool
) -> list[str]:
    """Compare what a client was told with the facts.

    Args:
        front: the API.
        case: what it was told of.
        status: of the answer.
        text: its body.
        stream: whether a stream was asked for.
        strict: it is written by the gateway, so that the API's grammar holds in all its details.
    """
    expected = case.expected
    failure = failure_of(expected)
    if status != 200:
        is_told = failure and not (stream and expected["text"])
        return [] if is_told else [f"status {status}: {text[:300]}"]
    try:
        got = front.read_stream(text, strict=strict) if stream else front.read(json.loads(text))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        return [f"{type(error).__name__}: {error}"]
    return [*_compare(front, expected, got, failure)]


def _compare(front, expected, got, failure):
    refusal = expected["refusal"] or ""
    wanted = expected["text"] if front.says_refusals else expected["text"] + refusal
    if got.text != wanted:
        yield f"text {got.text!r:.80} is not {wanted!r:.80}"
    if front.says_refusals and got.refusal != refusal:
        yield f"refusal {got.refusal!r} is not {refusal!r}"
    # A plan of Cohere's is a thought where an API has no other place for it.
    thoughts = [expected.get("reasoning_text"), expected.get("tool_plan")]
    if _dense(got.reasoning) not in map(_dense, thoughts):
        yield f"reasoning {got.reasoning!r:.80} is not {expected.get('reasoning_text')!r:.80}"
    if failure:
        if got.error is None:
            yield "the failure is not told"
        return
    if got.error is not None:
        yield f"a failure is told: {got.error}"
        return
    reasons = [expected["finish_reason"], *expected.get("finish_reason_also", ())]
    if None not in reasons and got.finish not in reasons:
        yield f"finish {got.finish} is not {reasons}"
    yield from _compare_calls(expected["tool_calls"] or (), got.calls)
    for name, counts in _wanted_counts(front, expected).items():
        if (count := getattr(got, name) or 0) not in counts:
            yield f"{name} {count} is not in {counts}"


def _wanted_counts(front, expected):
    """Give the token counts that are right: a part is never more than its whole where it is apart from it."""
    names = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    wanted = {name: {expected[name]} for name in names if expected[name] is not None}
    cached = (expected["cached_tokens"] or 0) + (expected["cache_write_tokens"] or 0)
    if front is FRONTS["messages"] and cached > (expected["input_tokens"] or 0):
        wanted["input_tokens"] = {cached}
    if front is FRONTS["gemini"] and "note_reasoning_exceeds_completion" in expected:
        wanted["reasoning_tokens"] = {expected["output_tokens"]}
    return wanted


def _compare_calls(wanted, calls):
    if [name for _, name, _ in calls] != [want["name"] for want in wanted]:
        yield f"calls {calls!r:.200} are not {wanted!r:.200}"
        return
    if len({identity for identity, _, _ in calls}) < len(calls):
        yield "two calls have the same id"
    for (identity, _, arguments), want in zip(calls, wanted, strict=True):
        if not identity or want["id"] not in (None, identity):
            yield f"a call's id {identity!r} is not {want['id']!r}"
        if want["arguments"] is None:
            raw = want["arguments_raw"]
            if arguments not in (raw, {INVALID_ARGUMENTS: raw}) and raw:
                yield f"arguments {arguments!r} are not {raw!r}"
            continue
        parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
        if (parsed or {}) != want["arguments"]:
            yield f"arguments {arguments!r} are not {want['arguments']!r}"


def _dense(text: str | None) -> str:
    return re.sub(r"\s", "", text or "")


async def wrong_of(client, dialect, name, *, as_recorded: bool) -> list[str]:
    """Ask for a dialect's recordings, as streams where they are, or the other way round."""
    front = FRONTS[name]

    async def judge(case: Case) -> list[str]:
        is_stream = stream_bytes(case.exchange) is not None
        if not as_recorded and is_stream and "sse" not in case.exchange["response"]:
            return []  # where streams are of another kind, nobody gets one unasked
        stream = is_stream is as_recorded
        strict = not (as_recorded and dialect in front.relays)
        status, _, text = await client.ask(front, case, stream=stream)
        found = deviations(front, case, status, text, stream=stream, strict=strict)
        return [f"{case.exchange['id']}: {deviation}" for deviation in found]

    found = await asyncio.gather(*map(judge, cases("response", dialect)))
    return [*chain.from_iterable(found)]


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("dialect", SPEAKERS)
async def test_an_answer_keeps_its_facts(client, dialect, name):
    wrong = await wrong_of(client, dialect, name, as_recorded=True)

    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("dialect", SPEAKERS)
async def test_an_answer_in_the_other_form_keeps_its_facts(client, dialect, name):
    wrong = await wrong_of(client, dialect, name, as_recorded=False)

    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


# What a provider's error is to a client, by its class: status, and the word that each API has for it.
_UPSTREAM = (502, ("upstream_error", "upstream_error", "api_error", "UNAVAILABLE"))
_OVERLOADED = (503, ("overloaded_error", "overloaded_error", "overloaded_error", "UNAVAILABLE"))
_TIMEOUT = (504, ("timeout_error", "timeout_error", "timeout_error", "DEADLINE_EXCEEDED"))
_INVALID = (400, ("invalid_request_error",) * 3 + ("INVALID_ARGUMENT",))
_LIMITED = (
    429,
    ("rate_limit_error", "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
)
_EXHAUSTED = (
    429, ("insufficient_quota", "insufficient_quota", "rate_limit_error", "RESOURCE_EXHAUSTED"),
)  # fmt: skip
_MISSING = (
    404,
    ("invalid_request_error", "invalid_request_error", "not_found_error", "NOT_FOUND"),
)
_MEANINGS = {
    "authentication": _UPSTREAM,
    "permission": _UPSTREAM,
    "quota": _EXHAUSTED,
    "rate_limit": _LIMITED,
    "not_found": _MISSING,
    "context_length": _INVALID,
    "content_filter": _INVALID,
    "invalid_request": _INVALID,
    "overloaded": _OVERLOADED,
    "server": _UPSTREAM,
}
# Where the provider's own status says more than the class does.
_PASSED_ON = {404, 409, 413, 422}


def _meanings(name, expected):
    """Give status and type of all that the error may be called."""
    place = [*FRONTS].index(name)
    upstream = expected["status"]
    for kind in (expected["class"], *expected.get("class_also", ())):
        status, types = _MEANINGS[kind]
        if kind == "quota" and upstream in (402, 403):
            status, types = _UPSTREAM
        if kind == "server" and upstream in (503, 504):
            status, types = _OVERLOADED if upstream == 503 else _TIMEOUT
        if kind == "invalid_request" and upstream in _PASSED_ON:
            status = upstream
        if kind == "not_found" and upstream == 400:
            status = upstream
        yield status, types[place]


def _error_of(name, body):
    """Give an error's type, once its shape has been looked at."""
    error = body["error"]
    if name == "messages":
        assert body["type"] == "error"
        assert body["request_id"]
        assert error.keys() == {"type", "message"}
        return error["type"]
    if name == "gemini":
        assert error.keys() == {"code", "message", "status"}
        return error["status"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error["type"]


def _error_deviations(name, case, status, headers, text):
    expected = case.expected
    try:
        body = json.loads(text)
        found = (status, _error_of(name, body))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        yield f"{type(error).__name__}: {error} of {text:.200}"
        return
    if found not in (wanted := [*_meanings(name, expected)]):
        yield f"{found} is not in {wanted}: {text:.200}"
    message = re.sub(r"https?://[^\s,;)'\"]+", "its address", expected.get("message") or "")
    if message[:1500] not in body["error"]["message"]:
        yield f"the message has no {message!r}: {text:.300}"
    if name == "gemini" and body["error"]["code"] != status:
        yield "the code is not the status"
    wait_s = expected.get("retry_after")
    if wait_s is not None and headers.get("retry-after") != str(max(1, math.ceil(float(wait_s)))):
        yield f"retry-after is {headers.get('retry-after')}, not {wait_s}"
    if status >= 500 and "x-should-retry" not in headers:
        yield "nothing is said of retrying"


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", SPEAKERS)
async def test_an_error_is_one_of_the_clients_api(client, dialect, stream, name):
    async def judge(case: Case) -> list[str]:
        told = await client.ask(FRONTS[name], case, stream=stream)
        return [f"{case.exchange['id']}: {d}" for d in _error_deviations(name, case, *told)]

    found = await asyncio.gather(*map(judge, cases("error", dialect)))

    wrong = [*chain.from_iterable(found)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)
