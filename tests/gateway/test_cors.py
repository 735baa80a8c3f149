"""Pages of other sites in browsers: not let in unless their origin is named."""

from __future__ import annotations

import pytest

from faultmaven.gateway.cors import origin_fields, wrong_origins
from faultmaven.infrastructure.llm.errors import ConfigurationError
from tests.gateway.conftest import KEY, MESSAGES

APP = "https://app.example.com"
FILE = f"gateway: {{cors_origins: ['{APP}', 'http://localhost:5173']}}"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
}


def cors_of(reply):
    return {n.lower() for n in reply.headers if n.lower().startswith("access-control-")}


async def test_nothing_is_said_to_browsers_by_default(client):
    for path in client.gateway.routes.by_path():
        async with client.session.options(
            client.url + path.replace("*", "x"), headers=PREFLIGHT
        ) as reply:
            assert reply.status == 405
            assert not cors_of(reply)
    async with client.post(
        "/v1/chat/completions", {"model": "openai/f", "messages": MESSAGES}, Origin=APP
    ) as reply:
        assert reply.status == 200
        assert not cors_of(reply)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/metrics"]
)
async def test_a_named_origin_may_ask_before_it_calls(start, path):
    async with (
        start(FILE) as client,
        client.session.options(client.url + path, headers=PREFLIGHT) as reply,
    ):
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == APP
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert "x-stainless-os" in reply.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in reply.headers
        assert reply.headers["vary"] == "Origin"
        assert await reply.read() == b""


async def test_asking_is_not_calling(start, upstream):
    async with start(FILE) as client:
        async with client.session.options(
            client.url + "/v1/chat/completions", headers={"Origin": APP}
        ) as reply:
            assert reply.status == 405
        async with client.session.options(client.url + "/nowhere", headers=PREFLIGHT) as reply:
            assert reply.status == 404
        async with client.session.post(
            client.url + "/v1/chat/completions", json={}, headers={"Origin": APP}
        ) as reply:
            assert reply.status == 401
            assert reply.headers["access-control-allow-origin"] == APP

    assert not upstream.requests


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_answers_may_be_read_by_the_named_origin_alone(start, stream):
    body = {"model": "openai/f", "messages": MESSAGES, "stream": stream}
    async with start(FILE) as client:
        for origin in (
            APP,
            "https://evil.example",
            "https://app.example.com.evil.example",
            "null",
        ):
            async with client.post("/v1/chat/completions", body, Origin=origin) as reply:
                assert reply.status == 200
                assert reply.headers.get("access-control-allow-origin") == (
                    APP if origin == APP else None
                )
                assert reply.headers["vary"] == "Origin"


async def test_strange_headers_are_not_echoed(start):
    asked = PREFLIGHT | {"Access-Control-Request-Headers": "x-a: b; <script>"}
    async with (
        start(FILE) as client,
        client.session.options(client.url + "/v1/models", headers=asked) as reply,
    ):
        assert "access-control-allow-headers" not in reply.headers


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example.com", "https://a.example/", "a.example", "null", "HTTPS://A"],
)
async def test_only_exact_origins_are_taken(start, origin):
    with pytest.raises(ConfigurationError, match="cors_origins"):
        async with start(f"gateway: {{cors_origins: ['{origin}']}}"):
            pass


def test_origins_are_compared_as_they_are():
    origins = frozenset({"http://localhost:5173", "https://[::1]:8443"})

    assert not wrong_origins(origins)
    assert "allow-origin: https://[::1]:8443" in origin_fields(
        origins, {"Origin": "https://[::1]:8443"}
    )
    assert origin_fields(origins, {"Origin": "http://localhost"}) == "vary: Origin\r\n"
    assert KEY not in origin_fields(origins, {})
