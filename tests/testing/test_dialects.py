"""Every dialect: plain and streamed answers say the same, and usage adds up."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from faultmaven.infrastructure.llm.event_stream import EventStreamDecoder
from faultmaven.testing import FakeUpstream
from faultmaven.testing.answers import DEFAULT_REASONING, DEFAULT_TEXT
from faultmaven.testing.dialects import DIALECTS
from faultmaven.testing.dialects.embeddings import vector_of

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "parameters": SCHEMA}
OPENAI_TOOL = {"type": "function", "function": FUNCTION}
SECOND_TOOL = {"type": "function", "function": {"name": "news"}}


def user(text):
    return [{"role": "user", "content": text}]


async def test_openai_chat_calls_tools_when_told_so(ask):
    tools = [OPENAI_TOOL, SECOND_TOOL]
    one = await ask(messages=user("Use a tool"), tools=tools)
    two = await ask(messages=user("both in parallel"), tools=tools)
    none = await ask(messages=user("Hello"), tools=tools)
    forced = await ask(messages=user("Hello"), tools=tools, tool_choice="required")
    named = await ask(
        messages=user("Hello"),
        tools=tools,
        tool_choice={"type": "function", "function": {"name": "news"}},
    )
    result = await ask(
        messages=[*user("Use a tool"), {"role": "tool", "content": "tool says 5"}], tools=tools
    )

    def names(heard):
        message = heard.json["choices"][0]["message"]
        return [c["function"]["name"] for c in message.get("tool_calls", [])]

    assert [names(h) for h in (one, two, none, forced, named, result)] == [
        ["weather"],
        ["weather", "news"],
        [],
        ["weather"],
        ["news"],
        [],
    ]
    arguments = one.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"city": "text"}


async def test_openai_chat_streams_usage_only_when_asked(ask):
    without = await ask(stream=True)
    with_usage = await ask(stream=True, stream_options={"include_usage": True})

    assert not any("usage" in data for data in without.objects)
    usage = with_usage.objects[-1]["usage"]
    assert with_usage.objects[-1]["choices"] == []
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_openai_chat_answers_to_a_schema(ask):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    heard = await ask(response_format=form)

    assert json.loads(heard.json["choices"][0]["message"]["content"]) == {"city": "text"}


async def test_completions(ask):
    plain = await ask(path="/v1/completions", prompt="x")
    streamed = await ask(path="/v1/completions", prompt="x", stream=True)

    assert plain.json["choices"][0]["text"] == DEFAULT_TEXT
    assert "".join(d["choices"][0]["text"] for d in streamed.objects) == DEFAULT_TEXT


async def test_responses_stream_follows_the_grammar(ask):
    body = {"input": "Use a tool", "tools": [{"type": "function", **FUNCTION}]}
    heard = await ask(path="/v1/responses", stream=True, reasoning={"effort": "high"}, **body)
    plain = await ask(path="/v1/responses", reasoning={"effort": "high"}, **body)
    events = heard.objects
    deltas = [e for e in events if e["type"].endswith("delta")]

    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    assert all({"item_id", "output_index"} <= set(delta) for delta in deltas)
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    assert "".join(d["delta"] for d in deltas if "summary_index" in d) == DEFAULT_REASONING
    assert [i["type"] for i in plain.json["output"]] == ["reasoning", "function_call"]
    names = [line for line in heard.body.decode().split("\n") if line.startswith("event: ")]
    assert [name.removeprefix("event: ") for name in names] == [e["type"] for e in events]


async def test_responses_stream_carries_the_text(ask):
    heard = await ask(path="/v1/responses", stream=True, input="Hello")
    deltas = [e for e in heard.objects if e["type"] == "response.output_text.delta"]

    assert "".join(e["delta"] for e in deltas) == DEFAULT_TEXT
    assert all(e["content_index"] == 0 for e in deltas)


async def test_anthropic_stream_follows_the_grammar(ask):
    tool = {"name": "weather", "input_schema": SCHEMA}
    body = {
        "path": "/v1/messages",
        "messages": user("Use a tool"),
        "tools": [tool],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    plain = await ask(**body)
    events = (await ask(stream=True, **body)).objects
    kinds = [e["type"] for e in events]

    assert [b["type"] for b in plain.json["content"]] == ["thinking", "tool_use"]
    assert plain.json["content"][1]["input"] == {"city": "text"}
    assert plain.json["stop_reason"] == "tool_use"
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2
    json_deltas = [e["delta"].get("partial_json", "") for e in events if "delta" in e]
    assert json.loads("".join(json_deltas)) == {"city": "text"}


async def test_anthropic_counts_tokens(ask):
    heard = await ask(path="/v1/messages/count_tokens", messages=user("x" * 40))

    assert heard.json == {"input_tokens": 10}


async def test_ollama_streams_by_default(ask):
    body = {"messages": user("Use a tool"), "tools": [OPENAI_TOOL]}
    lines = (await ask(path="/api/chat", stream=True)).body.decode().splitlines()
    tools = await ask(path="/api/chat", **body)
    generated = await ask(path="/api/generate", prompt="x")
    parts = [json.loads(line) for line in lines]

    assert "".join(part["message"]["content"] for part in parts) == DEFAULT_TEXT
    assert (parts[-1]["done"], parts[-1]["done_reason"]) == (True, "stop")
    call = tools.json["message"]["tool_calls"][0]["function"]
    assert call == {"name": "weather", "arguments": {"city": "text"}}
    assert generated.json["response"] == DEFAULT_TEXT


async def test_gemini_speaks_sse_and_arrays(ask):
    path = "/v1beta/models/m:{}"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    plain = await ask(path=path.format("generateContent"), **body)
    sse = await ask(path=path.format("streamGenerateContent?alt=sse"), **body)
    array = await ask(path=path.format("streamGenerateContent"), **body)
    counted = await ask(path=path.format("countTokens"), **body)

    def text(data):
        return "".join(p["text"] for d in data for p in d["candidates"][0]["content"]["parts"])

    assert text([plain.json]) == text(sse.objects) == text(array.json) == DEFAULT_TEXT
    usage = plain.json["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert counted.json == {"totalTokens": 2}


async def test_gemini_calls_tools_and_answers_to_schemas(ask):
    path = "/v1beta/models/m:generateContent"
    capital = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]}
    declared = [{"functionDeclarations": [{"name": "weather", "parameters": capital}]}]
    contents = [{"parts": [{"text": "Use a tool"}]}]
    tools = await ask(path=path, contents=contents, tools=declared)
    config = {"responseMimeType": "application/json", "responseSchema": capital}
    structured = await ask(path=path, contents=contents, generationConfig=config)

    part = tools.json["candidates"][0]["content"]["parts"][0]
    assert part["functionCall"]["args"] == {"n": 0}
    assert structured.json["candidates"][0]["content"]["parts"] == [{"text": '{"n": 0}'}]


async def test_cohere(ask):
    plain = await ask(path="/v2/chat")
    events = (await ask(path="/v2/chat", stream=True)).objects
    tools = await ask(path="/v2/chat", messages=user("tool"), tools=[OPENAI_TOOL], stream=True)

    deltas = [e["delta"]["message"]["content"] for e in events if e["type"] == "content-delta"]
    assert "".join(delta["text"] for delta in deltas) == DEFAULT_TEXT
    assert plain.json["message"]["content"] == [{"type": "text", "text": DEFAULT_TEXT}]
    assert events[-1]["delta"]["finish_reason"] == "COMPLETE"
    assert "tool-call-start" in [e["type"] for e in tools.objects]


async def test_bedrock_converse(ask, upstream):
    tool = {"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}
    heard = await ask(
        path="/model/us.acme%2Fm%3A0/converse",
        messages=[{"role": "user", "content": [{"text": "Use a tool"}]}],
        toolConfig={"tools": [tool]},
    )

    assert heard.json["output"]["message"]["content"][0]["toolUse"]["input"] == {"city": "text"}
    assert heard.json["stopReason"] == "tool_use"
    assert upstream.last_request.raw_target == "/model/us.acme%2Fm%3A0/converse"


CLAUDE = "/v1/projects/p/locations/l/publishers/anthropic/models"


@pytest.mark.parametrize(
    "path", ["/model/us.acme%2Fm%3A0/invoke", f"{CLAUDE}/us.acme%2Fm%3A0:rawPredict"]
)
async def test_anthropic_on_clouds(ask, path):
    tool = {"name": "weather", "input_schema": SCHEMA}
    heard = await ask(path=path, messages=user("Use a tool"), tools=[tool])

    assert heard.json["content"][0]["input"] == {"city": "text"}
    assert (heard.json["stop_reason"], heard.json["model"]) == ("tool_use", "us.acme/m:0")


async def test_anthropic_on_vertex_streams_and_counts(ask):
    events = (await ask(path=f"{CLAUDE}/m:streamRawPredict")).objects
    counted = await ask(path=f"{CLAUDE}/count-tokens:rawPredict", messages=user("one two"))

    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == DEFAULT_TEXT
    assert counted.json["input_tokens"] > 0


async def test_anthropic_on_bedrock_streams_events_in_frames(ask):
    heard = await ask(path="/model/m/invoke-with-response-stream")
    decoder = EventStreamDecoder()
    frames = decoder.feed(heard.body)
    decoder.finish()
    pieces = [json.loads(base64.b64decode(json.loads(f.payload)["bytes"])) for f in frames]

    deltas = [p["delta"] for p in pieces if p["type"] == "content_block_delta"]
    assert heard.header("content-type") == "application/vnd.amazon.eventstream"
    assert {frame.headers[":event-type"] for frame in frames} == {"chunk"}
    assert "".join(delta["text"] for delta in deltas) == DEFAULT_TEXT
    assert pieces[-1]["type"] == "message_stop"


async def test_watsonx_renames_and_has_no_word_for_the_end(ask):
    body = {"model_id": "ibm/granite", "tools": [OPENAI_TOOL], "tool_choice_option": "required"}
    plain = (await ask(None, path="/ml/v1/text/chat", **body)).json
    streamed = await ask(None, path="/ml/v1/text/chat_stream", model_id="ibm/granite")

    assert (plain["model_id"], "model" in plain) == ("ibm/granite", False)
    assert plain["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"
    assert streamed.text == DEFAULT_TEXT
    assert "[DONE]" not in streamed.data
    assert streamed.objects[-1]["usage"]["total_tokens"] > 0


async def test_faults_are_chosen_by_models_in_paths(ask):
    gemini = await ask(path="/v1beta/models/fm:status:429:generateContent")
    bedrock = await ask(path="/model/fm%3Astatus%3A503/converse")
    vertex = await ask(path=f"{CLAUDE}/fm:status:529:rawPredict")
    watsonx = await ask(None, path="/ml/v1/text/chat_stream", model_id="fm:status:404")
    azure = await ask(
        None, path="/openai/deployments/fm:status:401/chat/completions?api-version=1"
    )

    assert (gemini.status, gemini.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert bedrock.header("x-amzn-errortype") == "ServiceUnavailableException"
    assert (vertex.status, vertex.json["error"]["type"]) == (529, "overloaded_error")
    assert watsonx.json["errors"][0]["code"] == "model_not_supported"
    assert azure.status == 401


async def test_llamacpp(ask):
    plain = await ask(path="/completion", prompt="x")
    streamed = await ask(path="/completion", prompt="x", stream=True)

    assert plain.json["content"] == DEFAULT_TEXT
    assert "".join(part["content"] for part in streamed.objects) == DEFAULT_TEXT


async def test_embeddings_are_the_same_in_every_dialect(ask):
    openai = (await ask(path="/v1/embeddings", input=["a", "b"])).json
    packed = (await ask(path="/v1/embeddings", input="a", encoding_format="base64")).json
    long = (await ask(path="/v1/embeddings", input="a", dimensions=3)).json
    ollama = (await ask(path="/api/embed", input=["a"])).json
    cohere = (await ask(path="/v2/embed", texts=["a"])).json
    watsonx = (await ask(path="/ml/v1/text/embeddings", inputs=["a"])).json
    one = {"content": {"parts": [{"text": "a"}]}}
    gemini = (await ask(path="/v1beta/models/m:embedContent", **one)).json
    batch = (await ask(path="/v1beta/models/m:batchEmbedContents", requests=[one])).json

    vector = vector_of("a")
    assert [item["embedding"] for item in openai["data"]] == [vector, vector_of("b")]
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<8f", raw)) == vector
    assert len(long["data"][0]["embedding"]) == 3
    assert ollama["embeddings"] == cohere["embeddings"]["float"] == [vector]
    assert watsonx["results"][0]["embedding"] == vector
    assert gemini["embedding"]["values"] == batch["embeddings"][0]["values"] == vector
    assert sum(number * number for number in vector) == pytest.approx(1)


@pytest.mark.parametrize(("asked", "length"), [(0, 1), (-1, 1), (10**10, 4096)])
async def test_vectors_have_a_length_that_fits_into_memory(ask, asked, length):
    answer = (await ask(path="/v1/embeddings", input="a", dimensions=asked)).json

    assert len(answer["data"][0]["embedding"]) == length


def test_dialects_are_sorted_by_name():
    assert list(DIALECTS) == sorted(DIALECTS) == FakeUpstream.dialects()


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("openai", "/v1"),
        ("anthropic", "/v1"),
        ("gemini", "/v1beta"),
        ("cohere", "/v2"),
        ("ollama", ""),
        ("vertex-anthropic", "/v1/projects/fake/locations/global/publishers/anthropic/models"),
        ("watsonx", ""),
    ],
)
async def test_base_url_for(upstream, dialect, path):
    assert upstream.base_url_for(dialect) == upstream.url + path
