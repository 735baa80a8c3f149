"""What of a request arrives, from every API of clients at every dialect: all of it, or a word about the rest.

Everything that a request says here can be told apart in the provider's body; what is not there is named in
`x-faultmaven-unsupported`, and nothing is there that the dialect does not know.
"""

from __future__ import annotations

import copy
import json
import re

import pytest
import yaml

from tests.gateway.conftest import UPSTREAM_KEY

PICTURE = "aVZCT1J3MEtHZ28="
PAPER = "JVBERi0xLjQKJWU="
ADDRESS = "https://pictures.example/a.png"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {
    "type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"],
    "additionalProperties": False,
}  # fmt: skip


def data(kind, encoded):
    return f"data:{kind};base64,{encoded}"


def call(identity, city):
    function = {"name": "look", "arguments": json.dumps({"city": city})}
    return {"id": identity, "type": "function", "function": function}


CHAT = {
    "messages": [
        {"role": "system", "content": "Be terse."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look here.", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": data("image/png", PICTURE)}},
                {"type": "image_url", "image_url": {"url": ADDRESS}},
                {
                    "type": "file",
                    "file": {
                        "filename": "p.pdf",
                        "file_data": data("application/pdf", PAPER),
                    },
                },
            ],
        },
        {
            "role": "assistant",
            "content": "A moment.",
            "tool_calls": [call("c1", "Paris"), call("c2", "Oslo")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "rainy"},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Well?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look", "description": "See it.", "parameters": CITY},
        }
    ],
    "tool_choice": "auto",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    },
    "stop": ["HALT"],
    "seed": 7071,
    "temperature": 0.31,
    "top_p": 0.97,
    "max_completion_tokens": 3007,
    "parallel_tool_calls": False,
    "frequency_penalty": 0.53,
    "presence_penalty": 0.27,
    "logprobs": True,
    "top_logprobs": 19,
    "logit_bias": {"517": 1},
    "user": "ada-1815",
    "service_tier": "flex",
    "verbosity": "low",
    "safety_identifier": "safe-1815",
    "prompt_cache_key": "cached-1815",
    "store": True,
    "prediction": {"type": "content", "content": "It is foretold."},
    "web_search_options": {},
}
RESPONSES = {
    "instructions": "Be terse.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look here."},
                {"type": "input_image", "image_url": data("image/png", PICTURE)},
                {"type": "input_image", "image_url": ADDRESS},
                {
                    "type": "input_file",
                    "filename": "p.pdf",
                    "file_data": data("application/pdf", PAPER),
                },
            ],
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "A moment."}]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "look",
            "arguments": '{"city":"Paris"}',
        },
        {"type": "function_call", "call_id": "c2", "name": "look", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": "rainy"},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Well?"},
    ],
    "tools": [
        {"type": "function", "name": "look", "description": "See it.", "parameters": CITY},
        {"type": "web_search"},
    ],
    "text": {
        "format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "temperature": 0.31,
    "top_p": 0.97,
    "max_output_tokens": 3007,
    "parallel_tool_calls": False,
    "top_logprobs": 19,
    "max_tool_calls": 23,
}
MESSAGES = {
    "system": [{"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look here."},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
                },
                {"type": "image", "source": {"type": "url", "url": ADDRESS}},
                {
                    "type": "document",
                    "title": "p.pdf",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PAPER},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "A moment."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "c2", "name": "look", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "c2",
                    "is_error": True,
                    "content": [{"type": "text", "text": "rainy"}],
                },
                {"type": "text", "text": "Well?"},
            ],
        },
    ],
    "tools": [
        {"name": "look", "description": "See it.", "input_schema": CITY},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["HALT"],
    "temperature": 0.31,
    "top_p": 0.97,
    "top_k": 57,
    "max_tokens": 3007,
    "mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}],
    "container": "c-1815",
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be terse."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Look here."},
                {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
                {"fileData": {"mimeType": "image/png", "fileUri": ADDRESS}},
                {"inlineData": {"mimeType": "application/pdf", "data": PAPER}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "A moment."},
                {"functionCall": {"id": "c1", "name": "look", "args": {"city": "Paris"}}},
                {"functionCall": {"id": "c2", "name": "look", "args": {"city": "Oslo"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c1", "name": "look", "response": {"output": "sunny"},
                    }
                },
                {
                    "functionResponse": {
                        "id": "c2", "name": "look", "response": {"output": "rainy"},
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "Well?"}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {"name": "look", "description": "See it.", "parametersJsonSchema": CITY}
            ]
        },
        {"googleSearch": {}},
    ],
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "stopSequences": ["HALT"],
        "seed": 7071,
        "temperature": 0.31,
        "topP": 0.97,
        "topK": 57,
        "maxOutputTokens": 3007,
        "frequencyPenalty": 0.53,
        "presencePenalty": 0.27,
        "responseLogprobs": True,
        "logprobs": 19,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
}  # fmt: skip
FRONTS = {
    "chat": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", RESPONSES),
    "messages": ("/v1/messages", MESSAGES),
    "gemini": ("/v1beta/models/{}:generateContent", GEMINI),
}
# How each thing is known in a body, by what a report would call it.
SAID = {
    "messages": ["Look here.", "A moment.", "Paris", "Oslo", "sunny", "rainy", "Well?", PICTURE],
    "system": ["Be terse."],
    "tools": ["See it."],
    "output_schema": ["verdict"],
    "temperature": ["0.31"],
    "top_p": ["0.97"],
    "max_tokens": ["3007"],
}
SAID_BY = {
    "chat": {
        "developer": ["Be kind."], "stop": ["HALT"], "seed": ["7071"], "cache_control": ["ephemeral"],
        "frequency_penalty": ["0.53"], "presence_penalty": ["0.27"], "top_logprobs": ["19"],
        "logit_bias": ["517"], "user": ["ada-1815"], "service_tier": ["flex"], "store": ['"store"'],
        "verbosity": ['"low"'], "safety_identifier": ["safe-1815"],
        "prompt_cache_key": ["cached-1815"], "prediction": ["foretold"],
        "web_search_options": ["web_search_options"], "logprobs": ["ogprobs"],
        "parallel_tool_calls": ["parallel_tool"],
    },
    "responses": {
        "developer": ["Be kind."], "the tool web_search": ['"web_search"'], "verbosity": ['"low"'],
        "top_logprobs": ["19"], "max_tool_calls": ["23"], "parallel_tool_calls": ["parallel_tool"],
    },
    "messages": {
        "stop": ["HALT"], "top_k": ["57"], "cache_control": ["ephemeral"],
        "the tool web_search_20250305": ["web_search_20250305"],
        "parallel_tool_calls": ["parallel_tool"], "mcp_servers": ["mcp.example"],
        "container": ["c-1815"],
    },
    "gemini": {
        "stop": ["HALT"], "seed": ["7071"], "top_k": ["57"], "frequency_penalty": ["0.53"],
        "presence_penalty": ["0.27"], "top_logprobs": ["19"], "logprobs": ["ogprobs"],
        "mediaResolution": ["RESOLUTION_LOW"], "safetySettings": ["BLOCK_NONE"],
        "the tool googleSearch": ["googleSearch"],
    },
}  # fmt: skip
# Each dialect: class, name at the upstream, and what it takes of files.
DIALECTS = {
    "chat": ("OpenAIProvider", "openai", "url paper"),
    "responses": ("OpenAIResponsesProvider", "openai", "url paper"),
    "messages": ("AnthropicProvider", "anthropic", "url paper"),
    "gemini": ("GeminiProvider", "gemini", "url paper"),
    "mistral": ("MistralProvider", "openai", "url paper"),
    "cohere": ("CohereProvider", "cohere", "url"),
    "ollama": ("OllamaProvider", "ollama", ""),
    "bedrock": ("BedrockProvider", "bedrock", "paper"),
}
# The fields that each knows; `top_k` goes along, as some hosts of each take it.
KNOWN = {
    "chat": """
        model messages temperature top_p max_tokens max_completion_tokens stop seed tools tool_choice
        response_format stream parallel_tool_calls frequency_penalty presence_penalty logprobs
        top_logprobs logit_bias user service_tier verbosity safety_identifier prompt_cache_key store
        prediction web_search_options top_k
    """,
    "responses": """
        model input instructions max_output_tokens temperature top_p tools tool_choice text include
        parallel_tool_calls top_logprobs user service_tier safety_identifier prompt_cache_key store
        max_tool_calls top_k
    """,
    "messages": """
        model max_tokens messages system temperature top_p top_k stop_sequences tools tool_choice
        output_config metadata mcp_servers container
    """,
    "gemini": "contents systemInstruction tools toolConfig generationConfig safetySettings",
    "mistral": """
        model messages temperature top_p max_tokens stop seed tools tool_choice response_format
        parallel_tool_calls frequency_penalty presence_penalty logprobs user prediction top_k
    """,
    "cohere": """
        model messages stream temperature p k max_tokens seed stop_sequences tools tool_choice
        response_format frequency_penalty presence_penalty logprobs top_k
    """,
    "ollama": "model messages stream tools format options think logprobs top_logprobs",
    "bedrock": """
        messages system inferenceConfig toolConfig outputConfig additionalModelRequestFields
    """,
}


