"""Arguments that a provider streams in pieces reach clients of every API as they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import MESSAGES

ROW = (
    '{{providers: {{gem: {{base: gemini, default_base_url: "{url}/v1beta", api_key_var: null}}}}}}'
)
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
GIVEN = {"place": "Grüße, MA", "days": [1, 2.5], "units": {"metric": True}}
ASKED = {"model": "gem/m", "max_tokens": 99, "messages": MESSAGES, "stream": True}


def events_of(text: str) -> list[dict[str, Any]]:
    lines = [
        line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")
    ]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def chat_pieces(events: list[dict[str, Any]]) -> list[str]:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return [c["function"]["arguments"] for delta in deltas for c in delta.get("tool_calls", ())]


def message_pieces(events: list[dict[str, Any]]) -> list[str]:
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return [delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta"]


@pytest.mark.parametrize(
    ("path", "tool", "pieces_of"),
    [
        pytest.param(
            "/v1/chat/completions",
            {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
            chat_pieces,
            id="chat",
        ),
        pytest.param(
            "/v1/messages", {"name": "weather", "input_schema": SCHEMA}, message_pieces,
            id="messages",
        ),
    ],
)  # fmt: skip
async def test_arguments_reach_the_client_in_pieces(start, upstream, path, tool, pieces_of):
    upstream.script([Reply(tool_calls=[("weather", GIVEN)])])
    body = {**ASKED, "tools": [tool], "streamFunctionCallArguments": True}
    async with (
        start(ROW.format(url=upstream.url)) as client,
        client.post(path, body) as reply,
    ):
        pieces = pieces_of(events_of(await reply.text()))

    config = upstream.last_request.json["toolConfig"]["functionCallingConfig"]
    assert config == {"streamFunctionCallArguments": True}
    assert len([piece for piece in pieces if piece]) > 4
    assert json.loads("".join(pieces)) == GIVEN
