"""Taking a changed configuration while requests are being answered."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pty
import re
import signal
import sys

import aiohttp
import pytest

from faultmaven.config.settings import load_settings
from faultmaven.gateway.options import GatewayOptions
from faultmaven.gateway.run import check_set_up
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from tests.gateway.conftest import KEY, MESSAGES, environment, events_of
from tests.gateway.processes import SERVE, surroundings

DEADLINE_S = 60


def rows(upstream, *names, **fields):
    told = "".join(f", {name}: {value}" for name, value in fields.items())
    text = "providers:\n"
    for name in names:
        text += f"  {name}: {{default_base_url: '{upstream.base_url}', api_key_var: null, "
        text += f"allow_http: true, default_model: fake{told}}}\n"
    return text


async def names_of(client) -> set[str]:
    async with client.get("/v1/models") as reply:
        return {model["id"] for model in (await reply.json())["data"]}


async def until(is_met) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await is_met():
            pass


def write(folder, text):
    (folder / "faultmaven.yaml").write_text(text)


async def test_a_new_row_is_served_and_a_stream_goes_on(start, upstream, tmp_path):
    async with start() as client:
        assert "acme/fake" not in await names_of(client)
        async with client.chat("openai/fm:hold", stream=True) as stream:
            await stream.content.readline()
            write(tmp_path, rows(upstream, "acme"))
            assert await client.gateway.reloads.look() is True
            assert "acme/fake" in await names_of(client)
            async with client.chat("acme/fake") as reply:
                assert reply.headers["x-faultmaven-provider"] == "acme"
            upstream.release()
            text = await stream.text()

    assert events_of(text)[-1] == "[DONE]"


async def test_nothing_is_read_where_nothing_changed(client):
    registry = client.gateway.registry
    settings = registry.settings

    assert await client.gateway.reloads.look() is False
    assert registry.settings is settings
    assert client.gateway.meter.reloads == {"taken": 0, "refused": 0}


async def test_what_was_replaced_is_closed_when_its_last_call_has_ended(start, upstream, tmp_path):
    async with start(rows(upstream, "acme")) as client:
        former = client.gateway.get_provider("acme")
        async with client.chat("acme/fm:hold", stream=True) as stream:
            await stream.content.readline()
            async with client.chat("acme/fake") as reply:
                await reply.read()
            assert upstream.connections_open == 2
            write(tmp_path, rows(upstream, "acme", timeout=7))
            await client.gateway.reloads.look()
            assert client.gateway.get_provider("acme") is not former
            assert upstream.connections_open == 2
            upstream.release()
            await stream.read()
        await upstream.wait_until_closed()
        async with client.chat("acme/fake") as reply:
            assert reply.status == 200
        assert upstream.connections_open == 1


async def test_what_was_replaced_is_closed_at_once_where_nobody_uses_it(start, upstream, tmp_path):
    async with start(rows(upstream, "acme")) as client:
        async with client.chat("acme/fake") as reply:
            await reply.read()
        await client.gateway.reloads.reload()
        await upstream.wait_until_closed()
        assert (await client.gateway.reloads.reload()) == ""


async def test_a_broken_file_under_load_fails_no_request(start, upstream, tmp_path, caplog):
    async with start(rows(upstream, "acme")) as client:
        statuses = []
        ending = asyncio.Event()

        async def load() -> None:
            while not ending.is_set():
                async with client.chat("acme/fake") as reply:
                    await reply.read()
                    statuses.append(reply.status)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        with caplog.at_level(logging.WARNING, "faultmaven.gateway"):
            for text in (
                "providers: [\n", "rutes: 1\n", "settings: {fallback_providers: [nobody]}\n",
                "keys: [{name: a, key: changeme}]\n",
                rows(upstream, "acme", timeout=0), rows(upstream, "acme", timeout=8),
            ):  # fmt: skip
                seen = len(statuses)
                write(tmp_path, text)
                assert await client.gateway.reloads.look() is True
                while len(statuses) < seen + 4:  # noqa: ASYNC110 - the loads tell nobody
                    await asyncio.sleep(0)
        ending.set()
        await asyncio.gather(*loads)
        async with client.session.get(client.url + "/health/ready") as ready:
            assert ready.status == 200
        async with client.session.get(client.url + "/metrics") as page:
            metrics = await page.text()

    assert set(statuses) == {200}
    assert "faultmaven.yaml:1: rutes" in caplog.text
    assert "the last good one stays" in caplog.text
    assert 'faultmaven_config_reloads_total{outcome="refused"} 5.0' in metrics
    assert 'faultmaven_config_reloads_total{outcome="taken"} 1.0' in metrics


async def test_a_rotated_key_counts_at_once(start, upstream, tmp_path):
    old, new = ("gk-" + letter * 32 for letter in "ab")
    file = "keys: [{{name: a, key: {}}}]\n"
    async with start(file.format(old), FAULTMAVEN_GATEWAY_KEYS="") as client:
        allowed = {"Authorization": f"Bearer {old}"}
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with client.post("/v1/chat/completions", body, **allowed) as stream:
            await stream.content.readline()
            write(tmp_path, file.format(new))
            await client.gateway.reloads.look()
            async with client.get("/v1/models", **allowed) as reply:
                assert reply.status == 401
            async with client.get("/v1/models", Authorization=f"Bearer {new}") as reply:
                assert reply.status == 200
            upstream.release()
            text = await stream.text()

    assert events_of(text)[-1] == "[DONE]"


async def test_options_are_taken_and_those_that_cannot_be_are_named(start, tmp_path, caplog):
    async with start() as client:
        with caplog.at_level(logging.WARNING, "faultmaven.gateway"):
            write(
                tmp_path,
                "gateway: {request_timeout_s: 3, max_body_bytes: 2048, workers: 4, port: 1}\n",
            )
            await client.gateway.reloads.look()
        options = client.gateway.options
        async with client.chat(content="x" * 4000) as reply:
            assert reply.status == 413

    assert (options.request_timeout_s, options.workers, options.port) == (3, 1, 0)
    assert "gateway.workers: 4 needs a restart; 1 stays until then" in caplog.text
    assert "gateway.port" not in caplog.text  # the command line says it


async def test_keys_that_go_are_told_of(start, tmp_path, caplog):
    file = "keys: [{name: a, key: gk-0123456789abcdef0123456789abcdef}]\n"
    async with start(file, FAULTMAVEN_GATEWAY_KEYS="") as client:
        write(tmp_path, "{}\n")
        await client.gateway.reloads.look()

    assert "no gateway key is left" in caplog.text


async def test_the_command_reloads_and_says_what_is_wrong(start, upstream, tmp_path):
    async with start() as client:
        write(tmp_path, rows(upstream, "acme"))
        async with client.post("/command", {"command": "reload"}) as reply:
            assert await reply.json() == {"reloaded": True}
        assert "acme/fake" in await names_of(client)
        write(tmp_path, "rutes: 1\n")
        async with client.post("/command", {"command": "reload"}) as reply:
            assert reply.status >= 500
            said = json.dumps(await reply.json())
        assert "acme/fake" in await names_of(client)

    assert "rutes" in said


async def test_the_services_own_file_is_taken_and_a_broken_one_is_not(start, upstream, tmp_path):
    path = tmp_path / "mine.yaml"
    text = f"name: mine\napi_base: {upstream.base_url}\napi_key: sk-1\ndefault_model: "
    path.write_text(text + "m1\n")
    async with start(CONFIG_PATH=str(path)) as client:
        seen = []
        for default in ("m2\n", "[\n", "m3\n"):
            path.write_text(text + default)
            assert await client.gateway.reloads.look() is True
            async with client.get("/models") as reply:
                seen.append((await reply.json())["default"])

    assert seen == ["m2", "m2", "m3"]


async def test_sighup_reloads_and_a_stream_goes_on(launch, upstream, tmp_path):
    write(tmp_path, "{}\n")
    gateway = await launch()
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(gateway.url, headers=headers) as session:
        body = {"model": "openai/fm:hold", "messages": MESSAGES, "stream": True}
        async with session.post("/v1/chat/completions", json=body) as stream:
            await stream.content.readline()
            write(tmp_path, rows(upstream, "acme"))
            gateway.process.send_signal(signal.SIGHUP)
            await until(lambda: has_acme(session))
            upstream.release()
            text = await stream.text()

    assert events_of(text)[-1] == "[DONE]"
    assert await gateway.end() == 0


@pytest.mark.parametrize("way", ["signal", "command"])
async def test_every_worker_takes_a_change_and_a_later_one_begins_with_it(
    launch, upstream, tmp_path, way
):
    write(tmp_path, "{}\n")
    gateway = await launch("--workers", "2")
    write(tmp_path, rows(upstream, "acme"))
    if way == "signal":
        gateway.process.send_signal(signal.SIGHUP)
    else:
        async with aiohttp.ClientSession(gateway.url, headers=BEARER) as session:
            reply = await session.post("/command", json={"command": "reload"})
            assert reply.status == 200
    async with asyncio.timeout(DEADLINE_S):
        while await reloads_of(gateway.url) < 2:
            pass
    before = gateway.workers()
    os.kill(before[0], signal.SIGKILL)
    await gateway.wait_for_another_worker(before)
    # Of the two reloads both may have been one worker's, by the command and by the signal that follows it.
    in_a_row = 0
    async with asyncio.timeout(DEADLINE_S):
        while in_a_row < 8:
            async with aiohttp.ClientSession(gateway.url, headers=BEARER) as session:
                in_a_row = in_a_row + 1 if await has_acme(session) else 0
    assert await gateway.end() == 0


async def test_a_file_that_changes_is_noticed_without_a_signal(launch, upstream, tmp_path):
    write(tmp_path, "{}\n")
    gateway = await launch()
    write(tmp_path, rows(upstream, "acme"))
    async with aiohttp.ClientSession(gateway.url, headers=BEARER) as session:
        async with asyncio.timeout(DEADLINE_S):
            while not await has_acme(session):
                pass

    assert await gateway.end() == 0


async def test_a_terminal_that_closes_ends_the_gateway(upstream, tmp_path):
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*SERVE, "--port", "0"),
        env=surroundings(tmp_path) | environment(upstream),
        cwd=tmp_path,
        stdin=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    said = ""
    while "ready" not in said:
        said += (await asyncio.to_thread(os.read, master, 4096)).decode()
    os.close(master)
    process.send_signal(signal.SIGHUP)

    assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0


BEARER = {"Authorization": f"Bearer {KEY}"}


async def has_acme(session: aiohttp.ClientSession) -> bool:
    async with session.get("/v1/models") as reply:
        return "acme/fake" in {model["id"] for model in (await reply.json())["data"]}


async def reloads_of(url: str) -> int:
    async with aiohttp.ClientSession(url) as session, session.get("/metrics") as reply:
        found = re.search(r'config_reloads_total\{outcome="taken"\} (\d+)', await reply.text())
        return int(found[1]) if found else 0


async def test_a_service_file_that_cannot_be_used_changes_nothing(start, upstream, tmp_path):
    own = tmp_path / "own.yaml"
    good = f"api_base: {upstream.base_url}\napi_key: sk-of-the-file\ndefault_model: "
    own.write_text(f"{good}m1\n")
    async with start(PROVIDER_TYPE="groq", CONFIG_PATH=str(own)) as client:
        told = []
        for text in (f"{good}m2\n", f"{good}m3\nbad_field: 1\n", f"{good}m4\n"):
            own.write_text(text)
            async with client.post("/command", {"command": "reload"}) as reply:
                told.append((reply.status, await reply.text()))
            async with client.get("/models") as reply:
                told.append((await reply.json())["default"])
        reloads = client.gateway.meter.reloads

    (taken, _), first, (refused, why), second, (again, _), third = told
    assert (taken, first, refused, second, again, third) == (200, "m2", 503, "m2", 200, "m4")
    assert "own.yaml:4: bad_field" in why
    assert reloads == {"taken": 2, "refused": 1}


PROVIDERS = "from faultmaven.infrastructure.llm.providers import BaseLLMProvider, OpenAIProvider\n"
FITTING = f"{PROVIDERS}class Acme(OpenAIProvider): pass\n"
UNFIT = {
    "no Python": ("def (\n", "is not Python"),
    "failing": ("raise RuntimeError('no')\n", "cannot be imported"),
    "without the class": ("class Other: pass\n", "has no Acme"),
    "no provider": ("class Acme: pass\n", "is not a subclass"),
    "half a provider": (
        f"{PROVIDERS}class Acme(BaseLLMProvider): pass\n",
        "Acme lacks generate",
    ),
    "made otherwise": (
        f"{PROVIDERS}class Acme(OpenAIProvider):\n    def __init__(self): pass\n",
        "Acme must take one argument",
    ),
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Give what writes a module beside faultmaven.yaml, as if for the first time, and its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"reloaded_{os.urandom(4).hex()}"

    def write_module(text):
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        return name

    yield write_module
    sys.modules.pop(name, None)


@pytest.mark.parametrize(("text", "said"), UNFIT.values(), ids=UNFIT)
async def test_a_row_whose_class_cannot_be_used_changes_nothing(
    start, upstream, tmp_path, module, caplog, text, said
):
    async with start() as client:
        row = rows(upstream, "acme", provider_class=f"'{module(text)}:Acme'")
        write(tmp_path, row)
        await client.gateway.reloads.look()
        assert "acme/fake" not in await names_of(client)
        module(FITTING)
        write(tmp_path, row + "# mended\n")
        await client.gateway.reloads.look()
        assert "acme/fake" in await names_of(client)
        reloads = client.gateway.meter.reloads

    assert "faultmaven.yaml:2: acme: provider_class: " in caplog.text
    assert said in caplog.text
    assert reloads == {"taken": 1, "refused": 1}


async def test_a_row_that_is_switched_off_needs_no_class(start, upstream, tmp_path):
    async with start() as client:
        fields = {"provider_class": "'nowhere_at_all:Acme'", "status": "disabled"}
        write(tmp_path, rows(upstream, "acme", **fields))
        assert await client.gateway.reloads.reload() == ""


@pytest.mark.parametrize(("text", "said"), UNFIT.values(), ids=UNFIT)
async def test_a_service_whose_class_cannot_be_used_changes_nothing(
    start, upstream, tmp_path, module, text, said
):
    own = tmp_path / "own.yaml"
    good = f"api_base: {upstream.base_url}\napi_key: sk-of-the-file\ndefault_model: "
    own.write_text(f"{good}m1\n")
    async with start(PROVIDER_TYPE="groq", CONFIG_PATH=str(own)) as client:
        own.write_text(f"{good}m2\nprovider_class: '{module(text)}:Acme'\n")
        async with client.post("/command", {"command": "reload"}) as reply:
            status, why = reply.status, await reply.text()
        async with client.get("/models") as reply:
            default = (await reply.json())["default"]
        reloads = client.gateway.meter.reloads

    assert (status, default) == (503, "m1")
    assert said in why
    assert reloads == {"taken": 0, "refused": 1}


async def test_a_service_whose_provider_is_nobody_changes_nothing(start, upstream, tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("PROVIDER_TYPE=groq\n")
    env_file.chmod(0o600)
    async with start() as client:
        env_file.write_text("PROVIDER_TYPE=gorq\n")
        said = await client.gateway.reloads.reload()
        async with client.session.get(client.url + "/health") as reply:
            provider = (await reply.json())["provider"]

    assert "PROVIDER_TYPE" in said
    assert "groq" in said
    assert provider == "groq"


def test_the_check_before_a_start_finds_a_class_that_cannot_be_used(upstream, tmp_path, module):
    write(tmp_path, rows(upstream, "acme", provider_class=f"'{module('def (')}:Acme'"))
    settings = load_settings(
        **environment(upstream), FAULTMAVEN_CONFIG=str(tmp_path / "faultmaven.yaml")
    )

    problems = check_set_up(ProviderRegistry(settings), GatewayOptions.of(settings))

    assert len(problems) == 1
    assert "faultmaven.yaml:2: acme: provider_class: " in problems[0]
    assert "is not Python" in problems[0]
