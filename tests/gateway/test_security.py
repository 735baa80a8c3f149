"""Attempts to get in, to get out, and to be written where one does not belong."""

from __future__ import annotations

import json
import logging
import re
import statistics
import time
from urllib.parse import unquote

import pytest

from faultmaven.gateway.auth import KeyRing
from faultmaven.testing import FakeUpstream
from tests.gateway.conftest import KEY, MESSAGES
from tests.gateway.lanes import LANES
from tests.gateway.test_raw_http import exchange

ADMIN_KEY = "adm-0123456789abcdef0123456789"
WITH_ADMIN = f"gateway: {{admin_keys: [{ADMIN_KEY}]}}"

# What has opened doors elsewhere.  None has a key, or a right one.
TRICKS = {
    "nothing": {},
    "local host": {"Host": "localhost"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost"},
    "real ip": {"X-Real-IP": "127.0.0.1", "X-Client-IP": "::1", "True-Client-IP": "127.0.0.1"},
    "forwarded host": {"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https"},
    "other path": {"X-Original-URL": "/health/live", "X-Rewrite-URL": "/health/live"},
    "other method": {"X-HTTP-Method-Override": "GET", "X-Method-Override": "HEAD"},
    "cookie": {"Cookie": f"key={KEY}; Authorization=Bearer {KEY}"},
    "prefix": {"Authorization": f"Bearer {KEY[:20]}"},
    "same beginning": {"Authorization": f"Bearer {KEY[:20]}{'0' * (len(KEY) - 20)}"},
    "null": {"Authorization": "Bearer null", "x-api-key": "null"},
    "array": {"Authorization": f'Bearer ["{KEY}"]'},
    "object": {"Authorization": 'Bearer {"$ne": null}'},
    "sql": {"x-api-key": "' OR '1'='1"},
    "digest": {"x-api-key": "sha256:0123"},
    "non-ASCII": {"Authorization": "Bearer \u00e4\u00f6\u00fc"},
    "10 KB": {"x-api-key": "x" * 7000},
    "basic": {"Authorization": "Basic Z2s6Z2s="},
    "undefined": {"Authorization": "Bearer undefined"},
}
# Paths that some servers take for another one.
PATHS = [
    "//v1/models", "/v1//models", "/v1/models/", "/V1/MODELS", "/v1/./models", "/v1/x/../models",
    "/%76%31/models", "/v1%2fmodels", "/v1/models;/health/live", "/v1/models.", "/v1/models%00",
    "/health/live/../../v1/models", "/health/live%2f..%2f..%2fmetrics", "/health/live/..;/metrics",
    "/metrics/", "//metrics", "/METRICS", "/metrics%20", "/./metrics", "/p/../metrics",
    "/%2e%2e/metrics", "/v1/models/../../metrics", "http://localhost/metrics",
]  # fmt: skip


def concrete(path: str) -> str:
    return path.replace("*", "x")


async def test_no_trick_opens_any_route(start, upstream):
    async with start(WITH_ADMIN) as client:
        closed = {p: r for p, r in client.gateway.routes.by_path().items() if r.access != "open"}
        assert {r.access for r in closed.values()} == {"key", "admin"}
        for path, route in closed.items():
            for method in route.pages:
                for name, headers in TRICKS.items():
                    async with client.session.request(
                        method, client.url + concrete(path), headers=headers
                    ) as reply:
                        assert reply.status == 401, (path, method, name)
                        assert reply.headers["www-authenticate"] == "Bearer"
                        assert KEY not in await reply.text()

    assert not upstream.requests


async def test_a_clients_key_is_no_administrators(start):
    async with start(WITH_ADMIN) as client:
        for path, route in client.gateway.routes.by_path().items():
            if route.access == "admin":
                async with client.get(concrete(path)) as reply:
                    assert reply.status in (401, 403), path
                async with client.get(
                    concrete(path), Authorization=f"Bearer {ADMIN_KEY}"
                ) as reply:
                    assert reply.status not in (401, 403), path


async def test_a_key_in_the_query_is_no_key(client):
    for name in ("key", "api_key", "access_token", "authorization"):
        async with client.session.get(f"{client.url}/v1/models?{name}={KEY}") as reply:
            assert reply.status == 401
            assert KEY not in await reply.text()


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_is_itself_and_no_other(start, path):
    async with start(WITH_ADMIN) as client:
        answer = await exchange(
            client.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )

    assert answer.split(b" ")[1] in (b"400", b"401", b"404")
    assert b"faultmaven_requests" not in answer


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {ADMIN_KEY}"}])
async def test_every_answer_has_the_headers_that_browsers_heed(start, headers):
    async with start(WITH_ADMIN) as client:
        for path in [*client.gateway.routes.by_path(), "/nowhere", "/p/openai/models"]:
            for method in ("GET", "POST", "HEAD", "OPTIONS", "DELETE"):
                async with client.session.request(
                    method, client.url + concrete(path), headers=headers
                ) as reply:
                    body = await reply.read()
                assert reply.headers["x-content-type-options"] == "nosniff", (path, method)
                assert reply.headers["x-request-id"]
                assert "Server" not in reply.headers
                assert "Set-Cookie" not in reply.headers
                assert not reply.headers["content-type"].startswith("text/html") or path == "/"
                if reply.status >= 400 and method != "HEAD":
                    assert json.loads(body)["error"]["message"]


@pytest.mark.parametrize("model", [
    "../../admin?x=#", "..%2f..%2fadmin", "a/../../b", "x?y=z", "x#y", "x;y", "http://evil/", "a b",
    "@evil.example/", "..", ".", "\u2028x",
])  # fmt: skip
async def test_a_models_name_cannot_leave_its_segment(start, upstream, model):
    file = f"""
providers:
  gem: {{base: gemini, default_base_url: "{upstream.url}/v1beta", api_key_var: null}}
  bed: {{base: bedrock, default_base_url: "{upstream.url}", api_key_var: null}}
  az: {{base: azure-openai, default_base_url: "{upstream.url}", api_key_var: null}}
"""
    async with start(file) as client:
        for provider in ("gem", "bed", "az", "openai", "anthropic"):
            for stream in (False, True):
                async with client.chat(f"{provider}/{model}", stream=stream) as reply:
                    await reply.read()
                assert reply.status in (200, 400, 404, 502, 503), provider

    for request in upstream.requests:
        path = request.raw_target.partition("?")[0]
        assert not {"..", "."} & set(unquote(path).split("/")) or "%2F" in path.upper()
        assert "/admin" not in path
        assert "#" not in request.raw_target
        assert "evil" not in request.headers["host"]


ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]:{port}/",
    "http://2130706433:{port}/", "http://127.1:{port}/", "http://localhost:{port}/x.png",
    "http://100.64.0.1/", "http://[64:ff9b::7f00:1]:{port}/", "http://[2002:7f00:1::]/",
    "file:///etc/passwd", "gopher://127.0.0.1:{port}/",
]  # fmt: skip
STEERING = ("base_url", "api_base", "host", "url", "endpoint", "proxy", "webhook", "callback_url")


