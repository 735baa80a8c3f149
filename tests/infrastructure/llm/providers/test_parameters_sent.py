"""Parameters end to end: what the host gets, and what the caller is told."""

import json
import logging

import pytest

from faultmaven.infrastructure.llm.errors import (
    ContextLengthError,
    InvalidRequestError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.http import Reply
from faultmaven.infrastructure.llm.providers.anthropic_provider import AnthropicProvider
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import TokenUsage

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture
def acme(upstream):
    def make(kind=OpenAIProvider, **row):
        return kind(
            name="acme", base_url=upstream.base_url, api_key="key-for-a-test", models=["m"],
            max_retries=0, row=row,
        )  # fmt: skip

    return make


REFUSING = {"params": {"drop": ["temperature", "logit_bias"]}}


async def test_what_could_not_be_sent_is_in_the_receipt_and_once_in_the_log(
    acme, upstream, caplog
):
    async with acme(**REFUSING) as provider:
        with caplog.at_level(logging.WARNING, "faultmaven"):
            first = await provider.generate("Hi", temperature=0.2, logit_bias={"1": 2})
            await provider.generate("Hi", temperature=0.2, logit_bias={"1": 2})

    assert {"temperature", "logit_bias"}.isdisjoint(upstream.last_request.json)
    assert first.route.unsupported == [
        "temperature was not sent: m does not take it",
        "logit_bias was not sent: m does not take it",
    ]
    assert len(caplog.records) == 2


async def test_the_last_chunk_tells_it_too(acme, upstream):
    async with acme(**REFUSING) as provider:
        chunks = [chunk async for chunk in provider.stream("Hi", temperature=0.2)]

    assert [chunk.unsupported for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].unsupported == ["temperature was not sent: m does not take it"]
    assert assemble(chunks).route.unsupported == chunks[-1].unsupported


async def test_the_last_chunk_tells_it_without_token_counts_too(acme):
    class Plain(HTTPProvider):
        def _transform_request(self, request):
            return {"messages": request.messages}

        def _transform_response(self, data):
            raise NotImplementedError

        def _parse_stream_chunk(self, data):
            return data["choices"][0]["delta"].get("content") if data["choices"] else None

        def _unsupported_parameters(self, request):
            return ("seed",)

    async with acme(Plain) as provider:
        chunks = [chunk async for chunk in provider.stream("Hi", seed=1)]

    assert chunks[-1].unsupported == ["seed was not sent: m does not take it"]


async def test_drop_does_not_log(acme, caplog):
    async with acme(**REFUSING, on_unsupported="drop") as provider:
        with caplog.at_level(logging.WARNING, "faultmaven"):
            response = await provider.generate("Hi", temperature=0.2)

    assert len(response.route.unsupported) == 1
    assert caplog.records == []


async def test_error_refuses_before_anything_is_sent(acme, upstream):
    async with acme(**REFUSING, on_unsupported="error") as provider:
        assert (await provider.generate("Hi")).route.unsupported == []
        with pytest.raises(
            UnsupportedParameterError, match="acme: m does not take temp"
        ) as caught:
            await provider.generate("Hi", temperature=0.7)

    assert (caught.value.provider, caught.value.model) == ("acme", "m")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("model", "sent"),
    [("gpt-5.6-luna", {"max_completion_tokens": 7}), ("old", {"max_tokens": 7})],
)
async def test_a_rule_is_for_the_models_that_it_names(acme, upstream, model, sent):
    rule = {"match": "/^gpt-[5-9]/", "params": {"rename": {"max_tokens": "max_completion_tokens"}}}
    async with acme(model_rules=[rule]) as provider:
        await provider.generate("Hi", model=model, max_tokens=7, temperature=None)

    assert upstream.last_request.json.items() >= sent.items()


async def test_a_host_of_another_api_is_not_sent_what_only_openai_has(acme, upstream):
    async with acme(AnthropicProvider) as provider:
        response = await provider.generate("Hi", seed=1, frequency_penalty=0.5)

    assert {"seed", "frequency_penalty"}.isdisjoint(upstream.last_request.json)
    assert len(response.route.unsupported) == 2


@pytest.mark.parametrize(
    ("row", "tools", "level", "said"),
    [
        ({}, None, "json_schema", 0),
        ({"capabilities": {"structured_output": False}}, None, "tool", 1),
        ({"capabilities": {"structured_output": False, "tools": False}}, None, "prompt", 1),
        ({"structured_output": "tool"}, None, "tool", 1),
        ({"structured_output": "tool"}, [{"type": "function", "function": {"name": "f"}}],
         "prompt", 1),
        ({"structured_output": "json_object"}, None, "json_object", 1),
        ({"params": {"drop": ["response_format"]}}, None, "tool", 1),
        ({"structured_output": "none"}, None, "prompt", 1),
    ],
)  # fmt: skip
async def test_structured_output_falls_as_far_as_it_must(acme, upstream, row, tools, level, said):
    if level == "tool":
        upstream.reply(tool_calls=[("answer", {"a": 1})])
    else:
        upstream.reply('{"a": 1}')
    async with acme(**row) as provider:
        response = await provider.generate("Hi", output_schema=SCHEMA, tools=tools)

    sent = upstream.last_request.json
    kind = (sent.get("response_format") or {}).get("type")
    assert kind == (level if level.startswith("json") else None)
    assert ("answer" in json.dumps(sent.get("tools"))) == (level == "tool")
    assert response.parsed == {"a": 1}
    assert len(response.route.unsupported) == said


