"""Google's API at the gateway: paths, shapes, errors, streams."""

import json

import pytest

from faultmaven.testing import Reply
from tests.gateway.conftest import KEY, events_of

CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
NO_TEXT = {"role": "user", "parts": [{"text": ["Hello"]}]}
NO_DATA = {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png"}}]}


def path(verb, model="openai/fake", version="v1beta"):
    return f"/{version}/models/{model}:{verb}"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_content_is_generated_under_both_paths(client, upstream, version):
    upstream.reply("Good morning.")

    async with client.post(path("generateContent", version=version), CONTENTS) as answer:
        body = await answer.json()

    assert body["candidates"][0]["content"]["parts"] == [{"text": "Good morning."}]
    assert body["candidates"][0]["finishReason"] == "STOP"
    assert answer.headers["x-faultmaven-provider"] == "openai"
    assert upstream.last_request.json["model"] == "fake"


async def test_a_model_may_be_percent_encoded(client, upstream):
    async with client.post("/v1beta/models/openai%2Ffake%3AgenerateContent", CONTENTS) as answer:
        assert answer.status == 200


async def test_a_name_with_a_slash_is_found_without_models_before_it(client, upstream):
    # The AI SDK takes such a name for one that says its collection by itself.
    upstream.reply("Good morning.")

    async with client.post("/v1beta/openai/fake:generateContent", CONTENTS) as answer:
        body = await answer.json()

    assert body["candidates"][0]["content"]["parts"] == [{"text": "Good morning."}]


@pytest.mark.parametrize("target", ["/v1beta/files", "/v1beta/nowhere/fake:generateContent"])
async def test_what_is_not_there_is_said_in_googles_shape(client, target):
    async with client.get(target) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"], error["status"]) == (404, 404, "NOT_FOUND")


async def test_calls_stream_whole(client, upstream):
    upstream.script([Reply(tool_calls=[("f", {"a": 1}), ("g", {})])])
    asked = CONTENTS | {"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]}

    async with client.post(path("streamGenerateContent") + "?alt=sse", asked) as answer:
        events = [json.loads(event) for event in events_of(await answer.text())]

    calls = [part["functionCall"] for part in events[-1]["candidates"][0]["content"]["parts"]]
    assert [(call["name"], call["args"]) for call in calls] == [("f", {"a": 1}), ("g", {})]
    assert events[-1]["usageMetadata"]["totalTokenCount"] > 0


async def test_a_broken_stream_ends_in_an_error(client, upstream):
    broken = path("streamGenerateContent", "openai/fm:reset-mid-stream:3")

    async with client.post(broken + "?alt=sse", CONTENTS) as answer:
        last = json.loads(events_of(await answer.text())[-1])

    assert last["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("target", "body", "status", "word"),
    [
        pytest.param(path("generateContent"), {}, 400, "INVALID_ARGUMENT", id="empty"),
        pytest.param(path("generateContent"), "{", 400, "INVALID_ARGUMENT", id="no-json"),
        pytest.param(path("streamGenerateContent"), CONTENTS, 400, "INVALID_ARGUMENT", id="array"),
        pytest.param(path("tuneModel"), CONTENTS, 404, "NOT_FOUND", id="verb"),
        pytest.param("/v1beta/models/openai/fake", CONTENTS, 404, "NOT_FOUND", id="no-verb"),
        pytest.param(path("countTokens"), {}, 400, "INVALID_ARGUMENT", id="count"),
        pytest.param(path("embedContent"), {"content": 1}, 400, "INVALID_ARGUMENT", id="embed"),
        pytest.param(
            path("embedContent"), {"content": NO_TEXT}, 400, "INVALID_ARGUMENT", id="embed-no-text"
        ),
        pytest.param(
            path("countTokens"), {"contents": [NO_TEXT]}, 400, "INVALID_ARGUMENT", id="no-text"
        ),
        pytest.param(
            path("generateContent"),
            {"contents": [NO_TEXT | {"role": "model"}]},
            400,
            "INVALID_ARGUMENT",
            id="no-text-said",
        ),
        pytest.param(
            path("generateContent"),
            CONTENTS | {"systemInstruction": NO_TEXT},
            400,
            "INVALID_ARGUMENT",
            id="no-text-for-the-system",
        ),
        pytest.param(
            path("generateContent"),
            CONTENTS | {"generationConfig": {"stopSequences": [1]}},
            400,
            "INVALID_ARGUMENT",
            id="stop",
        ),
        pytest.param(
            path("generateContent"), {"contents": [NO_DATA]}, 400, "INVALID_ARGUMENT", id="no-data"
        ),
        pytest.param(
            path("generateContent", "openai/fm:status:429"),
            CONTENTS,
            429,
            "RESOURCE_EXHAUSTED",
            id="upstream",
        ),
    ],
)
async def test_errors_are_in_googles_shape(client, target, body, status, word):
    async with client.post(target, body) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"], error["status"]) == (status, status, word)
    assert error["message"]


async def test_a_key_is_needed_in_whatever_header(client):
    url = client.url + path("generateContent")
    async with client.session.post(url, json=CONTENTS) as refused:
        error = (await refused.json())["error"]
    async with client.session.post(url, json=CONTENTS, headers={"x-goog-api-key": KEY}) as taken:
        assert taken.status == 200

    assert (refused.status, error["status"]) == (401, "UNAUTHENTICATED")


async def test_tokens_vectors_and_models(client, upstream):
    entry = {"content": {"parts": [{"text": "sea"}]}}
    async with client.post(path("countTokens"), CONTENTS) as answer:
        counted = await answer.json()
    async with client.post(path("batchEmbedContents"), {"requests": [entry, entry]}) as answer:
        many = await answer.json()
    async with client.post(path("embedContent"), entry) as answer:
        one = await answer.json()
    async with client.get("/v1beta/models") as answer:
        listed = await answer.json()
    async with client.get("/v1beta/models/openai/fake") as answer:
        described = await answer.json()

    assert counted["totalTokens"] > 0
    assert len(many["embeddings"]) == 2
    assert one["embedding"] == many["embeddings"][0]
    assert all(model["name"].startswith("models/") for model in listed["models"])
    assert described["name"] == "models/openai/fake"


async def test_a_length_is_passed_on(client, upstream):
    entry = {"content": {"parts": [{"text": "sea"}]}, "outputDimensionality": 3}

    async with client.post(path("embedContent"), entry) as answer:
        values = (await answer.json())["embedding"]["values"]

    assert len(values) == upstream.last_request.json["dimensions"] == 3


async def test_a_length_that_cannot_be_chosen_is_refused(start, upstream):
    row = {
        "base": "openai", "default_base_url": upstream.base_url, "api_key_var": None,
        "embeddings": {"dimensions": False},
    }  # fmt: skip
    entry = {"content": {"parts": [{"text": "sea"}]}, "outputDimensionality": 3}

    async with (
        start(json.dumps({"providers": {"fixed": row}})) as client,
        client.post(path("embedContent", "fixed/m"), entry) as answer,
    ):
        error = (await answer.json())["error"]

    assert answer.status == 400
    assert "dimensions" in error["message"]
