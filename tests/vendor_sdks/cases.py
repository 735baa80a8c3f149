"""The calls that are made twice, by us and by a vendor's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from faultmaven.testing import FakeUpstream, RecordedRequest

KEY = "key-for-a-test-0123456789"
# One white pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["answer", "score"],
    "additionalProperties": False,
}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where."}},
    "required": ["city"],
}
FUNCTION = {
    "name": "get_weather",
    "description": "Look the weather up.",
    "parameters": PARAMETERS,
}
TOOL = {"type": "function", "function": FUNCTION}
# Nine letters and digits, which is what every vendor takes.
CALL_ID = "callNr001"
CALL = {
    "id": CALL_ID,
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}
# Turns as OpenAI, Mistral and Cohere take them, and we do.
TOOL_ROUND = [
    {"role": "user", "content": "Weather in Oslo?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": CALL_ID, "content": "rain"},
]
PICTURE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ],
    }
]


@dataclass(frozen=True)
class Case:
    """One of our own calls."""

    prompt: Any = "Hello"
    options: Mapping[str, Any] = field(default_factory=dict)
    streams: bool = False


OPTIONS = {
    "system_prompt": "Be brief.",
    "max_tokens": 64,
    "temperature": 0.25,
    "top_p": 0.5,
    "stop": ["END"],
}
BARE = {"max_tokens": 64, "temperature": None}
CASES = {
    "chat": Case(options=OPTIONS),
    "stream": Case(options=OPTIONS, streams=True),
    "tools": Case(options={**BARE, "tools": [TOOL], "tool_choice": "required"}),
    "tool results": Case(
        prompt=TOOL_ROUND,
        options={**BARE, "tools": [TOOL]},
    ),
    "image": Case(
        prompt=PICTURE,
        options=BARE,
    ),
    "structured": Case(options={**BARE, "output_schema": SCHEMA}),
}

Pairs = dict[str, tuple[RecordedRequest, RecordedRequest]]


def make_provider(upstream: FakeUpstream, dialect: str, name: str, **variables: str) -> Any:
    """Make the provider of a built-in row, at the fake upstream."""
    given = {f"{name.upper()}_API_BASE": upstream.base_url_for(dialect), **variables}
    return ProviderRegistry(load_settings(**given, llm_max_retries=0)).get_provider(name)


def make_pairs(
    upstream: FakeUpstream,
    make_ours: Callable[[], BaseLLMProvider],
    ask_theirs: Callable[[str], Any],
    names: Iterable[str] = tuple(CASES),
) -> Pairs:
    """Make every call twice, and give what came of each.

    Args:
        upstream: what both are sent to.
        make_ours: makes the provider.
        ask_theirs: makes the vendor's client make the call of a case's name.
        names: the cases.
    """
    pairs: Pairs = {}
    for name in names:
        upstream.reply('{"answer": "yes", "score": 1}' if name == "structured" else "Hi.")
        asyncio.run(_ask(make_ours, CASES[name]))
        ours = upstream.last_request
        ask_theirs(name)
        assert upstream.last_request is not ours
        pairs[name] = (ours, upstream.last_request)
    return pairs


async def _ask(make_ours: Callable[[], BaseLLMProvider], case: Case) -> None:
    async with make_ours() as provider:
        if case.streams:
            _ = [chunk async for chunk in provider.stream(case.prompt, **case.options)]
        else:
            await provider.generate(case.prompt, **case.options)
