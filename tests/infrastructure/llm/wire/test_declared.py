"""Dialects as data: the two of examples/ against the code that speaks the same."""

from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMError,
    ResponseFormatError,
    UnsupportedParameterError,
)
from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire import cohere_chat, cohere_stream, ollama_chat
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.infrastructure.llm.wire.declared import DeclaredDialect, Place
from faultmaven.infrastructure.llm.wire.declared_request import RequestTemplate
from faultmaven.infrastructure.llm.wire.declared_stream import DeclaredStreamReader, StreamMap
from tests.splits import cut_places

from .dialect_checks import (
    assert_facts,
    assert_stream_matches,
    read_in_pieces,
    read_whole,
    recorded,
    state_of,
    stream_bytes,
)

EXAMPLES = Path(__file__).parents[4] / "examples"


class Declared:
    """An example, and the code that it is compared with."""

    def __init__(self, file, reader, response_from_wire, request_to_wire):
        self.data = yaml.safe_load((EXAMPLES / file).read_text("utf-8"))["dialect"]
        self.dialect = DeclaredDialect(self.data)
        self.template = RequestTemplate(self.data["request"])
        self.stream = StreamMap(self.data["stream"])
        self.coded_reader = reader
        self.coded_response = response_from_wire
        self.coded_request = request_to_wire

    def reader(self):
        return DeclaredStreamReader(self.dialect, self.stream)


COHERE = Declared(
    "cohere-as-data.yaml", cohere_stream.CohereStreamReader, cohere_chat.response_from_wire,
    cohere_chat.request_to_wire,
)  # fmt: skip
OLLAMA = Declared(
    "ollama-as-data.yaml", ollama_chat.OllamaStreamReader, ollama_chat.response_from_wire,
    ollama_chat.request_to_wire,
)  # fmt: skip
OF = {"cohere-v2": COHERE, "ollama-chat": OLLAMA}
FORMATS = {"cohere-thinking-v2": "thinking", "cohere-tool-plan-v2": "tool-plan"}


def plain(response):
    """Give an answer as data, the formats of its blocks in the names of the example."""
    data = {f.name: getattr(response, f.name) for f in fields(response)}
    data["reasoning_details"] = [
        {**d, "format": FORMATS.get(d["format"], d["format"])} for d in response.reasoning_details
    ]
    return data


def outcome(read, *args):
    try:
        return plain(read(*args))
    except LLMError as error:
        return type(error), error.upstream_message or error.message, error.retryable


def whole(recording, read):
    return outcome(read, recording["response"]["body"])


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("cohere-v2", "ollama-chat", streamed=False)
)
def test_whole_answers_read_as_by_the_code(recording, facts):
    declared = OF[recording["dialect"]]

    read = whole(recording, declared.dialect.read_response)

    assert read == whole(recording, declared.coded_response)
    assert_facts(declared.dialect.read_response(recording["response"]["body"]), facts)


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("cohere-v2", "ollama-chat", streamed=True)
)
def test_streams_read_as_by_the_code(recording, facts):
    declared, data = OF[recording["dialect"]], stream_bytes(recording)
    ours, theirs = declared.reader(), declared.coded_reader()

    chunks, coded = read_whole(ours, data), read_whole(theirs, data)

    assert plain(assemble(chunks)) == plain(assemble(coded))
    assert [(c.text, c.reasoning, c.tool_calls, c.usage) for c in chunks] == [
        (c.text, c.reasoning, c.tool_calls, c.usage) for c in coded
    ]
    assert (ours.done, ours.skipped) == (theirs.done, theirs.skipped)
    assert type(ours.error) is type(theirs.error)
    assert_stream_matches(declared.reader, data, facts, cuts=(7, 100, 101, 1000))


