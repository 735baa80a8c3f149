"""The shortest calls: blocking or not, with and without a loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

import faultmaven
from faultmaven.testing import FakeUpstream


@pytest.fixture
def upstream(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with FakeUpstream.in_thread() as server:
        monkeypatch.setenv("CHAT_PROVIDER", "openai")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "m1")
        faultmaven.reset_registry()
        yield server
        faultmaven.close()
        faultmaven.reset_registry()


def test_complete_answers(upstream):
    response = faultmaven.complete("Hello")

    assert response.provider == "openai"
    assert response.content


def test_complete_works_inside_a_running_loop(upstream):
    async def main():
        return faultmaven.complete("Hello").content

    assert asyncio.run(main()) == faultmaven.complete("Hello").content


def test_stream_gives_the_same_text(upstream):
    pieces = [chunk.text for chunk in faultmaven.stream("Hello")]

    assert len(pieces) > 2
    assert "".join(pieces) == faultmaven.complete("Hello").content


def test_leaving_a_stream_cancels_the_upstream_call(upstream):
    chunks = faultmaven.stream("Hello", model="fm:long:1000:20")
    next(chunks)

    chunks.close()

    upstream.when(lambda: any(r.client_gone_s is not None for r in upstream.requests)).result(60)


def test_coroutines_give_the_same(upstream):
    async def main():
        whole = await faultmaven.acomplete("Hello", provider="openai")
        pieces = [chunk.text async for chunk in faultmaven.astream("Hello", role="synthesis")]
        await faultmaven.get_registry().close()
        return whole.content, "".join(pieces)

    whole, pieces = asyncio.run(main())

    assert whole == pieces


def test_close_before_any_call_does_nothing():
    code = "import faultmaven; faultmaven.close()"

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_a_script_that_never_closes_ends_without_a_word(upstream, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import asyncio, faultmaven

        print(faultmaven.complete("Hello").provider)
        print(asyncio.run(faultmaven.acomplete("Hello")).provider)
        """)
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.split() == ["openai", "openai"]
    assert "Unclosed" not in done.stderr
    assert "Warning" not in done.stderr
