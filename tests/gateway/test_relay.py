from __future__ import annotations

import json

import pytest

from faultmaven.infrastructure.llm.catalog import set_catalog
from tests.gateway.conftest import KEY, MESSAGES, UPSTREAM_KEY, events_of

TEXT = "Grüße"


async def test_relay_rewrites_model_and_credentials_and_nothing_else(client, upstream):
    body = {
        "model": "openai/fake",
        "messages": [{"role": "user", "content": "Hi", "name": "ada"}],
        "temperature": 0,
        "unheard_of": {"a": [1, None]},
    }

    async with client.post("/v1/chat/completions", body) as reply:
        assert reply.status == 200
        answer = await reply.json()

    sent = upstream.last_request
    assert sent.json == body | {"model": "fake"}
    assert sent.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert KEY not in str(sent.headers)
    assert answer["choices"][0]["message"]["content"].startswith(TEXT)


async def test_relay_says_how_it_was_routed(client):
    async with client.chat() as reply:
        assert reply.headers["x-faultmaven-provider"] == "openai"
        assert reply.headers["x-faultmaven-model"] == "fake"
        assert reply.headers["x-faultmaven-route"] == "explicit"
        assert reply.headers["x-faultmaven-attempts"] == "1"
        assert reply.headers["x-request-id"].startswith("req_")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "Server" not in reply.headers


async def test_relay_tells_the_price_where_it_is_known(client):
    async with client.chat("openai/gpt-4o-mini") as reply:
        assert float(reply.headers["x-faultmaven-cost-usd"]) > 0

    async with client.chat("openai/nobody-knows-this") as reply:
        assert "x-faultmaven-cost-usd" not in reply.headers


async def test_names_are_chosen_by_the_prices_of_faultmaven_yaml(start):
    try:
        async with start("pricing:\n  openai/gpt-4o-mini: {input: 77, output: 78}\n") as client:
            info = client.gateway.names.catalog.find("openai", "gpt-4o-mini")
    finally:
        set_catalog(None)

    assert info.price.rates.input == 77


async def test_a_client_may_name_its_request(client):
    for given, kept in (("abc-1.2_3", True), ("a\u00e4b", False), ("x" * 200, False)):
        async with client.post(
            "/v1/chat/completions", {"model": "openai/f", "messages": MESSAGES}, x_request_id=given
        ) as reply:
            assert (reply.headers["x-request-id"] == given) is kept


async def test_stream_is_passed_on_to_the_byte(client, upstream):
    async with client.chat(stream=True, stream_options={"include_usage": True}) as reply:
        assert reply.content_type == "text/event-stream"
        relayed = events_of(await reply.text())

    assert relayed[-1] == "[DONE]"
    assert json.loads(relayed[-2])["usage"]["completion_tokens"] > 0
    text = "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in relayed[:-3])
    assert text.startswith(TEXT)