def without(value, *marks):
    """Give a copy without the parts of messages that hold one of the marks and nothing else."""
    if isinstance(value, list):
        kept = [one for one in value if not (_is_part(one) and _holds(one, marks))]
        return [without(one, *marks) for one in kept]
    if isinstance(value, dict):
        return {name: without(one, *marks) for name, one in value.items()}
    return value


def _is_part(value):
    return isinstance(value, dict) and not value.keys() & {"role", "parts", "content"}


def _holds(value, marks):
    text = json.dumps(value)
    return any(mark in text for mark in marks)


@pytest.fixture
async def gateway(start, upstream):
    rows = {
        f"at-{name}": {
            "provider_class": kind,
            "default_base_url": upstream.base_url_for(dialect),
            "default_model": "fake",
            "api_key_var": "OPENAI_API_KEY",
            "max_retries": 0,
        }
        for name, (kind, dialect, _) in DIALECTS.items()
    }
    async with start(yaml.safe_dump({"providers": rows}), OPENAI_API_KEY=UPSTREAM_KEY) as running:
        yield running


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("front", FRONTS)
async def test_what_is_asked_for_arrives_or_is_named(gateway, upstream, front, dialect):
    path, body = FRONTS[front]
    _, _, takes = DIALECTS[dialect]
    model = f"at-{dialect}/fake"
    marks = [mark for word, mark in (("url", ADDRESS), ("paper", PAPER)) if word not in takes]
    asked = without(copy.deepcopy(body), *marks) if marks else copy.deepcopy(body)
    if "{}" not in path:
        asked["model"] = model

    async with gateway.post(path.format(model), asked) as reply:
        assert reply.status == 200, await reply.text()
        reported = reply.headers.get("x-faultmaven-unsupported", "")

    sent = upstream.last_request
    said = {**SAID, **SAID_BY[front]}
    files = [mark for mark in (ADDRESS, PAPER) if mark not in marks]
    text = json.dumps(sent.json, ensure_ascii=False)
    named = set(re.findall(r"(?:^|; )([^;]*?) was not sent", reported))
    missing = {
        name: lost
        for name, found in said.items()
        if (lost := [mark for mark in found if mark not in text]) and name not in named
    }
    assert missing == {}
    assert [mark for mark in files if mark not in text] == []
    # What is relayed is the client's own body.
    if front != dialect:
        assert sent.json.keys() - KNOWN[dialect].split() == set()


