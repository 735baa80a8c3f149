"""The minimal service in front of one provider."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

from faultmaven.gateway.board import Board
from faultmaven.gateway.run import check_set_up, make_gateway
from faultmaven.gateway.service import Service
from tests.gateway.conftest import KEY, MESSAGES, events_of


async def test_chat_answers_from_the_chosen_provider(start, upstream):
    async with (
        start(PROVIDER_TYPE="groq", GROQ_MODEL="m1") as client,
        client.post("/chat", {"messages": MESSAGES}) as reply,
    ):
        answer = await reply.json()

    assert answer["provider"] == "groq"
    assert answer["model"] == "m1"
    assert answer["content"].startswith("Grüße")
    assert answer["usage"]["output_tokens"] == 25


async def test_chat_streams(client):
    async with client.post("/chat", {"messages": MESSAGES, "stream": True}) as reply:
        relayed = [json.loads(e) for e in events_of(await reply.text())[:-1]]

    assert "".join(event.get("content", "") for event in relayed).startswith("Grüße")
    assert relayed[-1]["done"] is True
    assert relayed[-1]["usage"].keys() == {"input_tokens", "output_tokens", "total_tokens"}
    assert relayed[-1]["usage"]["output_tokens"] == 25


async def test_models_mark_the_default(start):
    async with start(OPENAI_MODEL="m2") as client, client.get("/models") as reply:
        answer = await reply.json()

    assert answer["default"] == "m2"
    assert {"id": "m2", "default": True} in answer["models"]


async def test_health_names_provider_and_model_and_notices_an_upstream_that_is_gone(
    start, upstream
):
    for address, status in ((upstream.base_url, "ok"), ("http://127.0.0.1:9/v1", "degraded")):
        async with (
            start(PROVIDER_TYPE="groq", GROQ_MODEL="m1", GROQ_API_BASE=address) as client,
            client.session.get(client.url + "/health") as reply,
        ):
            assert reply.status == (200 if status == "ok" else 503)
            assert await reply.json() == {"status": status, "provider": "groq", "model": "m1"}


async def test_health_is_never_older_than_a_second_and_told_once(start, upstream, caplog):
    now = 100.0
    seen = []
    async with start(PROVIDER_TYPE="groq", GROQ_MODEL="m1", LLM_MAX_RETRIES="0") as client:
        service = Service(client.gateway, now=lambda: now)
        visit = SimpleNamespace(request_id="req_1")
        for behaviour in ("ok", "status:500", "status:500", "ok"):
            upstream.mode(behaviour)
            seen.append((await service.health(visit)).status)  # a moment later: not asked again
            now += 1.1
            seen.append((await service.health(visit)).status)

    told = [r.getMessage() for r in caplog.records if r.name == "faultmaven.gateway.service"]
    assert seen == [200, 200, 200, 503, 503, 503, 503, 200]
    assert len(told) == 2
    assert told[1] == "/health: all is well again"


async def test_commands(client, upstream):
    async with client.post("/command", {"command": "set_model", "model": "other"}) as reply:
        assert (await reply.json())["model"] == "other"
    async with client.post("/chat", {"messages": MESSAGES}) as reply:
        assert reply.status == 200
    assert upstream.last_request.json["model"] == "other"
    async with client.post("/command", {"command": "help"}) as reply:
        assert "reload" in (await reply.json())["commands"]
    async with client.post("/command", {"command": "explode"}) as reply:
        assert reply.status == 400
        assert "status" in (await reply.json())["error"]["message"]


async def test_a_model_that_is_set_holds_for_every_worker(start, upstream):
    async with start(PROVIDER_TYPE="groq", GROQ_MODEL="m1") as client:
        board, told = Board(2), client.gateway
        workers = [
            make_gateway(told.registry, told.options, board=board, worker=number)
            for number in range(2)
        ]
        first, second = (Service(worker) for worker in workers)
        before = second.target(None)

        workers[0].say(b"m2")

        assert (before, first.target(None), second.target(None)) == ("groq", "groq/m2", "groq/m2")


async def test_a_providers_own_file_is_served(start, upstream, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\napi_base: {upstream.base_url}\ndefault_model: m9\nmodels: [m9, m10]\n"
    )
    (tmp_path / "instance.yaml").write_text("api_key: sk-of-the-instance\n")
    path = str(tmp_path / "mine.yaml")

    async with start(PROVIDER_TYPE="groq", CONFIG_PATH=path) as client:
        async with client.get("/models") as reply:
            listed = await reply.json()
        async with client.post("/chat", {"messages": MESSAGES}) as reply:
            assert reply.status == 200, await reply.text()

    assert [row["id"] for row in listed["models"]][:2] == ["m9", "m10"]
    assert upstream.last_request.headers["authorization"] == "Bearer sk-of-the-instance"


async def test_a_class_in_the_working_directory_is_served_without_a_file(
    start, upstream, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "house_alone_provider.py").write_text(
        "from faultmaven.infrastructure.llm.providers import OpenAIProvider\n"
        "class HouseAloneProvider(OpenAIProvider): pass\n"
    )
    variables = {
        "PROVIDER_TYPE": "house_alone",
        "HOUSE_ALONE_API_BASE": upstream.base_url,
        "HOUSE_ALONE_MODEL": "m1",
    }
    async with start(**variables) as client:
        async with client.post("/chat", {"messages": MESSAGES}) as reply:
            answer = await reply.json()
        said = await client.gateway.reloads.reload()
        problems = check_set_up(client.gateway.registry, client.gateway.options)

    assert (reply.status, answer["provider"], answer["model"]) == (200, "house_alone", "m1")
    assert said == ""
    assert problems == []


async def test_the_provider_is_anthropic_unless_another_is_chosen(start, upstream):
    for variables, name in (
        ({"CHAT_PROVIDER": ""}, "anthropic"),
        ({"PROVIDER_TYPE": "groq"}, "groq"),
        ({"PROVIDER_TYPE": "ollama", "OLLAMA_API_BASE": upstream.url}, "ollama"),
    ):
        async with (
            start(**variables) as client,
            client.session.get(client.url + "/health") as reply,
        ):
            assert (await reply.json())["provider"] == name


async def test_two_files_are_two_lists_of_models(start, upstream, tmp_path):
    lists = {}
    for name in ("one", "two"):
        path = tmp_path / name / "provider.yaml"
        path.parent.mkdir()
        path.with_name("instance.yaml").write_text("api_key: sk-of-the-instance\n")
        path.write_text(
            f"name: {name}\napi_base: {upstream.base_url}\ndefault_model: {name}-a\n"
            f"models: [{name}-a, {name}-b]\n"
        )
        async with (
            start(PROVIDER_TYPE="groq", CONFIG_PATH=str(path)) as client,
            client.get("/models") as reply,
        ):
            lists[name] = [row["id"] for row in (await reply.json())["models"]]

    assert lists == {"one": ["one-a", "one-b"], "two": ["two-a", "two-b"]}


async def test_each_chat_is_one_line_in_the_log_and_counted(start, caplog):
    caplog.set_level(logging.INFO, "faultmaven.gateway.access")
    async with start(PROVIDER_TYPE="groq", GROQ_MODEL="m1") as client:
        async with client.post("/chat", {"messages": MESSAGES}) as reply:
            assert reply.status == 200
        async with client.get("/metrics") as page:
            metrics = await page.text()

    (line,) = [r.getMessage() for r in caplog.records if r.name == "faultmaven.gateway.access"]
    told = json.loads(line)
    assert told["request_id"] == reply.headers["x-request-id"]
    assert (told["provider"], told["model"], told["status"]) == ("groq", "m1", 200)
    assert told["duration_ms"] >= 0
    assert told["output_tokens"] == 25
    assert KEY not in line
    assert 'front="service_chat",model="m1",outcome="ok",provider="groq"} 1.0' in metrics
    assert 'faultmaven_request_duration_seconds_bucket{front="service_chat"' in metrics
    assert 'faultmaven_tokens_total{kind="output",model="m1",provider="groq"} 25.0' in metrics
