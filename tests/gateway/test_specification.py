"""The document at /openapi.json names every path that there is, and no other."""

import json
import re

import jsonschema
import pytest

from faultmaven.gateway.specification import make_specification


def pattern_of(path: str) -> str:
    """Give a pattern for the paths that a template, or a prefix with its `*`, stands for."""
    return re.sub(r"\\\{\w+\\\}|\\\*", ".+", re.escape(path))


def methods_of(described) -> set[str]:
    return {method.upper() for method in described if method != "parameters"}


async def test_every_path_is_described(client):
    described = make_specification()["paths"]

    for path, route in client.gateway.routes.by_path().items():
        found = [
            methods_of(operations)
            for template, operations in described.items()
            if re.fullmatch(pattern_of(path), template)
        ]
        assert found, path
        assert set(route.pages) - {"HEAD"} <= set().union(*found), path


async def test_every_description_has_its_path(client):
    routes = client.gateway.routes.by_path()

    for template, operations in make_specification()["paths"].items():
        matching = [
            route for path, route in routes.items() if re.fullmatch(pattern_of(path), template)
        ]
        assert matching, template
        assert methods_of(operations) <= {m for route in matching for m in route.pages}, template


async def test_the_document_is_served_to_everyone(client):
    async with client.session.get(f"{client.url}/openapi.json") as answer:
        document = await answer.json()

    assert document["openapi"] == "3.1.0"
    names = [op["operationId"] for path in document["paths"].values() for m, op in path.items()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("turns", "is_right"),
    [
        ("Hello", True),
        ([{"role": "user", "content": "Hello"}], True),
        (["Hello"], False),
        ([7], False),
    ],
)
async def test_the_input_of_a_response_is_described_as_it_is_taken(client, turns, is_right):
    body = {"model": "anthropic/fake", "input": turns}
    schemas = make_specification()["components"]["schemas"]
    described = jsonschema.Draft202012Validator(schemas["ResponsesRequest"])

    async with client.post("/v1/responses", json.dumps(body).encode()) as answer:
        assert answer.status == (200 if is_right else 400)
    assert described.is_valid(body) is is_right


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("user", {"text": "Hello"}),
        ("user", {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        ("model", {"functionCall": {"name": "f", "args": {}}}),
    ],
    ids=["text", "picture", "call"],
)
async def test_the_parts_of_gemini_are_described_as_they_are_taken(client, role, part):
    first = {"role": "user", "parts": [{"text": "Hi"}]}
    body = {"contents": [first, {"role": role, "parts": [part]}]}
    schemas = make_specification()["components"]["schemas"]
    described = jsonschema.Draft202012Validator(schemas["GenerateRequest"])

    path = "/v1beta/models/openai/fake:generateContent"
    async with client.post(path, json.dumps(body).encode()) as answer:
        assert answer.status == 200
    assert described.is_valid(body)