@pytest.mark.parametrize("asked", [None, {}, {"include_usage": False}, {"include_usage": True}])
@pytest.mark.parametrize(("path", "provider"), [
    ("chat/completions", "openai"), ("chat/completions", "anthropic"), ("completions", "openai"),
])  # fmt: skip
async def test_usage_comes_exactly_when_asked_and_is_counted_always(
    client, upstream, path, provider, asked
):
    said = {"messages": MESSAGES} if path.startswith("chat") else {"prompt": "Hello"}
    body = {"model": f"{provider}/fake", "stream": True, **said}
    fields = {} if asked is None else {"stream_options": asked}

    async with client.post(f"/v1/{path}", body | fields) as reply:
        sent = [json.loads(e) for e in events_of(await reply.text()) if e != "[DONE]"]

    wanted = bool(asked and asked.get("include_usage"))
    assert sum(bool(event.get("usage")) for event in sent) == wanted
    assert any(not event["choices"] for event in sent) is wanted
    if (path, provider) == ("chat/completions", "openai"):
        assert upstream.last_request.json["stream_options"] == {"include_usage": True}
    counted = f'kind="output",model="fake",provider="{provider}"}} 25.0'
    assert counted.encode() in client.gateway.metrics()


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_anthropic_is_relayed_with_its_version_and_beta_header(client, upstream, version):
    body = {"model": "anthropic/fake", "max_tokens": 9, "messages": MESSAGES, "top_k": 3}
    headers = {"anthropic_beta": "x-2025", "anthropic_version": version}

    async with client.post("/v1/messages?beta=true", body, **headers) as reply:
        answer = await reply.json()

    assert answer["type"] == "message"
    assert upstream.last_request.headers["anthropic-beta"] == "x-2025"
    assert upstream.last_request.headers["anthropic-version"] == version
    assert upstream.last_request.headers["x-api-key"] == UPSTREAM_KEY
    assert upstream.last_request.json == body | {"model": "fake"}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_version_that_a_row_states_stays_the_rows(start, upstream, path):
    row = {
        "provider_class": "AnthropicProvider",
        "api_key_var": "ANTHROPIC_API_KEY",
        "base_url_var": "ANTHROPIC_API_BASE",
        "headers": {"Anthropic-Version": "2023-01-01"},
    }
    body = {"model": "anthropic/fake", "max_tokens": 9, "messages": MESSAGES}

    async with (
        start(json.dumps({"providers": {"anthropic": row}})) as client,
        client.post(path, body, anthropic_version="2026-10-21") as reply,
    ):
        assert reply.status == 200

    assert upstream.last_request.headers["anthropic-version"] == "2023-01-01"


async def test_a_translated_request_is_sent_in_our_version(client, upstream):
    async with client.chat(model="anthropic/fake", temperature=0.5) as reply:
        assert reply.status == 200

    assert upstream.last_request.headers["anthropic-version"] == "2023-06-01"


async def test_anthropic_stream_keeps_its_grammar(client):
    async with client.messages(stream=True) as reply:
        text = await reply.text()

    kinds = [json.loads(event)["type"] for event in events_of(text)]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert text.count("event: ") == len(kinds)


async def test_embeddings_are_relayed_with_tokens_and_base64(client, upstream):
    body = {"model": "openai/emb", "input": [[1, 2], [3]], "encoding_format": "base64"}

    async with client.post("/v1/embeddings", body) as reply:
        answer = await reply.json()

    assert upstream.last_request.path == "/v1/embeddings"
    assert upstream.last_request.json == body | {"model": "emb"}
    assert isinstance(answer["data"][0]["embedding"], str)


async def test_other_endpoints_pass_through_with_our_key(client, upstream):
    async with client.get("/p/openai/models?limit=2") as reply:
        assert reply.status == 200
        assert (await reply.json())["data"]

    assert upstream.last_request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert upstream.last_request.headers.get("x-api-key") is None


@pytest.mark.parametrize(
    "path", ["/p/openai/../admin", "/p/openai/%2e%2e/admin", "/p/openai/a%2F..%2Fb", "/p/nobody/x"]
)
async def test_passing_stays_below_the_base_url(client, upstream, path):
    from yarl import URL

    async with client.session.get(
        URL(client.url + path, encoded=True), headers={"Authorization": f"Bearer {KEY}"}
    ) as reply:
        assert reply.status == 404

    assert not upstream.requests


async def test_a_whole_answer_becomes_the_stream_that_was_asked_for(client):
    async with client.chat("openai/fm:json-for-stream", stream=True) as reply:
        relayed = events_of(await reply.text())

    assert json.loads(relayed[0])["choices"][0]["delta"]["content"].startswith(TEXT)
    assert relayed[-1] == "[DONE]"


async def test_a_stream_becomes_the_whole_answer_that_was_asked_for(client):
    async with client.chat("openai/fm:stream-for-json") as reply:
        answer = await reply.json()

    assert answer["choices"][0]["message"]["content"].startswith(TEXT)
