from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from faultmaven.config.settings import load_settings
from faultmaven.gateway.auth import KeyRing, presented_key
from faultmaven.gateway.options import GatewayOptions
from faultmaven.gateway.table import EMBEDDINGS, FRONTS
from faultmaven.infrastructure.llm.errors import ConfigurationError
from tests.gateway.conftest import KEY, MESSAGES

BAD = {
    "none": {},
    "wrong": {"Authorization": "Bearer nope"},
    "empty": {"Authorization": "Bearer "},
    "blank": {"Authorization": "Bearer    "},
    "other scheme": {"Authorization": f"Basic {KEY}"},
    "no scheme": {"Authorization": KEY},
    "prefix": {"Authorization": f"Bearer {KEY[:-1]}"},
    "longer": {"Authorization": f"Bearer {KEY}x"},
    "case": {"Authorization": f"Bearer {KEY.upper()}"},
    "huge": {"Authorization": "Bearer " + "x" * 4000},
    "null": {"Authorization": "Bearer null"},
    "array": {"Authorization": f'Bearer ["{KEY}"]'},
    "sql": {"Authorization": "Bearer ' OR 1=1 --"},
    "x-api-key": {"x-api-key": "nope"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/health"},
}


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD)
async def test_who_has_no_key_gets_the_same_answer_everywhere(start, headers):
    bodies = set()
    async with start() as client:
        for path in [*FRONTS, EMBEDDINGS, "/v1/messages/count_tokens", "/chat", "/command"]:
            async with client.session.post(client.url + path, json={}, headers=headers) as reply:
                assert reply.status == 401
                assert reply.headers["WWW-Authenticate"] == "Bearer"
                body = await reply.json()
                bodies.add(body["error"]["message"])
        for path in ("/v1/models", "/v1/models/x", "/models", "/p/openai/models"):
            async with client.session.get(client.url + path, headers=headers) as reply:
                assert reply.status == 401
    assert len(bodies) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"x-api-key": KEY},
        {"x-goog-api-key": KEY},
    ],
    ids=["bearer", "lower case", "x-api-key", "x-goog-api-key"],
)
async def test_a_key_is_taken_however_it_is_sent(client, headers):
    async with client.session.get(client.url + "/v1/models", headers=headers) as reply:
        assert reply.status == 200


async def test_health_is_open_and_says_nothing_private(client):
    for path in ("/", "/health/live", "/health/ready", "/openapi.json"):
        async with client.session.get(client.url + path) as reply:
            assert reply.status == 200
            assert KEY not in await reply.text()
    async with client.session.head(client.url + "/") as reply:
        assert reply.status == 200


async def test_numbers_need_an_administrators_key_once_there_is_one(start):
    async with start("gateway: {admin_keys: [adm-0123456789abcdef]}") as client:
        async with client.get("/metrics") as reply:
            assert reply.status == 401
        async with client.get("/metrics", Authorization="Bearer adm-0123456789abcdef") as reply:
            assert reply.status == 200


async def test_described_keys_reach_only_what_they_may(start, upstream):
    digest = hashlib.sha256(b"vk-narrow-0123456789").hexdigest()
    file = f"""
keys:
  - {{name: narrow, sha256: {digest}, providers: [groq]}}
  - {{name: model, key: vk-model-0123456789, models: [openai/only]}}
  - {{name: late, key: vk-late-0123456789, expires: {datetime.now(UTC).date() - timedelta(1)}}}
"""
    async with start(file) as client:
        expected = {
            ("vk-narrow-0123456789", "openai/x"): 404,
            ("vk-narrow-0123456789", "groq/x"): 200,
            ("vk-model-0123456789", "openai/x"): 404,
            ("vk-model-0123456789", "openai/only"): 200,
            ("vk-late-0123456789", "openai/x"): 401,
        }
        for (key, model), status in expected.items():
            async with client.post(
                "/v1/chat/completions",
                {"model": model, "messages": MESSAGES},
                Authorization=f"Bearer {key}",
            ) as reply:
                assert reply.status == status, (key, model)
        async with client.get("/v1/models", Authorization="Bearer vk-narrow-0123456789") as reply:
            listed = await reply.json()
    assert {row["owned_by"] for row in listed["data"]} == {"groq"}


async def test_who_guesses_keys_is_slowed_down_and_nobody_else_is(start):
    async with start("gateway: {failed_auth_per_minute: 10}") as client:
        statuses, bodies = [], []
        for headers in list(BAD.values())[:12]:
            async with client.session.get(client.url + "/v1/models", headers=headers) as reply:
                statuses.append(reply.status)
                if reply.status == 429:
                    bodies.append(await reply.text())
                    assert 0 < int(reply.headers["Retry-After"]) <= 60
        async with client.get("/v1/models") as reply:
            assert reply.status == 200, (
                "a right key is taken whatever others at the address have tried"
            )
        async with client.post("/v1/messages", {}, Authorization="Bearer nope") as reply:
            assert (reply.status, (await reply.json())["error"]["type"]) == (
                429,
                "rate_limit_error",
            )

        assert statuses == [401] * 10 + [429] * 2
        assert len(set(bodies)) == 1
        rejected = client.gateway.meter.tally.rejected
        assert (rejected["authentication"], rejected["authentication_attempts"]) == (10, 3)


@pytest.mark.parametrize("key", ["sk-1234", "changeme", "SECRET", "your-api-key"])
def test_keys_of_examples_are_refused(key):
    with pytest.raises(ConfigurationError, match="examples"):
        KeyRing([key])


def test_the_key_ring_keeps_no_key():
    ring = KeyRing([KEY])

    assert KEY not in repr(vars(ring))
    assert ring.find(KEY) is not None
    assert ring.find(KEY[:-1]) is None


def test_a_key_file_may_have_lines():
    ring = KeyRing(["gk-one-0123456789\ngk-two-0123456789, gk-three-0123456789"])

    assert all(ring.find(f"gk-{n}-0123456789") for n in ("one", "two", "three"))


def test_bearer_wins_over_other_headers():
    assert presented_key({"Authorization": "Bearer a", "x-api-key": "b"}) == "a"
    assert presented_key({"Authorization": "Basic a", "x-api-key": "b"}) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway.example"])
def test_strangers_are_not_let_in_without_keys(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(FAULTMAVEN_GATEWAY_KEYS="")

    with pytest.raises(ConfigurationError, match="FAULTMAVEN_GATEWAY_KEYS"):
        GatewayOptions.of(settings, host=host)

    assert GatewayOptions.of(settings, host=host, insecure=True).insecure
    assert GatewayOptions.of(settings, host="127.0.0.1").is_loopback
