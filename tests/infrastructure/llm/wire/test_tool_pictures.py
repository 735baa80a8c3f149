"""Pictures in the results of tools, for APIs whose results are text."""

from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.tool_pictures import with_pictures_apart

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
PAPER = {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}}
SEEN = {"type": "text", "text": "seen"}
USER = LLMMessage(role="user", content="Well?")


def tool(identity, content):
    return LLMMessage(role="tool", tool_call_id=identity, content=content)


def shown(identity, *parts):
    return [{"type": "text", "text": f"From the result of {identity}:"}, *parts]


def test_pictures_follow_the_round_of_results():
    turns = [tool("a", [SEEN, PICTURE]), tool("b", [PAPER]), tool("c", "none"), USER]

    moved = with_pictures_apart(LLMRequest(turns)).messages

    assert moved == [
        tool("a", [SEEN]),
        tool("b", "(shown below)"),
        tool("c", "none"),
        {"role": "user", "content": [*shown("a", PICTURE), *shown("b", PAPER)]},
        USER,
    ]
    assert turns[0].content == [SEEN, PICTURE]


def test_pictures_at_the_end_come_last():
    moved = with_pictures_apart(LLMRequest([USER, tool("a", [PICTURE])])).messages

    assert moved[2] == {"role": "user", "content": shown("a", PICTURE)}


def test_without_them_the_request_is_the_same():
    asked = LLMRequest([USER, tool("a", [SEEN]), tool("b", None), tool("c", "text")])

    assert with_pictures_apart(asked) is asked
