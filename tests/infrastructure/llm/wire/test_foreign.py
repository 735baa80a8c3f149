"""Fields and tools of other APIs than the one that is asked."""

import pytest

from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.foreign import (
    CHAT_FIELDS,
    HostedTool,
    foreign_fields,
    foreign_tools,
)

FUNCTION = {"type": "function", "function": {"name": "look"}}
ANTHROPIC = {"type": "web_search_20250305", "name": "web_search"}
GEMINI = {"googleSearch": {}}
RESPONSES = HostedTool(type="web_search")
UNKNOWN = {"type": "web_search", "web_search": {"enable": True}}


def request(**fields):
    return LLMRequest([LLMMessage(role="user", content="Hi")], **fields)


def test_fields_of_other_apis_are_named_and_unknown_ones_go_along():
    asked = request(extra={"user": "u", "speechConfig": {}, "mcp_servers": [], "of_the_host": 1})

    assert foreign_fields(asked, CHAT_FIELDS) == ("speechConfig", "mcp_servers")
    assert foreign_fields(asked, frozenset()) == ("user", "speechConfig", "mcp_servers")


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ("", ["web_search_20250305", "googleSearch", "web_search"]),
        ("anthropic", ["googleSearch", "web_search"]),
        ("gemini", ["web_search_20250305", "web_search"]),
        ("responses", ["web_search_20250305", "googleSearch"]),
    ],
)
def test_tools_of_other_services_are_named(own, names):
    asked = request(tools=[FUNCTION, ANTHROPIC, GEMINI, RESPONSES, UNKNOWN, {"name": "odd"}])

    assert [name for _, name in foreign_tools(asked, own)] == names


def test_no_tools_are_nobodys():
    assert [*foreign_tools(request(), "")] == []
