"""Anthropic's Python client, unmodified, through every dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.installed import need
from tests.clients.questions import DOCUMENT_DATA, IMAGE_DATA, PARAMETERS, SCHEMA, TWO_CALLS

anthropic = need("anthropic")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anthropic import Anthropic

QUESTION = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather of a city",
    "input_schema": PARAMETERS,
}


@pytest.fixture
def client(gateway) -> Iterator[Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


def test_messages_answer(client, upstream, model):
    upstream.reply("Good morning.", usage=TokenUsage(30, 7, cache_read_tokens=20))

    answer = client.messages.create(
        model=model,
        messages=QUESTION,
        max_tokens=50,
        system=[{"type": "text", "text": "Brief.", "cache_control": {"type": "ephemeral"}}],
    )

    assert answer.content[0].text == "Good morning."
    assert answer._request_id.startswith("req_")
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (10, 20)
    assert answer.usage.output_tokens == 7
    assert b"Brief." in upstream.last_request.body


def test_messages_stream(client, upstream, model):
    upstream.reply("One two three.", usage=TokenUsage(30, 3))

    with client.messages.stream(model=model, messages=QUESTION, max_tokens=50) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()

    assert text == final.content[0].text == "One two three."
    assert final.usage.output_tokens == 3
    assert final.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_go_round(client, upstream, model, streamed):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    turns = [{"role": "user", "content": "Weather in Paris and Oslo?"}]
    options = {"model": model, "max_tokens": 50, "tools": [WEATHER]}

    if streamed:
        with client.messages.stream(messages=turns, **options) as events:
            asked = events.get_final_message()
    else:
        asked = client.messages.create(messages=turns, **options)
    uses = [block for block in asked.content if block.type == "tool_use"]
    results = [
        {
            "type": "tool_result",
            "tool_use_id": use.id,
            "content": [{"type": "text", "text": "sunny"}],
        }
        for use in uses
    ]
    turns += [
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": results},
    ]
    answer = client.messages.create(messages=turns, **options)

    assert asked.stop_reason == "tool_use"
    assert [use.input for use in uses] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert answer.content[0].text == "Sunny in both."
    assert upstream.last_request.body.count(b"sunny") == 2


def test_thinking_streams_and_goes_round(client, upstream, model):
    upstream.script([Reply("42", reasoning="Six times seven."), Reply("Yes.")])
    options = {
        "model": model,
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }

    with client.messages.stream(messages=QUESTION, **options) as events:
        first = events.get_final_message()
    turns = [
        *QUESTION,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "Sure?"},
    ]
    answer = client.messages.create(messages=turns, **options)

    assert first.content[0].type == "thinking"
    assert first.content[0].thinking == "Six times seven."
    assert first.content[-1].text == "42"
    assert answer.content[-1].text == "Yes."
    if model.startswith("up-messages/"):
        sent = upstream.last_request.json["messages"][1]["content"][0]
        assert sent["signature"] == first.content[0].signature != ""


def test_structure_is_kept(client, upstream, model):
    upstream.reply('{"answer": 42}')
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}

    answer = client.messages.create(
        model=model, messages=QUESTION, max_tokens=50, extra_body={"output_config": form}
    )

    assert json.loads(answer.content[0].text) == {"answer": 42}
    assert b"answer" in upstream.last_request.body


def test_images_and_documents_arrive(client, upstream, model):
    image = {"type": "base64", "media_type": "image/png", "data": IMAGE_DATA}
    document = {"type": "base64", "media_type": "application/pdf", "data": DOCUMENT_DATA}
    content = [
        {"type": "image", "source": image},
        {"type": "document", "source": document, "title": "a.pdf"},
        {"type": "text", "text": "What are they?"},
    ]

    client.messages.create(
        model=model, messages=[{"role": "user", "content": content}], max_tokens=50
    )

    assert IMAGE_DATA.encode() in upstream.last_request.body
    assert DOCUMENT_DATA.encode() in upstream.last_request.body


@pytest.mark.parametrize(
    ("behaviour", "expected", "kind"),
    [
        pytest.param("status:400", "BadRequestError", "invalid_request_error", id="400"),
        pytest.param("status:401", "InternalServerError", "api_error", id="401"),
        pytest.param("status:429", "RateLimitError", "rate_limit_error", id="429"),
        pytest.param("status:500", "InternalServerError", "api_error", id="500"),
        pytest.param("status:503", "InternalServerError", "overloaded_error", id="503"),
    ],
)
def test_errors_have_their_class(client, upstream, model, behaviour, expected, kind):
    upstream.mode(behaviour)

    with pytest.raises(getattr(anthropic, expected)) as caught:
        client.messages.create(model=model, messages=QUESTION, max_tokens=50)

    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == kind


def test_unknown_model_and_wrong_key_have_their_class(client, upstream):
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="no-such/model", messages=QUESTION, max_tokens=5)
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="wrong").messages.create(
            model="up-chat/fake-model", messages=QUESTION, max_tokens=5
        )

    assert not upstream.requests


def test_broken_stream_raises(client, upstream, model):
    upstream.mode("reset-mid-stream:3")

    with (
        pytest.raises(anthropic.APIError),
        client.messages.stream(model=model, messages=QUESTION, max_tokens=50) as events,
    ):
        events.get_final_message()


def test_tokens_are_counted(client, upstream, model):
    counted = client.messages.count_tokens(model=model, messages=QUESTION, tools=[WEATHER])

    assert counted.input_tokens > 0


def test_models_are_listed_in_its_shape(client, upstream):
    page = client.models.list()

    assert page.has_more is False
    assert {entry.type for entry in page.data} == {"model"}
    assert "up-chat/fake-model" in [entry.id for entry in page.data]


def test_pages_of_models_end(client, upstream):
    whole = [entry.id for entry in client.models.list().data]
    page = client.models.list(limit=5)
    back = [entry.id for entry in client.models.list(limit=5, before_id=whole[-1])]

    assert (len(page.data), page.has_more) == (5, True)
    assert [entry.id for entry in page] == whole
    assert sorted(back) == sorted(whole[:-1])


def test_beta_header_reaches_the_same_api(client, upstream):
    client.beta.messages.create(
        model="up-messages/fake-model", messages=QUESTION, max_tokens=5, betas=["some-beta-1"]
    )

    assert upstream.last_request.headers["anthropic-beta"] == "some-beta-1"
    assert upstream.last_request.api_key != client.api_key