@pytest.mark.parametrize("lane", LANES.values(), ids=LANES)
async def test_nothing_in_a_request_makes_us_fetch_anything(client, upstream, lane):
    async with FakeUpstream() as trap:
        target = f"http://127.0.0.1:{trap.port}/trap"
        steering = dict.fromkeys(STEERING, target)
        headers = {f"x-{name.replace('_', '-')}": target for name in STEERING}
        bodies = [lane.body("ok") | {name: target} for name in STEERING] + [
            lane.body("ok") | {"metadata": steering},
            lane.body("ok") | {"model": target},
        ]
        addresses = [target, *(text.replace("{port}", str(trap.port)) for text in ADDRESSES)]
        bodies += [lane.body("ok") | {"messages": [picture(lane, a)]} for a in addresses]
        for body in bodies:
            async with client.post(f"{lane.path}?base_url={target}", body, **headers) as reply:
                await reply.read()
                assert reply.status < 500 or reply.status == 502

        assert trap.connections_opened == 0
    assert upstream.requests


def picture(lane, address: str) -> dict[str, object]:
    """Make a message with a picture at an address."""
    if lane.front == "chat":
        part = {"type": "image_url", "image_url": {"url": address}}
    else:
        part = {"type": "image", "source": {"type": "url", "url": address}}
    return {"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}


@pytest.mark.parametrize("text", ["a\r\nx-evil: 1", "\x00", "\u202eabc", "x" * 10_000, "\x1b[31m"])
async def test_what_clients_write_reaches_no_header_and_no_log_raw(client, upstream, caplog, text):
    caplog.set_level(logging.DEBUG)
    for lane in LANES.values():
        for field in ("user", "metadata", "model"):
            value = {"k": text, "user_id": text} if field == "metadata" else text
            body = lane.body("ok") | {field: value}
            async with client.post(lane.path, body, x_request_id="ok") as reply:
                await reply.read()
                assert "x-evil" not in reply.headers
                assert reply.status in (200, 400, 404)

    for request in upstream.requests:
        assert "x-evil" not in request.headers
    for line in (record.getMessage() for record in caplog.records):
        assert line.isprintable(), line
        if "event" in line[:40]:
            assert json.loads(line)


async def test_paths_and_agents_are_logged_on_one_line_if_at_all(client, caplog):
    caplog.set_level(logging.DEBUG)
    request = (
        b"POST /v1/chat/completions%0d%0aforged HTTP/1.1\r\nHost: x\r\n"
        b"User-Agent: a\x1b[2J\xe2\x80\xa8forged\r\nConnection: close\r\n\r\n"
    )

    answer = await exchange(client.port, request)

    assert answer.split(b" ")[1] in (b"400", b"404")
    for record in caplog.records:
        assert "\n" not in record.getMessage()
        assert "\x1b" not in record.getMessage()


async def test_the_names_that_clients_invent_do_not_fill_the_metrics(client):
    for number in range(260):
        async with client.chat(f"openai/invented-{number}") as reply:
            assert reply.status == 200
    async with client.get("/metrics") as reply:
        text = await reply.text()

    models = {
        line.split('model="')[1].split('"')[0] for line in text.splitlines() if 'model="' in line
    }
    assert len(models) <= 201
    assert "other" in models


def test_wrong_keys_take_alike_however_much_is_right():
    ring = KeyRing([KEY])
    near, far = KEY[:-1] + "x", "z" * len(KEY)
    taken_ns: dict[str, list[int]] = {near: [], far: []}
    for _ in range(20_000):
        for key, found in taken_ns.items():  # in turn, so that what else goes on meets both
            began_ns = time.perf_counter_ns()
            ring.find(key)
            found.append(time.perf_counter_ns() - began_ns)

    assert 0.7 < statistics.median(taken_ns[near]) / statistics.median(taken_ns[far]) < 1.4


async def test_a_404_says_nothing_of_other_keys_models(start):
    file = """
models: {aliases: {secret-project: groq/llama}}
keys: [{name: narrow, key: vk-narrow-0123456789, models: [openai/mine]}]
"""
    async with start(file) as client:
        for model in ("secret-projec", "secret-project", "openai/min"):
            async with client.post(
                "/v1/chat/completions",
                {"model": model, "messages": MESSAGES},
                Authorization="Bearer vk-narrow-0123456789",
            ) as reply:
                error = (await reply.json())["error"]
            assert (reply.status, error["code"]) == (404, "model_not_found")
            assert "groq" not in error["message"]
            assert error["message"].replace(model, "").count("secret-project") == 0
        for path in ("/v1/models/secret-projec", "/v1/models/openai/o4", "/p/none/x", "/p/groq/x"):
            async with client.get(path, Authorization="Bearer vk-narrow-0123456789") as reply:
                message = (await reply.json())["error"]["message"]
            assert reply.status == 404
            assert not re.search("groq|Did you|Configured", message)


FOREIGN = {
    "another page": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "a name pointed here": {"Host": "evil.example"},
    "a name pointed here, with a port": {"Host": "evil.example:8080"},
    "a name that begins well": {"Host": "localhost.evil.example"},
    "an address that begins well": {"Host": "127.0.0.1.evil.example"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_pages_of_other_sites_cannot_use_a_gateway_without_keys(start, upstream, headers):
    body = json.dumps({"model": "openai/f", "messages": MESSAGES})
    async with start(FAULTMAVEN_GATEWAY_KEYS="") as client:
        for path, route in client.gateway.routes.by_path().items():
            for method in route.pages:
                if route.access != "open":
                    async with client.session.request(
                        method,
                        client.url + concrete(path),
                        data=None if method == "GET" else body,
                        headers={"Content-Type": "text/plain", **headers},
                    ) as reply:
                        assert reply.status == 403, (method, path)

    assert not upstream.requests


async def test_a_gateway_without_keys_serves_those_at_home(start):
    async with start(
        "gateway: {cors_origins: ['https://app.example']}", FAULTMAVEN_GATEWAY_KEYS=""
    ) as client:
        for headers in (
            {},
            {"Host": "localhost:8080"},
            {"Host": "faultmaven.localhost"},
            {"Host": "[::1]:8080"},
            {"Origin": "https://app.example"},
            {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
        ):
            async with client.session.get(client.url + "/v1/models", headers=headers) as reply:
                assert reply.status == 200, headers


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}, *FOREIGN.values()],
)
async def test_who_comes_through_a_proxy_is_no_administrator(start, headers):
    async with start() as client:
        async with client.session.get(client.url + "/metrics") as reply:
            assert reply.status == 200
        for path in ("/metrics", "/health/providers"):
            async with client.session.get(client.url + path, headers=headers) as reply:
                assert reply.status == 401


@pytest.mark.parametrize("spec", ["ok", "status:400", "status:503", "error-event:9", "200-html"])
async def test_prompts_and_answers_are_in_no_log_and_no_number(client, caplog, spec):
    caplog.set_level(logging.INFO)
    words = "the-parrot-is-resting"
    for lane in LANES.values():
        for stream in (False, True):
            body = lane.body(spec, stream=stream, messages=[{"role": "user", "content": words}])
            async with client.post(lane.path, body) as reply:
                await reply.read()
    async with client.get("/metrics") as reply:
        metrics = await reply.text()

    assert words not in caplog.text + metrics
    assert "Prüfstand" not in caplog.text + metrics
