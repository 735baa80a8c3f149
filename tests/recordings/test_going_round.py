"""What a provider wants back with the next turn, through every API of the gateway and back again.

A client sends an answer back as it got it: the signatures of thinking, and whatever is sealed, must reach
the provider that they are from.
"""

from __future__ import annotations

import asyncio
import base64
import json
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.infrastructure.llm.event_stream import EventStreamDecoder
from tests.infrastructure.llm.wire.dialect_checks import FOLDER, stream_bytes
from tests.recordings.asked import FRONTS, Case, cases
from tests.recordings.hosts import model_of
from tests.recordings.replay import body_of
from tests.recordings.test_replay import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recordings.told import Told

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not FOLDER, reason="FAULTMAVEN_RECORDINGS is not set"),
]

DIALECTS = [
    "anthropic-messages", "bedrock-converse", "bedrock-invoke", "gemini-generate",
    "openai-responses",
]  # fmt: skip
SIGNED = ("signature", "thoughtSignature", "encrypted_content", "redactedContent")
DEFAULT = {"chat": "messages", "responses": "input", "messages": "messages", "gemini": "contents"}
QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "chat": [{"role": "user", "content": "Hello"}],
    "responses": [{"role": "user", "content": "Hello"}],
    "messages": [{"role": "user", "content": "Hello"}],
    "gemini": [{"role": "user", "parts": [{"text": "Hello"}]}],
}


def values_of(case: Case) -> Iterator[Any]:
    """Give every JSON value of a recorded answer."""
    response = case.exchange["response"]
    if "body" in response:
        yield response["body"]
    elif "raw_b64" in response:
        for event in EventStreamDecoder().feed(body_of(case.exchange)):
            packet = json.loads(event.payload)
            yield json.loads(base64.b64decode(packet["bytes"])) if "bytes" in packet else packet
    else:
        for line in stream_bytes(case.exchange).decode().splitlines():
            if line.startswith("data: {"):
                yield json.loads(line[6:])


def wanted_back(case: Case) -> list[set[str]]:
    """Give what has to come back, each in all the letters in which it was said."""
    values = [*values_of(case)]
    if not any("response" in value for value in values if isinstance(value, dict)):
        return [{signature} for signature in {*signatures_of(values)}]
    # The Responses API seals the same anew when an item is done and when all is.
    done = [v for v in values if v["type"] == "response.output_item.done"]
    pairs = zip_longest(signatures_of(done), signatures_of(values[-1]))
    return [{signature for signature in pair if signature} for pair in pairs]


def signatures_of(value: Any) -> Iterator[str]:
    """Give the signatures and seals anywhere in a value, but for what a provider ran itself."""
    if isinstance(value, list):
        for item in value:
            yield from signatures_of(item)
    if not isinstance(value, dict) or "executableCode" in value:
        return
    for name in SIGNED:
        if isinstance(found := value.get(name), str) and found:
            yield found
    if value.get("type") == "redacted_thinking":
        yield value["data"]
    for inner in value.values():
        yield from signatures_of(inner)


def next_turn(name: str, told: Told) -> list[dict[str, Any]]:
    """Give what a client sends after an answer: results of its calls, or a word."""
    if not told.calls:
        return QUESTIONS[name]
    if name == "chat":
        return [{"role": "tool", "tool_call_id": i, "content": "1"} for i, _, _ in told.calls]
    if name == "responses":
        kind = "function_call_output"
        return [{"type": kind, "call_id": i, "output": "1"} for i, _, _ in told.calls]
    if name == "messages":
        results = [{"type": "tool_result", "tool_use_id": i} for i, _, _ in told.calls]
        return [{"role": "user", "content": results}]
    parts = [
        {"functionResponse": {"id": i, "name": n, "response": {"result": 1}}}
        for i, n, _ in told.calls
    ]
    return [{"role": "user", "parts": parts}]


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_signed_goes_back(client, dialect, name):
    front = FRONTS[name]

    async def judge(case: Case) -> list[str]:
        stream = stream_bytes(case.exchange) is not None
        signed = wanted_back(case)
        if not signed or failure_of(case.expected):
            return []
        _, _, text = await client.ask(front, case, stream=stream)
        relayed = dialect in front.relays
        told = (
            front.read_stream(text, strict=not relayed) if stream else front.read(json.loads(text))
        )
        turns = [*QUESTIONS[name], *told.turn, *next_turn(name, told)]
        status, _, text = await client.ask(front, case, stream=stream, **{DEFAULT[name]: turns})
        if status != 200:
            return [f"{case.exchange['id']}: {text:.300}"]
        sent = client.journal[model_of(case.place)].decode()
        lost = [letters for letters in signed if not any(said in sent for said in letters)]
        return (
            [f"{case.exchange['id']}: {len(lost)} of {len(signed)}: {lost!r:.150}"] if lost else []
        )

    found = await asyncio.gather(*map(judge, cases("response", dialect)))

    wrong = [*chain.from_iterable(found)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)