@pytest.mark.parametrize("front", FRONTS)
async def test_a_stream_names_what_did_not_arrive_as_an_answer_does(gateway, front):
    path, body = FRONTS[front]
    dialect = "cohere" if front != "gemini" else "chat"
    model = f"at-{dialect}/fake"
    asked = without(copy.deepcopy(body), PAPER)
    streamed = path.replace("generateContent", "streamGenerateContent?alt=sse").format(model)
    if "{}" not in path:
        asked["model"] = model

    async with gateway.post(path.format(model), asked) as reply:
        whole = reply.headers["x-faultmaven-unsupported"]
    asked |= {"stream": True} if "{}" not in path else {}
    async with gateway.post(streamed, asked) as reply:
        assert reply.status == 200
        assert reply.headers["x-faultmaven-unsupported"] == whole


@pytest.mark.parametrize(
    ("front", "name"),
    [
        ("chat", "parallel_tool_calls"),
        ("responses", "the tool web_search"),
        ("messages", "mcp_servers"),
        ("gemini", "safetySettings"),
    ],
)
async def test_what_cannot_arrive_is_an_error_where_the_row_says_so(start, upstream, front, name):
    row = {
        "provider_class": "CohereProvider",
        "default_base_url": upstream.base_url_for("cohere"),
        "default_model": "fake",
        "api_key_var": "OPENAI_API_KEY",
        "on_unsupported": "error",
    }
    path, body = FRONTS[front]
    kept = {key: body[key] for key in ("messages", "input", "contents", "tools") if key in body}
    value = {key: body[key] for key in (name,) if key in body}
    asked = without({**kept, **value, "max_tokens": 9}, PAPER, "cache_control")
    if front != "responses":
        asked.pop("tools", None)
    if "{}" not in path:
        asked["model"] = "strict/fake"

    file = yaml.safe_dump({"providers": {"strict": row}})
    async with (
        start(file, OPENAI_API_KEY=UPSTREAM_KEY) as gateway,
        gateway.post(path.format("strict/fake"), asked) as reply,
    ):
        answer = await reply.text()

    assert reply.status == 400
    assert f"fake does not take {name}" in answer
    assert not upstream.requests


SHOT = {
    "messages": {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "shoot", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64", "media_type": "image/png", "data": PICTURE,
                                },
                            }
                        ],
                    }
                ],
            },
        ],
    },
    "responses": {
        "input": [
            {"role": "user", "content": "Look."},
            {"type": "function_call", "call_id": "c1", "name": "shoot", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_image", "image_url": data("image/png", PICTURE)}],
            },
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("front", SHOT)
async def test_a_picture_in_a_tools_result_arrives(gateway, upstream, front, dialect):
    path, _ = FRONTS[front]

    async with gateway.post(path, {"model": f"at-{dialect}/fake", **SHOT[front]}) as reply:
        assert reply.status == 200, await reply.text()

    sent = upstream.last_request.json
    assert PICTURE in json.dumps(sent)
    if dialect in ("chat", "cohere"):
        *_, result, last = sent["messages"]
        assert (result["role"], result["content"]) == ("tool", "(shown below)")
        assert last["role"] == "user"
