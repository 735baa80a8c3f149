"""OpenAI's Python client, unmodified, through every dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.installed import need
from tests.clients.questions import IMAGE, IMAGE_DATA, PARAMETERS, SCHEMA, TWO_CALLS

openai = need("openai")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import OpenAI

QUESTION = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city",
        "parameters": PARAMETERS,
    },
}


@pytest.fixture
def client(gateway) -> Iterator[OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


def test_chat_answers(client, upstream, model):
    upstream.reply("Good morning.", usage=TokenUsage(30, 7, cache_read_tokens=20))

    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=50)

    choice = answer.choices[0]
    assert choice.message.content == "Good morning."
    assert choice.finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (30, 7)
    assert answer.usage.prompt_tokens_details.cached_tokens == 20


def test_chat_streams_with_usage_when_asked(client, upstream, model):
    upstream.reply("One two three.", usage=TokenUsage(30, 3))

    chunks = list(
        client.chat.completions.create(
            model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "One two three."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 33


def test_chat_streams_without_usage_when_not_asked(client, upstream, model):
    chunks = list(client.chat.completions.create(model=model, messages=QUESTION, stream=True))

    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_tools_go_round(client, upstream, model):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    turns = [{"role": "user", "content": "Weather in Paris and Oslo?"}]

    asked = client.chat.completions.create(model=model, messages=turns, tools=[WEATHER])
    calls = asked.choices[0].message.tool_calls
    turns.append(asked.choices[0].message)
    turns += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    answer = client.chat.completions.create(model=model, messages=turns, tools=[WEATHER])

    assert asked.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["get_weather"] * 2
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Paris", "Oslo"]
    assert answer.choices[0].message.content == "Sunny in both."
    assert upstream.last_request.body.count(b"sunny") == 2


def test_tools_stream(client, upstream, model):
    upstream.script([Reply(tool_calls=TWO_CALLS)])

    with client.chat.completions.stream(model=model, messages=QUESTION, tools=[WEATHER]) as events:
        final = events.get_final_completion()

    calls = final.choices[0].message.tool_calls
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Paris", "Oslo"]
    assert final.choices[0].finish_reason == "tool_calls"


def test_structure_is_kept(client, upstream, model):
    upstream.reply('{"answer": 42}')
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}

    answer = client.chat.completions.create(
        model=model, messages=QUESTION, response_format=form, max_tokens=99
    )

    assert json.loads(answer.choices[0].message.content) == {"answer": 42}
    assert b"answer" in upstream.last_request.body


def test_images_arrive(client, upstream, model):
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
    ]

    client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])

    assert IMAGE_DATA.encode() in upstream.last_request.body


@pytest.mark.parametrize(
    ("behaviour", "expected", "status"),
    [
        pytest.param("status:400", "BadRequestError", 400, id="400"),
        pytest.param("status:401", "InternalServerError", 502, id="401-is-not-the-clients"),
        pytest.param("status:429", "RateLimitError", 429, id="429"),
        pytest.param("status:500", "InternalServerError", 502, id="500"),
    ],
)
def test_errors_have_their_class(client, upstream, model, behaviour, expected, status):
    upstream.mode(behaviour)

    with pytest.raises(getattr(openai, expected)) as caught:
        client.chat.completions.create(model=model, messages=QUESTION)

    assert caught.value.status_code == status
    assert caught.value.body["message"]


def test_unknown_model_and_wrong_key_have_their_class(client, upstream):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such/model", messages=QUESTION)
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="wrong").models.list()

    assert missing.value.code == "model_not_found"
    assert refused.value.status_code == 401


def test_a_clients_retries_are_not_multiplied(client, upstream):
    upstream.mode("status:503")

    with pytest.raises(openai.InternalServerError):
        client.with_options(max_retries=2).chat.completions.create(
            model="up-chat/fake-model", messages=QUESTION
        )

    assert len(upstream.requests) <= 3


def test_broken_stream_raises(client, upstream, model):
    upstream.mode("reset-mid-stream:3")

    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=model, messages=QUESTION, stream=True))


def test_models_are_listed(client, gateway):
    listed = [entry.id for entry in client.models.list()]

    assert "up-chat/fake-model" in listed
    assert client.models.retrieve("up-chat/fake-model").owned_by == "up-chat"


def test_legacy_completions(client, upstream, model):
    upstream.reply("Once upon a time.")

    answer = client.completions.create(model=model, prompt="Tell", max_tokens=20)
    streamed = list(client.completions.create(model=model, prompt="Tell", stream=True))

    assert answer.choices[0].text == "Once upon a time."
    assert "".join(c.choices[0].text for c in streamed) == "Once upon a time."


@pytest.mark.parametrize("provider", ["up-chat", "up-gemini", "up-ollama", "up-cohere"])
def test_embeddings_as_base64_and_numbers(client, upstream, provider):
    asked = {"model": f"{provider}/fake-model", "input": ["sea", "sky"]}

    packed = client.embeddings.create(**asked)
    plain = client.embeddings.create(**asked, encoding_format="float")

    assert len(packed.data) == len(plain.data) == 2
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)


def test_tokens_are_embedded_by_the_same_api_only(client, upstream):
    tokens = [[9906, 1917], [11]]

    answer = client.embeddings.create(model="up-chat/fake-model", input=tokens)
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="up-gemini/fake-model", input=tokens)

    assert upstream.last_request.json["input"] == tokens
    assert answer.object == "list"
    assert "tokens" in str(caught.value)


def test_a_provider_without_embeddings_is_not_asked_again(client, upstream):
    with pytest.raises(openai.BadRequestError) as caught:
        client.with_options(max_retries=2).embeddings.create(
            model="up-messages/fake-model", input="sea"
        )

    assert caught.value.code == "no_embeddings"
    assert not upstream.requests


def test_length_of_vectors_is_asked_for(client, upstream):
    answer = client.embeddings.create(model="up-chat/fake-model", input="sea", dimensions=5)

    assert len(answer.data[0].embedding) == 5


def test_responses_answer(client, upstream, model):
    upstream.reply("Good morning.", usage=TokenUsage(30, 7, cache_read_tokens=20))

    answer = client.responses.create(model=model, input="Hello", instructions="Be brief.")

    assert answer.output_text == "Good morning."
    assert answer.status == "completed"
    assert answer.usage.input_tokens_details.cached_tokens == 20


def test_responses_stream(client, upstream, model):
    upstream.reply("One two three.")

    with client.responses.stream(model=model, input="Hello") as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()

    assert final.output_text == "One two three."
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_responses_tools_go_round(client, upstream, model):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    tool = {"type": "function", **WEATHER["function"], "strict": True}
    items: list = [{"role": "user", "content": "Weather?"}]

    with client.responses.stream(model=model, input=items, tools=[tool]) as events:
        first = events.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    items += first.output
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        for call in calls
    ]
    answer = client.responses.create(model=model, input=items, tools=[tool])

    assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    assert answer.output_text == "Sunny in both."
    assert upstream.last_request.body.count(b"sunny") == 2


def test_responses_structure(client, upstream, model):
    upstream.reply('{"answer": 42}')
    form = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}

    answer = client.responses.create(model=model, input="Hello", text=form)

    assert json.loads(answer.output_text) == {"answer": 42}


def check_thinking(upstream):
    """See that the provider got its thinking back as it had sent it."""
    thinking = upstream.last_request.json["messages"][1]["content"][0]
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "Six times seven.")
    assert thinking["signature"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_responses_carry_reasoning_sealed(client, upstream, streamed):
    upstream.script([Reply("42", reasoning="Six times seven."), Reply("Yes.")])
    items: list = [{"role": "user", "content": "Six times seven?"}]
    options = {
        "model": "up-messages/fake-model",
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 30000,
        "store": False,
    }

    if streamed:
        with client.responses.stream(input=items, **options) as events:
            first = events.get_final_response()
    else:
        first = client.responses.create(input=items, **options)
    items += [*first.output, {"role": "user", "content": "Sure?"}]
    client.responses.create(input=items, **options)

    assert first.output[0].summary[0].text == "Six times seven."
    check_thinking(upstream)


def test_chat_carries_reasoning_with_its_signature(client, upstream):
    upstream.script([Reply("42", reasoning="Six times seven."), Reply("Yes.")])
    options = {
        "model": "up-messages/fake-model",
        "reasoning_effort": "high",
        "max_completion_tokens": 30000,
    }

    first = client.chat.completions.create(messages=QUESTION, **options)
    said = first.choices[0].message
    turns = [*QUESTION, said, {"role": "user", "content": "Sure?"}]
    client.chat.completions.create(messages=turns, **options)

    assert said.reasoning_content == "Six times seven."
    check_thinking(upstream)


@pytest.mark.parametrize("field", [{"previous_response_id": "resp_1"}, {"background": True}])
def test_responses_that_need_a_store_are_declined(client, upstream, model, field):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input="Hello", **field)

    assert caught.value.param == next(iter(field))
    assert not upstream.requests
