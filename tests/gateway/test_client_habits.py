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
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
HELLO = [{"role": "user", "content": "Hello"}]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
# Every path that takes a key, with a body where it takes one.
ENDPOINTS = {
    "/v1/models": None,
    "/v1/models/up-chat/fake": None,
    "/v1beta/models": None,
    "/v1beta/models/up-chat/fake": None,
    "/models": None,
    "/v1/chat/completions": {"model": "up-chat/fake", "messages": HELLO},
    "/v1/completions": {"model": "up-chat/fake", "prompt": "Hello"},
    "/v1/responses": {"model": "up-chat/fake", "input": "Hello"},
    "/v1/embeddings": {"model": "up-chat/fake", "input": "Hello"},
    "/v1/messages": {"model": "up-chat/fake", "max_tokens": 5, "messages": HELLO},
    "/v1/messages/count_tokens": {"model": "up-chat/fake", "messages": HELLO},
    "/v1beta/models/up-chat/fake:generateContent": CONTENTS,
    "/v1/models/up-chat/fake:streamGenerateContent?alt=sse": CONTENTS,
    "/v1beta/models/up-chat/fake:countTokens": CONTENTS,
    "/v1beta/models/up-chat/fake:batchEmbedContents": {
        "requests": [{"content": {"parts": [{"text": "Hello"}]}}]
    },
    "/chat": {"messages": HELLO},
    "/command": {"command": "status"},
}
KEY_HEADERS = {
    "bearer": {"Authorization": f"Bearer {KEY}"},
    "x-api-key": {"x-api-key": KEY},
    "x-goog-api-key": {"x-goog-api-key": KEY},
}
# What clients tell of themselves; nobody may need it, nobody may refuse it.
PEDIGREES = {
    "stainless": {
        "x-stainless-arch": "x64",
        "x-stainless-async": "false",
        "x-stainless-lang": "python",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "3.54.0",
        "x-stainless-read-timeout": "600",
        "x-stainless-retry-count": "1",
        "x-stainless-runtime": "CPython",
        "x-stainless-runtime-version": "3.11.7",
        "x-stainless-timeout": "600",
    },
    "claude-code": {
        "accept-encoding": "gzip, deflate, br, zstd",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,effort-2025-11-24",
        "anthropic-dangerous-direct-browser-access": "true",
        "anthropic-version": "2023-06-01",
        "x-app": "cli",
        "x-claude-code-session-id": "5f0c2ad0-0000-4000-8000-000000000000",
    },
    "codex": {
        "originator": "codex_exec",
        "session-id": "s",
        "thread-id": "t",
        "x-codex-turn-metadata": "{}",
    },
    "opencode": {"x-session-affinity": "s", "x-session-id": "s"},
    "pi": {"session_id": "s", "x-client-request-id": "r"},
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


@pytest.mark.parametrize("headers", KEY_HEADERS.values(), ids=KEY_HEADERS)
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_keys_come_in_any_header_to_any_path(served, path, headers):
    method = "GET" if ENDPOINTS[path] is None else "POST"
    wrong = {name: value.replace(KEY, "wrong") for name, value in headers.items()}

    statuses = []
    for sent in (headers, wrong):
        async with served.session.request(
            method, served.url + path, json=ENDPOINTS[path], headers=sent
        ) as answer:
            statuses.append(answer.status)

    assert statuses == [200, 401]


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_what_else_is_asked_in_the_address_is_let_be(served, path):
    address = f"{served.url}{path}{'&' if '?' in path else '?'}beta=true&limit=5"
    method = "GET" if ENDPOINTS[path] is None else "POST"

    async with served.session.request(
        method, address, json=ENDPOINTS[path], headers=KEY_HEADERS["bearer"]
    ) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Authorization": f"Bearer {KEY}"}, "owned_by"),
        ({"Authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}, "display_name"),
        ({"x-api-key": KEY, "anthropic-version": "2023-06-01"}, "display_name"),
        ({"x-goog-api-key": KEY}, "supportedGenerationMethods"),
    ],
    ids=["openai", "anthropic-bearer", "anthropic", "google"],
)
async def test_models_are_listed_in_the_shape_of_who_asks(served, headers, field):
    async with served.session.get(served.url + "/v1/models?limit=5", headers=headers) as answer:
        listed = await answer.json()

    assert all(field in entry for entry in listed.get("data") or listed["models"])


@every_model
@pytest.mark.parametrize("pedigree", PEDIGREES.values(), ids=PEDIGREES)
async def test_what_clients_tell_of_themselves_is_let_be(served, upstream, model, pedigree):
    body = {"model": model, "messages": HELLO, "max_tokens": 5}
    headers = KEY_HEADERS["x-api-key"] | pedigree

    for path in ("/v1/chat/completions", "/v1/messages"):
        async with served.session.post(served.url + path, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    told = pedigree.keys() - {"accept-encoding", "anthropic-beta", "anthropic-version"}
    assert not told & {name.lower() for name in upstream.last_request.headers}


@every_model
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_chat_has_two_names_for_the_longest_answer(served, upstream, model, limit):
    body = {"model": model, "messages": HELLO, limit: 57, "logit_bias": {}}

    async with served.post("/v1/chat/completions", body) as answer:
        assert answer.status == 200, await answer.text()

    assert "57" in upstream.last_request.body.decode()


@every_model
@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": False}},
    ],
    ids=["object", "strict", "loose"],
)
async def test_structure_as_the_ai_sdk_asks_for_it(served, upstream, model, form):
    upstream.reply('{"answer": 42}')
    messages = [{"role": "user", "content": "Answer in JSON."}]
    body = {"model": model, "messages": messages, "response_format": form}

    async with served.post("/v1/chat/completions", body) as answer:
        found = await answer.json()

    assert answer.status == 200, found
    assert json.loads(found["choices"][0]["message"]["content"]) == {"answer": 42}


