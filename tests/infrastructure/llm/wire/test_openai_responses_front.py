"""OpenAI Responses, the client's side: what clients send, in our terms."""

import pytest

from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.wire.foreign import HostedTool
from faultmaven.infrastructure.llm.wire.openai_responses import request_to_wire, response_from_wire
from faultmaven.infrastructure.llm.wire.openai_responses_encoder import response_to_wire
from faultmaven.infrastructure.llm.wire.openai_responses_front import request_from_wire

FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
USER = {"type": "message", "role": "user", "content": "Hi"}


def read(**fields):
    return request_from_wire({"model": "m", "input": "Hi", **fields})


def test_text_is_one_user_turn():
    request = read().request

    assert request.messages == [{"role": "user", "content": "Hi"}]
    assert (request.model, request.temperature, request.max_tokens) == ("m", None, None)
    assert (request.stream, request.tools, request.extra) == (False, None, {})


def test_parameters_are_mapped():
    request = read(
        instructions="B",
        max_output_tokens=5,
        temperature=0,
        top_p=0.5,
        reasoning={"effort": "low", "summary": "auto"},
        metadata={"a": "b"},
        stream=True,
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={},
        parallel_tool_calls=True,
        unknown=1,
    ).request

    assert (request.system_prompt, request.max_tokens, request.temperature) == ("B", 5, 0)
    assert (request.top_p, request.reasoning_effort, request.metadata) == (0.5, "low", {"a": "b"})
    assert request.stream is True
    assert request.extra == {"unknown": 1}


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        ({"role": "user", "content": "A"}, {"role": "user", "content": "A"}),
        ({"role": "developer", "content": [{"type": "input_text", "text": "A"}]}, {"role": "developer", "content": "A"}),
        (
            {"type": "message", "role": "assistant", "id": "msg", "content": [{"type": "output_text", "text": "A", "annotations": []}, {"type": "refusal", "refusal": "B"}]},
            {"role": "assistant", "content": "AB"},
        ),
        (
            {"role": "user", "content": [{"type": "input_text", "text": "A"}, {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}]},
            {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}]},
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}]},
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}}]},
        ),
        ({"type": "function_call_output", "call_id": "c", "output": "A"}, {"role": "tool", "tool_call_id": "c", "content": "A"}),
        ({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "A"}]}, {"role": "tool", "tool_call_id": "c", "content": "A"}),
    ],
)  # fmt: skip
def test_item_becomes_turn(item, turn):
    assert read(input=[item]).request.messages == [turn]


def test_items_of_one_answer_are_one_turn():
    items = [
        USER,
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": "A"},
        {"type": "web_search_call", "id": "ws"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
    ]  # fmt: skip

    _, turn, result = read(input=items).request.messages

    assert (turn["content"], turn["reasoning"]) == ("A", "Hm.")
    assert [c.id for c in turn["tool_calls"]] == ["c1", "c2"]
    assert turn["reasoning_details"][0]["data"] == "gAAA"
    assert result["tool_call_id"] == "c1"


def test_request_survives_the_way_through():
    body = {
        "model": "m",
        "instructions": "B",
        "input": [
            USER,
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ],
        "tools": [FUNCTION],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": False}},
        "max_output_tokens": 5,
    }  # fmt: skip

    assert request_to_wire(request_from_wire(body).request, "m") == body


def test_answer_of_another_dialect_comes_back_whole():
    details = {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "c2ln",
        "format": "anthropic-claude-v1",
    }
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    answer = response_from_wire({"id": "r", "model": "m", "status": "completed", "output": [call]})
    answer.reasoning, answer.reasoning_details = "Hm", [details]
    answer.tool_calls[0]["extra_content"] = {"google": {"thought_signature": "cw=="}}

    items = response_to_wire(answer, created=0)["output"]
    (turn,) = read(input=items).request.messages

    assert (turn["reasoning"], turn["reasoning_details"]) == ("Hm", [details])
    assert turn["tool_calls"] == answer.tool_calls


@pytest.mark.parametrize("sealed", ["fm1.!!!", "fm1.NQ==", "fm1."])
def test_seal_that_cannot_be_opened_is_kept_as_it_is(sealed):
    item = {"type": "reasoning", "summary": [], "encrypted_content": sealed}

    (turn,) = read(input=[item]).request.messages

    assert turn["reasoning_details"][0]["data"] == sealed


def test_tools_are_functions_and_namespaces_are_flattened():
    call = read(
        tools=[
            FUNCTION,
            {"type": "namespace", "name": "ns", "tools": [FUNCTION, {"type": "custom"}]},
            {"type": "web_search"},
        ],
        tool_choice="auto",
        parallel_tool_calls=False,
    )

    functions = [t["function"]["name"] for t in call.request.tools if "function" in t]
    hosted = [t["type"] for t in call.request.tools if isinstance(t, HostedTool)]
    assert (functions, hosted) == (["f", "ns__f"], ["custom", "web_search"])
    assert call.namespaces == {"ns__f": ("ns", "f")}
    assert (call.request.tool_choice, call.request.extra) == (
        "auto",
        {"parallel_tool_calls": False},
    )


def test_call_of_a_tool_in_a_namespace_keeps_its_flat_name():
    item = {
        "type": "function_call",
        "call_id": "c",
        "namespace": "ns",
        "name": "f",
        "arguments": "{}",
    }

    assert read(input=[item]).request.messages[0]["tool_calls"][0].name == "ns__f"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, "auto"),
        ({"type": "web_search"}, None),
        (None, None),
    ],
)
def test_tool_choice_is_mapped(choice, expected):
    assert read(tools=[FUNCTION], tool_choice=choice).request.tool_choice == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        ),
    ],
)
def test_text_format_is_mapped(form, expected):
    assert read(text={"format": form}).request.response_format == expected


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"role": "nobody", "content": ""}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "new"}]}]}, "input[0].content"),
        ({"temperature": "0"}, "temperature"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(fields, code):
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)

    assert caught.value.code == code


def test_body_that_is_no_object_is_refused():
    with pytest.raises(InvalidRequestError):
        request_from_wire([])
