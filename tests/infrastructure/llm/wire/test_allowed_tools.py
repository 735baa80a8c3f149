"""A choice among some of the tools, in the words of each API that has it."""

import pytest

from faultmaven.infrastructure.llm.wire import (
    gemini_front,
    openai_chat_front,
    openai_responses_front,
)
from faultmaven.infrastructure.llm.wire.allowed_tools import only_named

NAMES = ["look", "see", "hear"]
ASKED = ["look", "hear"]


def chat(names, mode="required"):
    allowed = {
        "mode": mode,
        "tools": [{"type": "function", "function": {"name": n}} for n in names],
    }
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": n}} for n in NAMES],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
    }
    return openai_chat_front.request_from_wire(body).request


def responses(names, mode="required"):
    allowed = [{"type": "function", "name": n} for n in names]
    body = {
        "model": "m",
        "input": "Hi",
        "tools": [*({"type": "function", "name": n} for n in NAMES), {"type": "web_search"}],
        "tool_choice": {"type": "allowed_tools", "mode": mode, "tools": allowed},
    }
    return openai_responses_front.request_from_wire(body).request


def gemini(names, mode="required"):
    del mode  # AUTO takes no names
    config = {"mode": "ANY", "allowedFunctionNames": names}
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": n} for n in NAMES]}],
        "toolConfig": {"functionCallingConfig": config},
    }
    return gemini_front.request_from_wire(body)


def names_of(request):
    return [tool["function"]["name"] for tool in request.tools or ()]


@pytest.mark.parametrize("read", [chat, responses, gemini])
def test_no_other_tools_are_offered(read):
    request = read(ASKED)

    assert (names_of(request), request.tool_choice) == (ASKED, "required")


@pytest.mark.parametrize("read", [chat, responses])
def test_a_free_choice_stays_free(read):
    request = read(ASKED, "auto")

    assert (names_of(request), request.tool_choice) == (ASKED, "auto")


@pytest.mark.parametrize("read", [chat, responses])
def test_no_tool_at_all_is_no_choice(read):
    request = read(["nobody"])

    assert (request.tools, request.tool_choice) == (None, None)


def test_what_is_no_function_is_not_named():
    tools = [{"googleSearch": {}}, {"type": "function", "function": {"name": "look"}}]

    assert only_named(tools, ["look", "None"]) == tools[1:]
