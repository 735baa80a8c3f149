"""LangChain and Pydantic AI, unmodified, through every dialect."""

from __future__ import annotations

import base64

import pytest

from faultmaven.testing import Reply
from tests.clients.installed import need
from tests.clients.questions import IMAGE, IMAGE_DATA, TWO_CALLS

langchain_openai = need("langchain_openai")
langchain_anthropic = need("langchain_anthropic")
pydantic_ai = need("pydantic_ai")

from langchain_core.messages import HumanMessage, ToolMessage  # noqa: E402  # after need
from langchain_core.tools import tool  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from pydantic_ai import Agent, BinaryContent  # noqa: E402
from pydantic_ai.exceptions import ModelHTTPError  # noqa: E402
from pydantic_ai.models.anthropic import AnthropicModel  # noqa: E402
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel  # noqa: E402
from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: E402
from pydantic_ai.providers.openai import OpenAIProvider  # noqa: E402


class Answer(BaseModel):
    """What the structured cases ask for."""

    answer: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=["openai", "anthropic"])
def chat(request, gateway, model):
    if request.param == "openai":
        return langchain_openai.ChatOpenAI(
            base_url=gateway.base_url, api_key=gateway.key, model=model, max_retries=0
        )
    return langchain_anthropic.ChatAnthropic(
        base_url=gateway.url, api_key=gateway.key, model=model, max_retries=0
    )


def test_langchain_answers_and_streams(chat, upstream):
    upstream.reply("One two three.")

    whole = chat.invoke("Hello")
    streamed = "".join(piece.text for piece in chat.stream("Hello"))

    assert whole.text == streamed == "One two three."
    assert whole.usage_metadata["output_tokens"] == 3


def test_langchain_tools_go_round(chat, upstream):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    caller = chat.bind_tools([get_weather])

    question = HumanMessage("Weather in Paris and Oslo?")
    asked = caller.invoke([question])
    results = [
        ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
        for call in asked.tool_calls
    ]
    answer = caller.invoke([question, asked, *results])

    assert [call["args"]["city"] for call in asked.tool_calls] == ["Paris", "Oslo"]
    assert answer.text == "Sunny in both."
    assert b"sunny in Oslo" in upstream.last_request.body


def test_langchain_streams_calls(chat, upstream):
    upstream.reply("", tool_calls=TWO_CALLS)

    pieces = list(chat.bind_tools([get_weather]).stream("Weather in Paris and Oslo?"))

    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert [call["args"]["city"] for call in whole.tool_calls] == ["Paris", "Oslo"]


def test_langchain_errors_are_those_of_the_clients(chat, upstream):
    upstream.mode("status:429")

    with pytest.raises(Exception, match="429") as caught:
        chat.invoke("Hello")

    assert type(caught.value).__name__.endswith("RateLimitError")


def test_langchain_structure(chat, upstream):
    # With Anthropic's API it has the model call a tool, with OpenAI's it asks for JSON.
    is_called = isinstance(chat, langchain_anthropic.ChatAnthropic)
    upstream.mode(
        Reply(tool_calls=[("Answer", {"answer": 42})]) if is_called else Reply('{"answer": 42}')
    )

    assert chat.with_structured_output(Answer).invoke("Hello") == Answer(answer=42)


def test_langchain_images(chat, upstream):
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
    ]

    chat.invoke([HumanMessage(parts)])

    assert IMAGE_DATA.encode() in upstream.last_request.body


def test_langchain_embeddings(gateway, upstream):
    embeddings = langchain_openai.OpenAIEmbeddings(
        base_url=gateway.base_url,
        api_key=gateway.key,
        model="up-gemini/fake-model",
        check_embedding_ctx_length=False,
        max_retries=0,
    )

    vectors = embeddings.embed_documents(["sea", "sky"])

    assert len(vectors) == 2
    assert len(vectors[0]) == len(vectors[1]) > 1


@pytest.fixture(params=["chat", "responses", "messages"])
async def agent_model(request, gateway, model):
    if request.param == "messages":
        messages = AnthropicProvider(base_url=gateway.url, api_key=gateway.key)
        yield AnthropicModel(model, provider=messages)
        await messages.client.close()
        return
    provider = OpenAIProvider(base_url=gateway.base_url, api_key=gateway.key)
    kind = OpenAIChatModel if request.param == "chat" else OpenAIResponsesModel
    yield kind(model, provider=provider)
    await provider.client.close()


async def test_pydantic_ai_calls_tools(agent_model, upstream):
    upstream.script([Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")])
    agent = Agent(agent_model)
    asked = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        asked.append(city)
        return "sunny"

    result = await agent.run("Weather in Paris and Oslo?")

    assert result.output == "Sunny in both."
    assert sorted(asked) == ["Oslo", "Paris"]


async def test_pydantic_ai_shows_images_and_thinks(agent_model, upstream):
    upstream.reply("A dot.", reasoning="It is small.", tool_calls=[])
    picture = BinaryContent(base64.b64decode(IMAGE_DATA), media_type="image/png")

    result = await Agent(agent_model).run(["What is it?", picture])
    again = await Agent(agent_model).run("Sure?", message_history=result.all_messages())

    assert result.output == again.output == "A dot."
    assert IMAGE_DATA.encode() in upstream.last_request.body
    assert "It is small." in str(result.all_messages())


async def test_pydantic_ai_says_what_failed(agent_model, upstream):
    upstream.mode("status:429")

    with pytest.raises(ModelHTTPError) as caught:
        await Agent(agent_model).run("Hello")

    assert caught.value.status_code == 429


async def test_pydantic_ai_streams_and_structures(agent_model, upstream):
    upstream.script(
        [Reply("One two three."), Reply(tool_calls=[("final_result", {"answer": 42})])]
    )

    async with Agent(agent_model).run_stream("Hello") as run:
        streamed = await run.get_output()
    structured = await Agent(agent_model, output_type=Answer).run("Hello")

    assert streamed == "One two three."
    assert structured.output == Answer(answer=42)
