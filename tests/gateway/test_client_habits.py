"""What real clients put on the wire beside the plain question; each habit was seen with the client named."""

import io
import json

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import KEY, events_of

# A provider for every API that the clients' own is translated into, or relayed to.
FILE = """
providers:
  up-chat: {{provider_class: OpenAIProvider, default_base_url: "{url}/v1", {rest}}}
  up-messages: {{provider_class: AnthropicProvider, default_base_url: "{url}/v1", {rest}}}
  up-responses: {{provider_class: OpenAIResponsesProvider, default_base_url: "{url}/v1", {rest}}}
  up-gemini: {{provider_class: GeminiProvider, default_base_url: "{url}/v1beta", {rest}}}
"""
REST = "default_model: fake, api_key_var: null"
MODELS = ["up-chat/fake", "up-messages/fake", "up-responses/fake", "up-gemini/fake"]
every_model = pytest.mark.parametrize("model", MODELS)

PARAMETERS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"n": {"type": "integer", "exclusiveMinimum": 0}},
    "required": ["n"],
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"n":1}'}}


@pytest.fixture
async def served(start, upstream):
    async with start(FILE.format(url=upstream.url, rest=REST)) as client:
        yield client


@every_model
async def test_chat_as_qwen_code_opencode_and_the_sdk_write_it(served, upstream, model):
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Do it."}]},
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [{"type": "text", "text": "done-1"}],
            },
            {"role": "assistant", "content": "", "tool_calls": [CALL | {"id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_2", "content": "done-2"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": PARAMETERS, "strict": False},
            }
        ],
        "max_completion_tokens": 50,
        "parallel_tool_calls": True,
        "store": False,
        "user": "u1",
        "metadata": {"a": "b"},
        "seed": 1,
    }

    async with served.post("/v1/chat/completions", body) as answer:
        assert answer.status == 200, await answer.text()

    sent = upstream.last_request.body.decode()
    for said in ("Be brief.", "Be kind.", "Do it.", "done-1", "done-2"):
        assert said in sent
    assert "call_1" in sent


@every_model
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_responses_as_codex_writes_them(served, upstream, model, streamed):
    shell = {"type": "function", "name": "shell", "strict": False, "parameters": PARAMETERS}
    body = {
        "model": model,
        "stream": streamed,
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "You may run commands."}],
            },
            {"role": "user", "content": "List the files."},
            {
                "type": "function_call",
                "id": "fc_1",
                "status": "completed",
                "call_id": "call_1",
                "name": "run",
                "namespace": "container",
                "arguments": '{"n":1}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
        ],
        "tools": [
            shell,
            {
                "type": "namespace",
                "name": "container",
                "description": "A box.",
                "tools": [shell | {"name": "run"}],
            },
            {"type": "web_search"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "store": False,
        "prompt_cache_key": "k",
        "client_metadata": {"originator": "codex_exec"},
    }
    name = "run" if model.startswith("up-responses") else "container__run"
    upstream.script([Reply(tool_calls=[(name, {"n": 2})])])

    async with served.post("/v1/responses", body) as answer:
        text = await answer.text()

    assert answer.status == 200, text
    if streamed:
        events = [json.loads(event) for event in events_of(text)]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["response"]["output"] == []
        response = events[-1]["response"]
    else:
        response = json.loads(text)
    call = next(item for item in response["output"] if item["type"] == "function_call")
    assert (call["name"], json.loads(call["arguments"])) == ("run", {"n": 2})
    if not model.startswith("up-responses"):
        assert call["namespace"] == "container"
    assert "a.txt" in upstream.last_request.body.decode()


@every_model
async def test_messages_as_claude_code_writes_them(served, upstream, model):
    body = {
        "model": model,
        "stream": True,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
            {
                "type": "text",
                "text": "You are a coding agent.",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "List the files."}]},
            {"role": "system", "content": "The date has changed."},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": False,
                        "content": [{"type": "text", "text": "a.txt"}],
                        "cache_control": {"type": "ephemeral"},
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "tools": [{"name": "Bash", "input_schema": PARAMETERS, "defer_loading": True}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": '{"device_id": "d", "session_id": "s"}'},
    }
    upstream.script([Reply(tool_calls=[("Bash", {"n": 1})])])
    headers = {"anthropic_version": "2023-06-01", "anthropic_beta": "claude-code-20250219"}

    async with served.post("/v1/messages?beta=true", body, **headers) as answer:
        events = [json.loads(event) for event in events_of(await answer.text())]

    assert answer.status == 200
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    pieces = [
        event["delta"]["partial_json"]
        for event in events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta"
    ]
    assert json.loads("".join(pieces)) == {"n": 1}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    sent = upstream.last_request.body.decode()
    for said in ("You are a coding agent.", "The date has changed.", "a.txt", "And now?"):
        assert said in sent
    is_same = model.startswith("up-messages")
    assert ("context_management" in sent) is is_same
    assert ("anthropic-beta" in upstream.last_request.headers) is is_same


async def test_the_front_door_is_looked_at_before_it_is_used(served):
    async with served.session.head(served.url + "/") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"},
        {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        {"x-goog-api-key": KEY},
    ],
    ids=["bearer", "x-api-key", "x-goog-api-key"],
)
async def test_keys_come_in_any_header_with_any_version(served, headers):
    headers |= {
        "x-stainless-retry-count": "0",
        "x-stainless-read-timeout": "600",
        "x-app": "cli",
        "session-id": "s",
        "originator": "codex_exec",
    }
    async with served.session.get(served.url + "/v1/models", headers=headers) as answer:
        assert answer.status == 200


async def test_a_long_talk_is_not_too_large(served):
    turns = [{"role": "user", "content": "x" * 5_000_000}]
    body = {"model": MODELS[1], "max_tokens": 5, "messages": turns}
    file = io.BytesIO(json.dumps(body).encode())

    async with served.session.post(
        served.url + "/v1/messages", data=file, headers={"x-api-key": KEY}
    ) as answer:
        assert answer.status == 200
