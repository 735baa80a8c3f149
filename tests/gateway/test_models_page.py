"""What `/v1/models` lists, to whom, and in how many pages."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import KEY

ANTHROPIC = {"anthropic-version": "2023-06-01"}
GOOGLE = {"x-goog-api-key": KEY}


async def listed(client, path="/v1/models", **headers):
    async with client.get(path, **headers) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def names_of(client, key):
    page = await listed(client, Authorization=f"Bearer {key}")
    return [model["id"] for model in page["data"]]


async def test_anthropics_pages_have_every_model_once(client):
    everything = await listed(client, **ANTHROPIC)
    seen, query = [], "limit=7"
    while True:
        page = await listed(client, f"/v1/models?{query}", **ANTHROPIC)
        assert (page["first_id"], page["last_id"]) == (
            page["data"][0]["id"],
            page["data"][-1]["id"],
        )
        assert len(page["data"]) <= 7
        seen += page["data"]
        if not page["has_more"]:
            break
        query = f"limit=7&after_id={page['last_id'].replace('/', '%2F')}"

    assert len(seen) > 14
    assert seen == everything["data"]
    assert everything["has_more"] is False


async def test_a_page_before_another(client):
    names = [model["id"] for model in (await listed(client, **ANTHROPIC))["data"]]
    page = await listed(client, f"/v1/models?limit=2&before_id={names[3]}", **ANTHROPIC)

    assert [model["id"] for model in page["data"]] == names[1:3]
    assert page["has_more"] is True


async def test_a_page_with_nothing_on_it(client):
    last = (await listed(client, **ANTHROPIC))["last_id"]

    assert await listed(client, f"/v1/models?after_id={last}", **ANTHROPIC) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize("path", ["/v1beta/models", "/v1/models"])
async def test_googles_pages_have_every_model_once(client, path):
    everything = await listed(client, path, **GOOGLE)
    seen, query = [], "pageSize=7"
    while True:
        page = await listed(client, f"{path}?{query}", **GOOGLE)
        assert len(page["models"]) <= 7
        seen += page["models"]
        if "nextPageToken" not in page:
            break
        query = f"pageSize=7&pageToken={page['nextPageToken']}"

    assert len(seen) > 14
    assert seen == everything["models"]
    assert "nextPageToken" not in everything


async def test_openais_list_has_no_pages(client):
    whole = await listed(client)

    assert await listed(client, "/v1/models?limit=1&after_id=nobody&pageSize=1") == whole


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/models?limit=0", ANTHROPIC),
        ("/v1/models?after_id=nobody", ANTHROPIC),
        ("/v1beta/models?pageSize=-1", {}),
        ("/v1beta/models?pageToken=nobody", {}),
    ],
)
async def test_pages_that_cannot_be_are_refused(client, path, headers):
    async with client.get(path, **headers) as reply:
        assert reply.status == 400
        assert path.partition("?")[2].partition("=")[0] in (await reply.json())["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {"code": "model_not_found"}),
        (ANTHROPIC, {"type": "not_found_error"}),
        (GOOGLE, {"status": "NOT_FOUND"}),
    ],
    ids=["openai", "anthropic", "google"],
)
async def test_an_unknown_model_is_told_in_the_words_of_who_asks(client, headers, expected):
    async with client.get("/v1/models/fast", **headers) as reply:
        said = await reply.json()
        has_request_id = "request-id" in reply.headers

    assert expected.items() <= said["error"].items()
    assert has_request_id == (headers is ANTHROPIC)


async def test_anthropics_clients_find_the_requests_id(client):
    async with client.get("/v1/models", **ANTHROPIC) as reply:
        assert reply.headers["request-id"] == reply.headers["x-request-id"]


async def test_a_key_sees_what_it_names_though_no_catalog_has_it(start):
    file = """
models: {aliases: {fast: openai/gpt-4o-mini}}
keys:
  - {name: own, key: gk-own-0123456789, models: [local/my-model, local/ours]}
  - {name: mixed, key: gk-mixed-0123456789, models: [fast, gpt-4o, openai/made-to-order]}
  - {name: odd, key: gk-odd-0123456789, models: ["cap:vision price<=1", nobody, azure-openai/x]}
  - {name: both, key: gk-both-0123456789, models: [local/m, openai/m], providers: [openai]}
"""
    async with start(file) as client:
        own = await names_of(client, "gk-own-0123456789")
        mixed = await names_of(client, "gk-mixed-0123456789")
        odd = await names_of(client, "gk-odd-0123456789")
        both = await names_of(client, "gk-both-0123456789")
        google = await listed(client, "/v1beta/models", Authorization="Bearer gk-own-0123456789")

    assert own == ["local/my-model", "local/ours"]
    assert mixed == ["fast", "openai/gpt-4o", "openai/made-to-order"]
    assert odd == []
    assert both == ["openai/m"]
    assert [model["name"] for model in google["models"]] == [
        "models/local/my-model",
        "models/local/ours",
    ]
