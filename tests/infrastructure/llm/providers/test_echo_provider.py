"""The provider without a model."""

import pytest

from faultmaven.infrastructure.llm.providers.echo_provider import EchoProvider
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.assemble import assemble

TOOLS = [
    {"type": "function", "function": {"name": "first", "parameters": {"type": "object"}}},
    {
        "type": "function",
        "function": {
            "name": "second",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    },
]


@pytest.fixture
def echo():
    return EchoProvider(name="echo", confidence_score=0.5)


async def test_generate_repeats_and_says_so(echo):
    response = await echo.generate("Hello, world!")

    assert response.content == "Echo (no model): Hello, world!"
    assert (response.provider, response.model, response.confidence) == ("echo", "echo", 0.5)
    assert (response.input_tokens, response.output_tokens, response.tokens_used) == (4, 10, 14)
    assert (response.cost_usd, response.finish_reason) == (0.0, "stop")
    assert response.route.attempts[0].outcome == "ok"


async def test_generate_is_the_same_every_time(echo):
    one, two = await echo.generate("Hi"), await echo.generate("Hi")

    assert (one.content, one.response_id) == (two.content, two.response_id)


async def test_stream_gives_the_same_answer_word_by_word(echo):
    chunks = [chunk async for chunk in echo.stream("one  two\nthree …!")]

    answer, whole = assemble(chunks), await echo.generate("one  two\nthree …!")
    assert len(chunks) > 5
    assert (answer.content, answer.tokens_used) == (whole.content, whole.tokens_used)
    assert (chunks[-1].finish_reason, chunks[-1].model) == ("stop", "echo")


async def test_max_tokens_and_stop_cut_the_answer(echo):
    short = await echo.generate("one two three", max_tokens=7)
    stopped = await echo.generate("one two three", stop=[" two"])

    assert (short.content, short.finish_reason) == ("Echo (no model): one ", "length")
    assert (stopped.content, stopped.finish_reason) == ("Echo (no model): one", "stop")


async def test_tools_are_called_once(echo):
    request = LLMRequest([LLMMessage(role="user", content="Weather?")], tools=TOOLS)
    asked = await echo.complete(request)
    request.messages += [
        asked.message,
        LLMMessage(role="tool", tool_call_id=asked.tool_calls[0].id, content="sunny"),
    ]
    answered = await echo.complete(request)

    assert (asked.tool_calls[0].name, asked.tool_calls[0].arguments) == ("first", {})
    assert (asked.finish_reason, asked.content) == ("tool_calls", "")
    assert answered.content == "Echo (no model): sunny"


async def test_forced_tool_is_called_with_arguments_that_fit(echo):
    choice = {"type": "function", "function": {"name": "second"}}

    chunks = [chunk async for chunk in echo.stream("Hi", tools=TOOLS, tool_choice=choice)]

    call = assemble(chunks).tool_calls[0]
    assert (call.name, call.arguments) == ("second", {"city": "text"})


async def test_tools_are_left_alone_when_told(echo):
    assert not (await echo.generate("Hi", tools=TOOLS, tool_choice="none")).tool_calls


async def test_schema_is_answered_with_a_value_that_fits(echo):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}},
        "required": ["n"],
    }

    assert (await echo.generate("Hi", output_schema=schema)).parsed == {"n": 3}


async def test_embed_is_deterministic_and_tells_texts_apart(echo):
    answer = await echo.embed(["a", "b", "a"])

    assert answer.vectors[0] == answer.vectors[2] != answer.vectors[1]
    assert {len(vector) for vector in answer.vectors} == {16}
    assert answer.cost_usd == 0.0


def test_it_is_always_there(echo):
    assert echo.is_available()
    assert echo.get_supported_models() == ["echo"]
    assert echo.calculate_cost("echo", 10**6, 10**6) == 0.0
