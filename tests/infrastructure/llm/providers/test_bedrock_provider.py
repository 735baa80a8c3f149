"""Bedrock's Converse and Claude by InvokeModel, end to end."""

import base64
import json
from urllib.parse import unquote

import pytest

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    InvalidRequestError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.providers.bedrock_anthropic_provider import (
    BedrockAnthropicProvider,
)
from faultmaven.infrastructure.llm.providers.bedrock_provider import BedrockProvider
from faultmaven.infrastructure.llm.types import make_request
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from faultmaven.testing.answers import DEFAULT_TEXT
from faultmaven.testing.dialects.bedrock import event_stream_frame
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
KEYS = {"region": "us-east-1", "access_key": "AKIDEXAMPLE", "secret_key": "secret-of-a-test"}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
}
MODEL = "us.amazon.nova-2-lite-v1:0"


def make_bedrock(base_url, kind=BedrockProvider, **settings):
    given = {"variables": KEYS, "models": [MODEL], "max_retries": 0}
    given["row"] = {"api_key_optional": True}
    return kind(name="bedrock", base_url=base_url, **{**given, **settings})


def frame(payload, **headers):
    named = {f":{name.replace('_', '-')}": value for name, value in headers.items()}
    return event_stream_frame(named, json.dumps(payload).encode())


class TestContractSigned(ProviderContract):
    dialect = "bedrock"

    def make_provider(self, base_url):
        return make_bedrock(base_url, variables={**KEYS, "secret_key": self.api_key})


class TestContractWithKey(ProviderContract):
    dialect = "bedrock"

    def make_provider(self, base_url):
        return make_bedrock(base_url, api_key=self.api_key, variables={})


async def test_a_request_is_signed(upstream):
    async with make_bedrock(upstream.url) as bedrock:
        await bedrock.generate("Hi")

    sent = upstream.last_request
    assert sent.raw_target == "/model/us.amazon.nova-2-lite-v1%3A0/converse"
    assert sent.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in sent.headers["authorization"]
    assert "content-type;host;x-amz-date" in sent.headers["authorization"]
    assert "secret-of-a-test" not in str(sent.header_lines)


async def test_a_key_is_sent_as_a_bearer(upstream):
    async with make_bedrock(upstream.url, api_key="ABSK-for-a-test") as bedrock:
        await bedrock.generate("Hi")

    assert upstream.last_request.headers["authorization"] == "Bearer ABSK-for-a-test"
    assert "x-amz-date" not in upstream.last_request.headers


async def test_a_session_token_goes_along(upstream):
    async with make_bedrock(
        upstream.url, variables={**KEYS, "session_token": "token-of-a-session"}
    ) as bedrock:
        await bedrock.generate("Hi")

    assert upstream.last_request.headers["x-amz-security-token"] == "token-of-a-session"


@pytest.mark.parametrize(
    "model",
    ["../../admin?x=#", "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-x"],
)
async def test_a_model_is_one_segment_of_the_path(canned, model):
    canned.answer(ANSWER)
    async with make_bedrock(canned.url) as bedrock:
        await bedrock.generate("Hi", model=model)

    segments = canned.last.target.split("/")
    assert segments[1] == "model"
    assert unquote(segments[2]) == model
    assert segments[3:] == ["converse"]


@pytest.mark.parametrize(
    ("variables", "host", "region"),
    [
        ({"region": "eu-west-1"}, "http://127.0.0.1", "eu-west-1"),
        ({}, "https://bedrock-runtime.ap-south-1.amazonaws.com", "ap-south-1"),
    ],
)
def test_the_region_is_that_of_the_settings_or_of_the_host(variables, host, region):
    assert make_bedrock(host, variables=variables)._region() == region


async def test_without_a_region_it_says_which_variable_to_set(canned):
    keys = {name: value for name, value in KEYS.items() if name != "region"}
    async with make_bedrock(canned.url, variables=keys) as bedrock:
        with pytest.raises(ConfigurationError, match="AWS_REGION"):
            await bedrock.generate("Hi")


