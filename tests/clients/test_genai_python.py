"""Google's Python client, unmodified, through every dialect and under both of its paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.installed import need
from tests.clients.questions import SCHEMA, TWO_CALLS

genai = need("google.genai")

from google.genai import errors, types  # noqa: E402  # after need

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["v1", "v1beta"])
def client(request, gateway) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.url, api_version=request.param)
    with genai.Client(api_key=gateway.key, http_options=options) as made:
        yield made


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def test_content_is_generated(client, upstream, model):
    upstream.reply("Good morning.", usage=TokenUsage(30, 7, cache_read_tokens=20))

    answer = client.models.generate_content(
        model=model,
        contents="Hello",
        config=types.GenerateContentConfig(
            system_instruction="Be brief.", max_output_tokens=50, temperature=0
        ),
    )

    assert answer.text == "Good morning."
    assert answer.candidates[0].finish_reason == "STOP"
    counts = answer.usage_metadata
    assert (counts.prompt_token_count, counts.candidates_token_count) == (30, 7)
    assert counts.cached_content_token_count == 20
    assert b"Be brief." in upstream.last_request.body


def test_content_is_streamed(client, upstream, model):
    upstream.reply("One two three.", usage=TokenUsage(30, 3))

    chunks = list(client.models.generate_content_stream(model=model, contents="Hello"))

    assert "".join(chunk.text or "" for chunk in chunks) == "One two three."
    assert chunks[-1].usage_metadata.total_token_count == 33


def test_functions_are_called_by_the_client_itself(client, upstream, model):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])

    answer = client.models.generate_content(
        model=model,
        contents="Weather in Paris and Oslo?",
        config=types.GenerateContentConfig(tools=[get_weather]),
    )

    assert answer.text == "Sunny in both."
    assert b"sunny in Paris" in upstream.last_request.body
    assert b"sunny in Oslo" in upstream.last_request.body


def test_functions_stream_and_go_round(client, upstream, model):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    chat = client.chats.create(
        model=model,
        config=types.GenerateContentConfig(
            tools=[get_weather],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    )

    chunks = list(chat.send_message_stream("Weather in Paris and Oslo?"))
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": get_weather(**call.args)}
            )
        )
        for call in calls
    ]
    answer = chat.send_message(results)

    assert [call.args["city"] for call in calls] == ["Paris", "Oslo"]
    assert answer.text == "Sunny in both."
    assert b"sunny in Oslo" in upstream.last_request.body


def test_thoughts_go_round_with_their_signatures(client, upstream):
    upstream.script([Reply("42", reasoning="Six times seven."), Reply("Yes.")])
    chat = client.chats.create(
        model="up-messages/fake-model",
        config=types.GenerateContentConfig(
            max_output_tokens=9000,
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2000),
        ),
    )

    first = chat.send_message("Six times seven?")
    chat.send_message("Sure?")

    thoughts = [part for part in first.candidates[0].content.parts if part.thought]
    assert "".join(part.text for part in thoughts) == "Six times seven."
    sent = upstream.last_request.json["messages"][1]["content"][0]
    assert (sent["type"], sent["thinking"]) == ("thinking", "Six times seven.")
    assert sent["signature"]


def test_structure_is_kept(client, upstream, model):
    upstream.reply('{"answer": 42}')

    answer = client.models.generate_content(
        model=model,
        contents="Hello",
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=SCHEMA
        ),
    )

    assert json.loads(answer.text) == {"answer": 42}
    assert b"answer" in upstream.last_request.body


def test_images_arrive(client, upstream, model):
    picture = types.Part.from_bytes(data=b"\x89PNG-picture", mime_type="image/png")

    client.models.generate_content(model=model, contents=["What is it?", picture])

    assert b"iVBORy1waWN0dXJl" in upstream.last_request.body


@pytest.mark.parametrize(
    ("behaviour", "kind", "status"),
    [
        pytest.param("status:400", "ClientError", 400, id="400"),
        pytest.param("status:429", "ClientError", 429, id="429"),
        pytest.param("status:500", "ServerError", 502, id="500"),
    ],
)
def test_errors_have_their_class(client, upstream, model, behaviour, kind, status):
    upstream.mode(behaviour)

    with pytest.raises(getattr(errors, kind)) as caught:
        client.models.generate_content(model=model, contents="Hello")

    assert caught.value.code == status
    assert caught.value.message


def test_embeddings_tokens_and_models(client, upstream):
    vectors = client.models.embed_content(model="up-chat/fake-model", contents=["sea", "sky"])
    counted = client.models.count_tokens(model="up-chat/fake-model", contents="Hello")
    listed = [entry.name for entry in client.models.list()]

    assert [len(entry.values) for entry in vectors.embeddings] == [8, 8]
    assert counted.total_tokens > 0
    assert "models/up-chat/fake-model" in listed


def test_pages_of_models_end(client, upstream):
    whole = [entry.name for entry in client.models.list()]
    paged = client.models.list(config={"page_size": 5})

    assert len(paged.page) == 5
    assert [entry.name for entry in paged] == whole