@pytest.mark.parametrize("model", ["up-chat/fake", "up-gemini/fake"])
@pytest.mark.parametrize("encoding", ["base64", "float", None])
async def test_vectors_come_in_the_encoding_that_is_asked_for(served, model, encoding):
    body = {"model": model, "input": ["sea", "sky"]}
    body |= {"encoding_format": encoding} if encoding else {}

    async with served.post("/v1/embeddings", body) as answer:
        vectors = [entry["embedding"] for entry in (await answer.json())["data"]]

    assert [type(vector) for vector in vectors] == [str if encoding == "base64" else list] * 2


RESPONSE_INPUTS = {
    "text": "Say-it",
    "role-and-text": [{"role": "user", "content": "Say-it"}],
    "parts": [{"role": "user", "content": [{"type": "input_text", "text": "Say-it"}]}],
    "message": [{"type": "message", "role": "user", "content": "Say-it"}],
    "system": [{"role": "system", "content": "Say-it"}, {"role": "user", "content": "Hello"}],
    "developer": [{"role": "developer", "content": "Say-it"}, {"role": "user", "content": "Hi"}],
    "calls-without-ids": [
        {"role": "user", "content": "Hello"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Say-it"},
    ],
    "an-answer-sent-back": [
        {"role": "user", "content": "Hello"},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Say-it", "annotations": []}],
        },
        {"role": "user", "content": "Again"},
    ],
}


@every_model
@pytest.mark.parametrize("items", RESPONSE_INPUTS.values(), ids=RESPONSE_INPUTS)
async def test_input_of_responses_in_all_its_forms(served, upstream, model, items):
    async with served.post("/v1/responses", {"model": model, "input": items}) as answer:
        assert answer.status == 200, await answer.text()

    assert "Say-it" in upstream.last_request.body.decode()


@every_model
async def test_stream_of_responses_has_the_places_that_sdks_need(served, upstream, model):
    upstream.script([Reply("One two three.", reasoning="Hm.")])

    async with served.post(
        "/v1/responses", {"model": model, "input": "Hello", "stream": True}
    ) as answer:
        events = [json.loads(event) for event in events_of(await answer.text())]

    kinds = [event["type"] for event in events]
    for kind in ("output_item", "content_part"):
        assert kinds.count(f"response.{kind}.added") == kinds.count(f"response.{kind}.done") > 0
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(event["delta"] for event in deltas) == "One two three."
    message = next(
        event
        for event in events
        if event["type"] == "response.output_item.added" and event["item"]["type"] == "message"
    )
    for event in deltas:
        assert event["item_id"] == message["item"]["id"]
        assert (event["output_index"], event["content_index"]) == (message["output_index"], 0)
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert events[-1]["response"]["output"][-1]["content"][0]["text"] == "One two three."


@every_model
async def test_messages_as_older_claude_code_writes_them(served, upstream, model):
    body = {
        "model": model,
        "stream": True,
        "max_tokens": 32000,
        "messages": [
            *HELLO,
            {"role": "assistant", "content": "Hello."},
            {"role": "system", "content": [{"type": "text", "text": "Tools have changed."}]},
            {"role": "user", "content": "Go on."},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "metadata": {"user_id": '{"device_id": "d"}'},
    }

    async with served.post("/v1/messages?beta=true", body) as answer:
        events = [json.loads(event) for event in events_of(await answer.text())]

    assert answer.status == 200, events
    assert "Tools have changed." in upstream.last_request.body.decode()
    assert isinstance(events[0]["message"]["usage"]["output_tokens"], int)
    assert events[-2]["usage"]["output_tokens"] > 0


@every_model
@pytest.mark.parametrize(
    "choice",
    [
        {"type": "any"},
        {"type": "tool", "name": "f"},
        {"type": "auto", "disable_parallel_tool_use": True},
        {"type": "none"},
    ],
    ids=lambda choice: choice["type"],
)
async def test_messages_choose_tools(served, upstream, model, choice):
    tool = {"name": "f", "input_schema": PARAMETERS}
    body = {"model": model, "max_tokens": 50, "messages": HELLO, "tools": [tool]}

    async with served.post("/v1/messages", {**body, "tool_choice": choice}) as answer:
        assert answer.status == 200, await answer.text()


async def test_a_long_talk_is_not_too_large(served):
    turns = [{"role": "user", "content": "x" * 5_000_000}]
    body = {"model": MODELS[1], "max_tokens": 5, "messages": turns}
    file = io.BytesIO(json.dumps(body).encode())

    async with served.session.post(
        served.url + "/v1/messages", data=file, headers={"x-api-key": KEY}
    ) as answer:
        assert answer.status == 200