async def test_models_and_profiles_are_listed_at_the_host_that_manages_them(canned):
    canned.answer(
        {"modelSummaries": [{"modelId": "amazon.nova-x"}]},
        {"inferenceProfileSummaries": [{"inferenceProfileId": "us.amazon.nova-x"}]},
    )
    async with make_bedrock(canned.url) as bedrock:
        models = await bedrock.get_available_models()
    at_aws = make_bedrock("https://bedrock-runtime.us-east-1.amazonaws.com")

    assert models == ["amazon.nova-x", "us.amazon.nova-x"]
    assert at_aws._models_url() == "https://bedrock.us-east-1.amazonaws.com/foundation-models"


async def test_profiles_that_may_not_be_listed_are_left_out(canned):
    listed = {"modelSummaries": [{"modelId": "amazon.nova-x"}]}
    canned.answer(listed, Canned({"message": "not allowed"}, status=403))
    async with make_bedrock(canned.url) as bedrock:
        assert await bedrock.get_available_models() == ["amazon.nova-x"]


async def test_tokens_are_counted_in_the_words_of_converse(canned):
    canned.answer({"inputTokens": 7})
    request = make_request("Hi", None, 5, 0.5, {"system_prompt": "Brief.", "tools": [WEATHER]})
    async with make_bedrock(canned.url) as bedrock:
        counted = await bedrock.count_tokens(request)

    assert counted == 7
    assert canned.last.path.endswith("/count-tokens")
    assert set(canned.last.json["input"]["converse"]) == {"messages", "system", "toolConfig"}


@pytest.mark.parametrize(
    ("model", "answer", "calls", "field"),
    [
        (None, {"embedding": [1.0], "inputTextTokenCount": 2}, 2, "inputText"),
        ("cohere.embed-v4:0", {"embeddings": {"float": [[1.0], [1.0]]}}, 1, "texts"),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            {"embeddings": [{"embeddingType": "TEXT", "embedding": [1.0]}]},
            2,
            "singleEmbeddingParams",
        ),
    ],
    ids=["titan", "cohere", "nova"],
)
async def test_each_family_embeds_in_its_own_way(canned, model, answer, calls, field):
    canned.answer(answer)
    async with make_bedrock(canned.url) as bedrock:
        vectors = await bedrock.embed(["a", "b"], model=model)

    assert vectors.vectors == [[1.0], [1.0]]
    assert len(canned.seen) == calls
    assert field in canned.last.json
    assert canned.last.path.endswith("/invoke")


async def test_streamed_tools_and_a_round_with_their_results(upstream):
    upstream.reply(tool_calls=[("get_weather", {"city": "Oslo"})])
    async with make_bedrock(upstream.url) as bedrock:
        answer = assemble([c async for c in bedrock.stream("Weather?", tools=[WEATHER])])
        upstream.reply("Rain.")
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "rain"}
        question = {"role": "user", "content": "Weather?"}
        await bedrock.generate([question, answer.message, result], tools=[WEATHER])

    streamed, plain = upstream.requests
    use, given = plain.json["messages"][1]["content"][0], plain.json["messages"][2]["content"][0]
    assert streamed.raw_target.endswith("/converse-stream")
    assert use["toolUse"]["toolUseId"] == given["toolResult"]["toolUseId"]
    assert use["toolUse"]["input"] == {"city": "Oslo"}


async def test_a_damaged_frame_is_an_error(canned):
    whole = frame(
        {"delta": {"text": "Hi"}, "contentBlockIndex": 0}, event_type="contentBlockDelta"
    )
    damaged = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
    canned.answer(Canned(whole + damaged, content_type="application/vnd.amazon.eventstream"))
    async with make_bedrock(canned.url) as bedrock:
        chunks = bedrock.stream("Hi")
        first = await anext(chunks)
        with pytest.raises(ResponseFormatError, match="checksum"):
            await anext(chunks)

    assert first.text == "Hi"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", RateLimitError),
        ("internalServerException", ServerError),
        ("validationException", InvalidRequestError),
    ],
)
async def test_an_exception_within_a_stream_is_that_error(canned, name, kind):
    said = frame({"message": "No."}, message_type="exception", exception_type=name)
    canned.answer(Canned(said, content_type="application/vnd.amazon.eventstream"))
    async with make_bedrock(canned.url) as bedrock:
        with pytest.raises(kind, match="No"):
            _ = [chunk async for chunk in bedrock.stream("Hi")]


