"""The vendors' own clients, unmodified."""

from __future__ import annotations

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import KEY, MESSAGES

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


@pytest.fixture
async def openai_client(client):
    async with openai.AsyncOpenAI(base_url=client.url + "/v1", api_key=KEY) as made:
        yield made


@pytest.fixture
async def anthropic_client(client):
    async with anthropic.AsyncAnthropic(base_url=client.url, api_key=KEY) as made:
        yield made


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
async def test_openai_chat(openai_client, model):
    answer = await openai_client.chat.completions.create(model=model, messages=MESSAGES)

    assert answer.choices[0].message.content.startswith("Grüße")
    assert answer.usage.completion_tokens == 25


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
async def test_openai_stream_with_tools(openai_client, upstream, model):
    upstream.script([Reply(tool_calls=[("look", {"at": "a"})])])
    stream = await openai_client.chat.completions.create(
        model=model,
        messages=MESSAGES,
        tools=TOOLS,
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = [chunk async for chunk in stream]

    pieces = [p for c in chunks for ch in c.choices for p in ch.delta.tool_calls or ()]
    assert pieces[0].function.name == "look"
    assert "".join(p.function.arguments or "" for p in pieces).replace(" ", "") == '{"at":"a"}'
    assert chunks[-1].usage is not None


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
async def test_openai_responses(openai_client, model):
    answer = await openai_client.responses.create(model=model, input="Hi")
    assert answer.output_text.startswith("Grüße")

    events = [
        event
        async for event in await openai_client.responses.create(
            model=model, input="Hi", stream=True
        )
    ]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == answer.output_text


async def test_openai_models_embeddings_and_completions(openai_client):
    listed = [model.id async for model in openai_client.models.list()]
    assert "openai/gpt-4o-mini" in listed
    assert (await openai_client.models.retrieve("openai/gpt-4o")).id == "openai/gpt-4o"
    vectors = await openai_client.embeddings.create(model="openai/emb", input=["a", "b"])
    assert len(vectors.data[0].embedding) == len(vectors.data[1].embedding)
    text = await openai_client.completions.create(model="openai/fake", prompt="Hi")
    assert text.choices[0].text.startswith("Grüße")


async def test_openai_errors_are_its_own_classes_and_not_repeated(openai_client, upstream):
    with pytest.raises(openai.InternalServerError):
        await openai_client.chat.completions.create(
            model="openai/fm:status:503", messages=MESSAGES
        )
    assert len(upstream.requests) == 1
    with pytest.raises(openai.NotFoundError):
        await openai_client.chat.completions.create(model="gpt-none", messages=MESSAGES)
    with pytest.raises(openai.APIError):
        await _read_openai(openai_client, "openai/fm:close-mid-stream:3")


async def _read_openai(client, model):
    stream = await client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    return [chunk async for chunk in stream]


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
async def test_anthropic_messages(anthropic_client, model):
    answer = await anthropic_client.messages.create(
        model=model, max_tokens=64, messages=MESSAGES, system="Be brief."
    )

    assert answer.content[0].text.startswith("Grüße")
    assert answer.usage.output_tokens == 25


@pytest.mark.parametrize("model", ["openai/fake", "anthropic/fake"])
async def test_anthropic_stream(anthropic_client, model):
    async with anthropic_client.messages.stream(
        model=model, max_tokens=64, messages=MESSAGES
    ) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()

    assert text.startswith("Grüße")
    assert final.stop_reason == "end_turn"


async def test_anthropic_counts_lists_and_errors(anthropic_client):
    counted = await anthropic_client.messages.count_tokens(model="openai/x", messages=MESSAGES)
    assert counted.input_tokens > 0
    listed = await anthropic_client.models.list()
    assert listed.data[0].type == "model"
    with pytest.raises(anthropic.APIStatusError) as caught:
        await anthropic_client.messages.create(
            model="anthropic/fm:status:529", max_tokens=9, messages=MESSAGES
        )
    assert caught.value.body["error"]["type"] == "overloaded_error"
    with pytest.raises(anthropic.APIStatusError):
        await _read_anthropic(anthropic_client, "anthropic/fm:close-mid-stream:6")


async def _read_anthropic(client, model):
    async with client.messages.stream(model=model, max_tokens=9, messages=MESSAGES) as stream:
        return [event async for event in stream]
