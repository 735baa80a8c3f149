"""Clients of every API in front of the real llama.cpp server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.installed import need
from tests.clients.questions import PARAMETERS
from tests.clients.served import Served, serving

anthropic = need("anthropic")
openai = need("openai")

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = [{"role": "user", "content": "Write one sentence about the sea."}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
# The engine speaks both APIs itself, so that each client is tried with and without translation.
every_provider = pytest.mark.parametrize("provider", ["plain-chat", "plain-messages"])
every_tool_provider = pytest.mark.parametrize("provider", ["tools-chat", "tools-messages"])


@pytest.fixture(scope="module")
def engine_gateway(llama_server, llama_tool_server, tmp_path_factory) -> Iterator[Served]:
    rows = {}
    for name, server in (("plain", llama_server), ("tools", llama_tool_server)):
        for dialect, provider_class in (
            ("chat", "OpenAIProvider"),
            ("messages", "AnthropicProvider"),
        ):
            rows[f"{name}-{dialect}"] = {
                "provider_class": provider_class,
                "default_base_url": f"{server.address.base_url}/v1",
                "default_model": "smollm2-135m",
                "api_key_var": f"{name.upper()}_KEY",
                "local": True,
            }
    keys = {
        "PLAIN_KEY": llama_server.address.api_key or "none",
        "TOOLS_KEY": llama_tool_server.address.api_key or "none",
    }
    with serving(tmp_path_factory.mktemp("engine"), rows, **keys) as served:
        yield served


@pytest.fixture
def openai_client(engine_gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=engine_gateway.base_url, api_key=engine_gateway.key) as client:
        yield client


@pytest.fixture
def anthropic_client(engine_gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=engine_gateway.url, api_key=engine_gateway.key) as client:
        yield client


@every_provider
def test_openai_says_the_same_whole_and_streamed(openai_client, provider):
    options = {
        "model": f"{provider}/smollm2-135m",
        "messages": QUESTION,
        "max_tokens": 24,
        "temperature": 0,
    }

    whole = openai_client.chat.completions.create(**options)
    chunks = openai_client.chat.completions.create(**options, stream=True)
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    answer = openai_client.responses.create(
        model=options["model"],
        input=QUESTION[0]["content"],
        max_output_tokens=24,
        temperature=0,
    )

    assert "sea" in streamed
    assert whole.choices[0].message.content == streamed == answer.output_text
    assert whole.usage.completion_tokens > 5


@every_provider
def test_anthropic_says_the_same_whole_and_streamed(anthropic_client, provider):
    options = {
        "model": f"{provider}/smollm2-135m",
        "messages": QUESTION,
        "max_tokens": 24,
        "extra_body": {"temperature": 0},
    }

    whole = anthropic_client.messages.create(**options)
    with anthropic_client.messages.stream(**options) as events:
        streamed = "".join(events.text_stream)

    assert "sea" in streamed
    assert whole.content[0].text == streamed
    assert whole.usage.output_tokens > 5


@every_tool_provider
def test_tools_are_called(openai_client, anthropic_client, provider):
    model = f"{provider}/smollm2-135m"
    function = {"name": "get_weather", "description": "Tell the weather", "parameters": PARAMETERS}
    tool = {"name": "get_weather", "description": "Tell the weather", "input_schema": PARAMETERS}

    chat = openai_client.chat.completions.create(
        model=model,
        messages=WEATHER,
        tools=[{"type": "function", "function": function}],
        max_tokens=64,
        temperature=0,
    )
    with anthropic_client.messages.stream(
        model=model,
        messages=WEATHER,
        tools=[tool],
        max_tokens=64,
        extra_body={"temperature": 0},
    ) as events:
        message = events.get_final_message()

    assert chat.choices[0].message.tool_calls[0].function.name == "get_weather"
    assert [b.name for b in message.content if b.type == "tool_use"] == ["get_weather"]


def test_embeddings_of_the_engine(openai_client):
    answer = openai_client.embeddings.create(
        model="plain-chat/smollm2-135m", input=["sea", "ocean"]
    )

    assert [len(entry.embedding) for entry in answer.data] == [576, 576]