def invoke_frames(*events):
    return b"".join(
        frame(
            {"bytes": base64.b64encode(json.dumps(event).encode()).decode()},
            message_type="event",
            event_type="chunk",
        )
        for event in events
    )


CLAUDE_STREAM = (
    {"type": "message_start", "message": {"id": "m1", "model": "claude-x", "usage": {
        "input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)  # fmt: skip


def make_claude(base_url):
    return make_bedrock(base_url, BedrockAnthropicProvider, models=["anthropic.claude-x-v1:0"])


class TestClaudeContract(ProviderContract):
    dialect = "bedrock"

    def make_provider(self, base_url):
        return make_bedrock(base_url, BedrockAnthropicProvider, api_key=self.api_key, variables={})


async def test_claude_by_invoke_streams_tool_calls(upstream):
    upstream.reply("Look.", reasoning="Hm.", tool_calls=[("get_weather", {"city": "Oslo"})])
    async with make_claude(upstream.url) as claude:
        answer = assemble([chunk async for chunk in claude.stream("Hi", tools=[WEATHER])])

    assert (answer.content, answer.reasoning) == ("Look.", "Hm.")
    assert answer.tool_calls[0].arguments == {"city": "Oslo"}
    assert answer.finish_reason == "tool_calls"
    assert upstream.last_request.path.endswith("/invoke-with-response-stream")


@pytest.mark.parametrize("spec", ["comment-flood:5", "split-bytes", "slow-stream:0"])
async def test_claude_by_invoke_reads_streams_in_odd_pieces(upstream, spec):
    upstream.mode(spec)
    async with make_claude(upstream.url) as claude:
        answer = assemble([chunk async for chunk in claude.stream("Hi")])

    assert answer.content == DEFAULT_TEXT


async def test_claude_by_invoke_has_version_in_the_body_and_model_in_the_address(canned):
    canned.answer(
        {"type": "message", "id": "m1", "model": "claude-x", "stop_reason": "end_turn",
         "content": [{"type": "text", "text": "Hi."}],
         "usage": {"input_tokens": 3, "output_tokens": 2}}
    )  # fmt: skip
    async with make_claude(canned.url) as claude:
        answer = await claude.generate("Hi")

    assert (answer.content, answer.tokens_used) == ("Hi.", 5)
    assert canned.last.target == "/model/anthropic.claude-x-v1%3A0/invoke"
    assert canned.last.json["anthropic_version"] == "bedrock-2023-05-31"
    assert not {"model", "stream"} & canned.last.json.keys()
    assert "anthropic-version" not in canned.last.headers
    assert "x-api-key" not in canned.last.headers
    assert canned.last.headers["authorization"].startswith("AWS4-HMAC-SHA256")


async def test_claude_by_invoke_streams_events_in_frames(canned):
    body = invoke_frames(*CLAUDE_STREAM)
    canned.answer(Canned(body, content_type="application/vnd.amazon.eventstream"))
    async with make_claude(canned.url) as claude:
        answer = assemble([chunk async for chunk in claude.stream("Hi")])

    assert (answer.content, answer.finish_reason) == ("Hi.", "stop")
    assert (answer.input_tokens, answer.output_tokens) == (3, 2)
    assert canned.last.path.endswith("/invoke-with-response-stream")
    assert "stream" not in canned.last.json


async def test_claude_by_invoke_that_is_cut_is_an_error(canned):
    body = invoke_frames(*CLAUDE_STREAM[:3])
    canned.answer(Canned(body, content_type="application/vnd.amazon.eventstream"))
    async with make_claude(canned.url) as claude:
        with pytest.raises(StreamInterruptedError) as caught:
            _ = [chunk async for chunk in claude.stream("Hi")]

    assert caught.value.partial_text == "Hi."


async def test_claude_by_invoke_counts_its_whole_body(canned):
    canned.answer({"inputTokens": 18})
    async with make_claude(canned.url) as claude:
        counted = await claude.count_tokens(make_request("Hi"))

    body = json.loads(base64.b64decode(canned.last.json["input"]["invokeModel"]["body"]))
    assert counted == 18
    assert body["messages"][0]["content"] in ("Hi", [{"type": "text", "text": "Hi"}])
    assert body["anthropic_version"] == "bedrock-2023-05-31"
