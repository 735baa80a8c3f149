"""What the gateway prints when it starts is pasted as it stands: into a shell, and into Python."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.clients.installed import need_program
from tests.clients.served import KEY, UPSTREAM_KEY, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60
SNIPPETS = ["curl", "Python, after: pip install openai", "Python, after: pip install anthropic"]


def parts_of(banner: str) -> dict[str, str]:
    """Give the parts by their headings, as a person would select them: heading and all."""
    parts = re.split(r"^(?=# )", banner, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("# "): part for part in parts}


def paste(part: str, **variables: str) -> str:
    """Run a part where it belongs; give what it prints."""
    is_python = part.startswith("# Python")
    program = [sys.executable, "-"] if is_python else [need_program("bash"), "-eu"]
    done = subprocess.run(
        program,
        input=part,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path)), **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, part + done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def served(running_upstream, tmp_path) -> Iterator[Served]:
    variables = {
        "CHAT_PROVIDER": "groq",
        "GROQ_API_KEY": UPSTREAM_KEY,
        "GROQ_API_BASE": running_upstream.base_url,
    }
    with serving(tmp_path, {}, **variables) as made:
        yield made


def test_every_line_can_be_pasted(served, upstream):
    upstream.reply("Good morning.")
    parts = parts_of(served.banner)

    answers = [paste(parts.pop(name), FAULTMAVEN_KEY=KEY) for name in SNIPPETS]
    others = [paste(part, FAULTMAVEN_KEY=KEY) for part in parts.values()]

    assert all("Good morning." in answer for answer in answers)
    assert '"groq/' in others[-1]
    assert len(upstream.requests) == 3
    assert KEY not in served.banner


@pytest.fixture(scope="module")
def embedded(llama_server, tmp_path_factory) -> Iterator[tuple[Served, str]]:
    """A gateway with nothing configured and no keys.

    `llama_server` is asked for because it skips where this processor cannot run the engine.
    """
    folder = tmp_path_factory.mktemp("embedded")
    with serving(folder, {}, "--hello", FAULTMAVEN_GATEWAY_KEYS="") as made:
        yield made, (folder / "gateway.log").read_text()


def test_without_any_setting_a_real_model_says_hello(embedded):
    served, printed = embedded

    assert "hello" in printed.lower()
    assert served.banner.startswith("> Say hello")
    assert "embedded · smollm2" in served.banner


@pytest.mark.parametrize("name", SNIPPETS)
def test_without_any_setting_a_real_model_answers(embedded, name):
    served, _ = embedded

    answer = paste(parts_of(served.banner)[name])

    assert len(answer.strip()) > 5


def test_a_hello_that_fails_is_said_and_the_gateway_serves(upstream, tmp_path):
    upstream.mode("status:401")
    variables = {"GROQ_API_KEY": "sk-wrong", "GROQ_API_BASE": upstream.base_url}

    with serving(tmp_path, {}, "--hello", CHAT_PROVIDER="groq", **variables) as served:
        health = paste(
            parts_of(served.banner)["every model, and whether it is well"], FAULTMAVEN_KEY=KEY
        )

    assert "GROQ_API_KEY" in served.banner
    assert '{"status":"ok"}' in health