REFUSED = (
    '{"error": {"message": "This model does not support response format `json_schema`",'
    ' "type": "invalid_request_error"}}'
)


class Refusing:
    """A host that takes no schemas, and says so with 400."""

    def __init__(self, refusal=REFUSED):
        self.bodies = []
        self.refusal = refusal

    async def fetch(self, method, url, headers, body, *, timeout_s, deadline=None):
        self.bodies.append(json.loads(body))
        if "response_format" in self.bodies[-1]:
            return Reply(400, {}, self.refusal.encode())
        message = {"content": '{"a": 1}'}
        if "tools" in self.bodies[-1]:
            call = {"id": "c", "function": {"name": "answer", "arguments": '{"a": 1}'}}
            message = {"content": None, "tool_calls": [call]}
        answer = {"choices": [{"message": message, "finish_reason": "stop"}]}
        return Reply(200, {}, json.dumps(answer).encode())

    async def close(self):
        pass


def refusing(transport, **row):
    return OpenAIProvider(
        name="acme", base_url="http://h/v1", api_key="key-for-a-test", models=["m"], row=row,
        transport=transport,
    )  # fmt: skip


async def test_a_model_that_refuses_schemas_is_asked_otherwise_from_then_on():
    host = Refusing()
    async with refusing(host) as provider:
        first = await provider.generate("Hi", output_schema=SCHEMA)
        second = await provider.generate("Hi", output_schema=SCHEMA)

    assert (first.parsed, second.parsed) == ({"a": 1}, {"a": 1})
    assert ["response_format" in body for body in host.bodies] == [True, False, False]
    assert [a.outcome for a in first.route.attempts] == ["InvalidRequestError", "ok"]
    assert len(first.route.unsupported) == len(second.route.unsupported) == 1


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ({"on_unsupported": "error"}, REFUSED),
        ({}, REFUSED.replace("does not support", "is given a bad")),
        ({}, REFUSED.replace("does not support", "does not allow additionalProperties in")),
    ],
)
async def test_what_the_policy_forbids_or_the_schema_caused_is_not_asked_again(row, refusal):
    host = Refusing(refusal)
    async with refusing(host, **row) as provider:
        with pytest.raises(InvalidRequestError):
            await provider.generate("Hi", output_schema=SCHEMA)

    assert len(host.bodies) == 1


async def test_a_streamed_structure_is_validated_at_its_end(acme, upstream):
    async with acme() as provider:
        upstream.reply('{"a": 1}')
        good = [chunk async for chunk in provider.stream("Hi", output_schema=SCHEMA)]
        upstream.reply('{"a": "x"}')
        with pytest.raises(ResponseFormatError, match="does not match the schema") as caught:
            async for _ in provider.stream("Hi", output_schema=SCHEMA):
                pass

    assert "".join(chunk.text for chunk in good) == '{"a": 1}'
    assert (caught.value.code, caught.value.retryable) == ("schema_mismatch", False)


async def test_structured_output_does_not_fall_where_the_policy_forbids_it(acme, upstream):
    async with acme(structured_output="tool", on_unsupported="error") as provider:
        with pytest.raises(UnsupportedParameterError, match="output_schema"):
            await provider.generate("Hi", output_schema=SCHEMA)

    assert upstream.requests == []


@pytest.mark.parametrize(("level", "may"), [("json_schema", True), ("prompt", False)])
async def test_a_body_whose_structure_must_be_asked_for_otherwise_is_not_forwarded(
    acme, level, may
):
    async with acme(structured_output=level) as provider:
        assert provider.can_forward("openai_chat", {"response_format": {}}) is may
        assert provider.can_forward("openai_chat", {})


async def test_a_forwarded_body_obeys_the_rules_of_its_model(acme):
    rule = {"match": "m", "params": {"drop": ["temperature"]}}
    async with acme(model_rules=[rule]) as provider:
        body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.7}
        forward = await provider.make_forward(body, None, deadline=None)

    assert "temperature" not in json.loads(forward.body)
    assert forward.route.unsupported == ["temperature was not sent: m does not take it"]


async def test_reported_tokens_correct_the_check_before_sending(acme, upstream):
    row = {"models": [{"name": "m", "context_length": 4000}]}
    prompt = "word " * 4400  # about 5500 tokens by bytes: more than the margin allows
    async with acme(**row) as provider:
        with pytest.raises(ContextLengthError):
            await provider.generate(prompt)
        upstream.reply("ok", usage=TokenUsage(1250, 1))  # half of what the bytes say
        await provider.generate("word " * 2000)
        await provider.generate(prompt)

    assert len(upstream.requests) == 2


async def test_a_model_that_thinks_is_forced_to_no_tool_for_its_structure(acme, upstream):
    upstream.reply('{"a": 1}')
    async with acme(structured_output="tool") as provider:
        response = await provider.generate(
            "Hi", output_schema={"type": "object"}, reasoning_effort="high"
        )

    assert response.parsed == {"a": 1}
    assert upstream.last_request.json.keys().isdisjoint({"tools", "tool_choice"})
    assert upstream.last_request.json["reasoning_effort"] == "high"