TOOLS = [
    {"type": "function", "function": {"name": n, "description": "D", "parameters": {"type": "object"}}}
    for n in ("f", "g")
]  # fmt: skip
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
    {"role": "assistant", "content": "Done."},
    {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]},
]  # fmt: skip
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUE=", "detail": "low"}}
REQUESTS = {
    "plain": {},
    "talk": {"messages": TALK},
    "system prompt": {"system_prompt": "S"},
    "image": {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, IMAGE]}]},
    "settings": {"temperature": 0, "max_tokens": 5, "top_p": 0.5, "seed": 7, "stop": "x"},
    "several stops": {"stop": ["x", "y"], "temperature": None},
    "stream": {"stream": True},
    "tools": {"tools": TOOLS},
    "tools, none": {"tools": TOOLS, "tool_choice": "none"},
    "tools, auto": {"tools": TOOLS, "tool_choice": "auto"},
    "schema": {"output_schema": SCHEMA},
    "json": {"response_format": {"type": "json_object"}},
    "no thinking": {"reasoning_effort": "none"},
    "little thinking": {"reasoning_effort": "minimal"},
    "thinking": {"reasoning_effort": "high"},
    "extra": {"extra": {"k": 3, "top_k": 5}},
}


@pytest.mark.parametrize("declared", [COHERE, OLLAMA], ids=["cohere", "ollama"])
@pytest.mark.parametrize("options", REQUESTS.values(), ids=REQUESTS)
def test_requests_are_written_as_by_the_code(declared, options):
    request = LLMRequest(**{"messages": [{"role": "user", "content": "Hi"}], **options})

    assert declared.template.render(request, "m") == declared.coded_request(request, "m")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "g"}}])
def test_a_forced_tool_is_the_only_one_offered(choice):
    request = LLMRequest([], tools=TOOLS, tool_choice=choice)

    assert COHERE.template.render(request, "m") == cohere_chat.request_to_wire(request, "m")


def test_thoughts_go_back_to_the_provider():
    body = {
        "message": {
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
            "tool_plan": "I will call f.", "tool_calls": [CALL],
        },
        "finish_reason": "TOOL_CALL",
    }  # fmt: skip
    ours = LLMRequest([COHERE.dialect.read_response(body).message])
    coded = LLMRequest([cohere_chat.response_from_wire(body).message])

    assert COHERE.template.render(ours, "m") == cohere_chat.request_to_wire(coded, "m")


@pytest.mark.parametrize(
    ("recording", "facts"), recorded("cohere-v2", "ollama-chat", streamed=True)[:6]
)
@settings(max_examples=15)
@given(cuts=cut_places)
def test_any_split_of_a_stream_reads_the_same(recording, facts, cuts):
    declared, data = OF[recording["dialect"]], stream_bytes(recording)
    at_once, in_pieces = declared.reader(), declared.reader()

    assert read_in_pieces(in_pieces, data, cuts) == read_whole(at_once, data)
    assert state_of(in_pieces) == state_of(at_once)


# A dialect that is neither: counts apart, calls by index, [DONE], an end without a word.
MADE_UP = {
    "path": "/x",
    "request": {"body": {"q": "$prompt", "cost": "$$5", "hot": {"$if": "temperature", "then": 1}}},
    "response": {
        "text": ["/out/0/words", "/fallback"],
        "refusal": "/no",
        "usage": {"input_tokens": {"sum": ["/in", "/cached"]}, "cache_read_tokens": "/cached"},
        "finish_reason": "/why",
    },
    "finish_reasons": {"done": "stop", "filter": "content_filter"},
    "failures": ["broke"],
    "stream": {
        "framing": "sse",
        "done": "[DONE]",
        "events": {
            "*": {
                "error": "/oops",
                "text": "/t",
                "finish_reason": "/why",
                "tool_calls": {
                    "at": "/calls", "index": "/n", "id": "/id", "name": "/f", "arguments": "/a",
                },
            }
        },
    },
}  # fmt: skip


def made_up_stream(*events, end=b"data: [DONE]\n\n"):
    reader = DeclaredStreamReader(DeclaredDialect(MADE_UP), StreamMap(MADE_UP["stream"]))
    data = b"".join(b"data: " + event + b"\n\n" for event in events) + end
    return reader, read_whole(reader, data)


def test_counts_are_added_and_alternatives_tried():
    read = DeclaredDialect(MADE_UP).read_response

    response = read({"fallback": "Hi", "in": 3, "cached": 4, "why": "done", "no": "No."})

    assert (response.content, response.refusal) == ("Hi", "No.")
    assert (response.input_tokens, response.cache_read_tokens) == (7, 4)
    assert (response.finish_reason, response.finish_reason_raw) == ("stop", "done")
    assert read({"out": [{"words": "Ho"}], "in": 3}).input_tokens == 3


