"""The front door and the page behind it: what it shows, to whom, and what it cannot be made to do."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from faultmaven.gateway import dashboard
from tests.gateway.conftest import KEY, MESSAGES

ADMIN_KEY = "adm-0123456789abcdef0123456789"
WITH_ADMIN = f"gateway: {{admin_keys: [{ADMIN_KEY}]}}"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<img src=x onerror=alert(1)>"
FILES = {
    "/": "text/html",
    "/dashboard/page.css": "text/css",
    "/dashboard/page.js": "text/javascript",
}


async def fetch(client, path, **headers):
    async with client.session.get(client.url + path, headers=headers) as reply:
        return reply, await reply.text()


async def test_programs_are_told_what_this_is(client):
    reply, text = await fetch(client, "/")

    assert reply.content_type == "application/json"
    assert json.loads(text)["service"] == "faultmaven"
    async with client.session.head(client.url + "/") as reply:
        assert reply.status == 200


@pytest.mark.parametrize("path", FILES)
async def test_the_page_is_guarded_and_says_nothing(start, path):
    async with start(WITH_ADMIN) as client:
        reply, text = await fetch(client, path, **HTML)

    policy = reply.headers["content-security-policy"]
    assert reply.status == 200
    assert reply.content_type == FILES[path]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"
    assert "set-cookie" not in reply.headers
    assert "openai" not in text
    assert KEY not in text


async def test_the_page_has_nothing_inline_and_nothing_of_another_host(client):
    pages = [(await fetch(client, path, **HTML))[1] for path in FILES]
    html, _, script = pages

    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
    assert re.findall(r'(?:src|href)="([^"]+)"', html) == [
        "data:,", "dashboard/page.css", "dashboard/page.js",
    ]  # fmt: skip
    assert not re.search(r"https?://|//[a-z]", "".join(pages).replace("// ", ""))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|"
        r"localStorage|sessionStorage|document\.cookie|location",
        script,
    )


async def test_the_numbers_are_for_administrators(start):
    async with start(WITH_ADMIN) as client:
        for headers in ({}, {"Authorization": f"Bearer {KEY}"}):
            reply, text = await fetch(client, "/dashboard/numbers", **headers)
            assert reply.status == 401
            assert "openai" not in text


async def test_the_numbers_are_those_of_the_calls(start):
    async with start(WITH_ADMIN) as client:
        for model in ("openai/gpt-4o-mini", "openai/gpt-4o-mini", "openai/fm:status:400"):
            async with client.chat(model) as reply:
                await reply.read()
        reply, text = await fetch(
            client, "/dashboard/numbers", Authorization=f"Bearer {ADMIN_KEY}"
        )

    shown = json.loads(text)
    rows = {row["name"]: row for row in shown["providers"]}
    models = {(row["provider"], row["name"]): row for row in shown["models"]}
    assert reply.headers["cache-control"] == "no-store"
    assert shown["in_flight"] == 1  # the one that asks
    assert rows["openai"] | {"mean_ms": 0, "p95_ms": 0, "cost_usd": 0} == {
        "name": "openai", "state": "ok", "requests": 3, "failed": 1, "input_tokens": 4,
        "output_tokens": 50, "cost_usd": 0, "mean_ms": 0, "p95_ms": 0,
    }  # fmt: skip
    assert rows["openai"]["cost_usd"] > 0
    assert rows["openai"]["p95_ms"] > 0
    assert rows["groq"]["requests"] == 0
    assert rows["groq"]["p95_ms"] is None
    assert models["openai", "gpt-4o-mini"]["failed"] == 0
    assert KEY not in text


async def test_a_provider_that_is_left_alone_is_shown_so(start):
    async with start(WITH_ADMIN) as client:
        for _ in range(6):
            async with client.chat("openai/fm:status:503") as reply:
                await reply.read()
        _, text = await fetch(client, "/dashboard/numbers", Authorization=f"Bearer {ADMIN_KEY}")

    rows = {row["name"]: row for row in json.loads(text)["providers"]}
    assert rows["openai"]["state"] == "left alone: fm:status:503"


async def test_what_clients_name_is_data_and_no_markup(start):
    async with start(WITH_ADMIN) as client:
        body = {"model": f"openai/{EVIL}", "messages": MESSAGES}
        async with client.post("/v1/chat/completions", body) as reply:
            assert reply.status == 200
        reply, text = await fetch(
            client, "/dashboard/numbers", Authorization=f"Bearer {ADMIN_KEY}"
        )
        _, page = await fetch(client, "/", **HTML)

    assert reply.content_type == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert EVIL in [row["name"] for row in json.loads(text)["models"]]
    assert EVIL not in page


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_the_script_asks_for_a_key_and_shows_text():
    numbers = {
        "version": "1", "in_flight": 1, "draining": False,
        "providers": [sums(name="openai", state="ok")],
        "models": [sums(name=EVIL, provider="openai")],
    }  # fmt: skip
    script = Path(dashboard.__file__).with_name("dashboard_files") / "page.js"
    node = await asyncio.create_subprocess_exec(
        *("node", str(Path(__file__).with_name("dashboard_page.js")), str(script)),
        json.dumps(numbers),
        stdout=asyncio.subprocess.PIPE,
    )
    written, _ = await asyncio.wait_for(node.communicate(), 60)

    did = json.loads(written)
    assert did["closed"] == ["Closed: it needs an administrator's key.", False, True]
    assert did["open"] == [True, False, ""]
    assert did["asked"] == [
        ["dashboard/numbers", {}],
        ["dashboard/numbers", {"Authorization": "Bearer adm-typed"}],
    ]
    assert did["providers"][1][:4] == ["openai", "ok", "3", "1"]
    assert did["models"][1][:2] == ["openai", EVIL]


def sums(**named: str) -> dict[str, object]:
    return {
        "requests": 3, "failed": 1, "input_tokens": 4, "output_tokens": 5, "cost_usd": 0.25,
        "mean_ms": 10, "p95_ms": None, **named,
    }  # fmt: skip