def test_a_prompt_is_all_text_and_a_dollar_is_a_dollar():
    template = RequestTemplate(MADE_UP["request"])

    body = template.render(LLMRequest(TALK[:2], system_prompt="S", temperature=0), "m")

    assert body == {"q": "S\n\nBe brief.\n\nHi", "cost": "$5"}
    assert "seed" in template.unsupported
    assert "temperature" not in template.unsupported
    assert template.structure_level == "prompt"


def test_calls_are_put_together_by_their_index():
    _, chunks = made_up_stream(
        b'{"calls": [{"n": 4, "id": "a", "f": "x", "a": "{"}, {"n": 9, "id": "b", "f": "y"}]}',
        b'{"calls": [{"n": 4, "a": "}"}]}',
        b'{"calls": {"n": 9, "a": "{}"}}',
        b'{"why": "done"}',
    )

    response = assemble(chunks)

    assert [(c.id, c.name, c.arguments_raw) for c in response.tool_calls] == [
        ("a", "x", "{}"),
        ("b", "y", "{}"),
    ]
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("events", "end", "error"),
    [
        ([b'{"why": "done"}'], b"data: [DONE]\n\n", None),
        ([b'{"why": "done"}'], b"", None),
        ([b'{"t": "Hi"}'], b"data: [DONE]\n\n", "stream_incomplete"),
        ([b'{"t": "Hi"}'], b"", "stream_incomplete"),
        ([b'{"oops": "down"}'], b"", "down"),
        ([b'{"why": "broke"}'], b"", "broke"),
        ([b'{"t": 5}'], b"", "malformed_response"),
        ([b"no json"], b"", "malformed_event"),
        ([b"[1]"], b"", "malformed_response"),
    ],
)
def test_a_stream_says_how_it_ended(events, end, error):
    reader, _ = made_up_stream(*events, end=end)

    assert reader.done == (error is None)
    assert error is None or error in f"{reader.error.code} {reader.error.message}"


@pytest.mark.parametrize("body", [[], "x", None, {"out": 5}, {"fallback": 5}, {"why": {}}])
def test_an_answer_of_another_shape_is_refused(body):
    with pytest.raises(ResponseFormatError):
        DeclaredDialect(MADE_UP).read_response(body)


def test_a_missing_part_is_refused():
    with pytest.raises(ResponseFormatError):
        OLLAMA.dialect.read_response({})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "usage", "tool_calls", "function", "error"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_body_gives_an_answer_or_an_error_of_ours(body):
    for declared in (COHERE, OLLAMA):
        with suppress(LLMError):
            declared.dialect.read_response(body)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"body": {"x": "$mesages"}}, "mesages"),
        ({"body": {"x": 1}}, "neither"),
        ({"body": {"m": "$messages"}}, "system"),
        ({"body": {"m": "$prompt", "x": {"$when": "seed"}}}, "when"),
        ({"body": {"m": "$prompt", "x": {"$if": "seed", "thn": 1}}}, "if takes"),
        ({"body": {"m": "$prompt", "x": {"$word": "seed"}}}, "word takes"),
        ({"body": {"m": "$prompt"}, "tool": "$nam"}, "nam"),
    ],
)
def test_a_template_with_a_mistake_says_where(request_, said):
    with pytest.raises(ConfigurationError, match=said):
        RequestTemplate(request_)


def test_a_finish_reason_of_ours_must_be_one():
    with pytest.raises(ConfigurationError, match="finished"):
        DeclaredDialect({"response": {}, "finish_reasons": {"x": "finished"}})


@pytest.mark.parametrize(
    "content",
    [
        [IMAGE],
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}}],
        [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
    ],
)
def test_parts_without_a_place_are_refused_and_not_lost(content):
    request = LLMRequest([{"role": "assistant", "content": content}])

    with pytest.raises(UnsupportedParameterError):
        COHERE.template.render(request, "m")


def test_pointers_escape_as_the_standard_says():
    data = {"a/b": {"m~n": ["x", "y"]}}

    assert Place("/a~1b/m~0n/1").text(data) == "y"
    assert Place("/a~1b/m~0n/*").text(data) == "xy"
    assert Place("/a~1b/m~0n/9").text(data) == ""
    assert Place(None).text(data) == ""
