"""`faultmaven chat` with one question."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faultmaven.testing import FakeUpstream, TokenUsage
from tests.cli.conftest import TIMEOUT_S, FaultMaven

Start = Callable[..., subprocess.Popen[bytes]]


def test_chat_answers_the_arguments(faultmaven: FaultMaven) -> None:
    run = faultmaven("chat", "-p", "echo", "Tell", "me a story")

    assert run.returncode == 0
    assert run.stdout == "Echo (no model): Tell me a story\n"
    assert "tokens" in run.stderr
    assert "free" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], "from a pipe"),
        (["-"], "from a pipe"),
        (["Sum up:", "-"], "Sum up: from a pipe"),
    ],
)
def test_chat_reads_the_standard_input(
    faultmaven: FaultMaven, arguments: list[str], asked: str
) -> None:
    run = faultmaven("chat", "-p", "echo", *arguments, stdin="from a pipe\n")

    assert run.stdout == f"Echo (no model): {asked}\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "is_noted"),
    [
        (["Sum this:"], "from a pipe\n", True),
        (["Sum this:"], "", False),
        (["Sum this:", "-"], "from a pipe\n", False),
        (["-"], "from a pipe\n", False),
    ],
    ids=["unread", "empty", "read", "read-alone"],
)
def test_chat_notes_a_pipe_that_it_does_not_read(
    start: Start, arguments: list[str], stdin: str, is_noted: bool
) -> None:
    reading, writing = os.pipe()
    os.write(writing, stdin.encode())
    os.close(writing)

    with os.fdopen(reading, "rb") as pipe:
        process = start("chat", "-p", "echo", *arguments, stdin=pipe)
        out, err = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 0
    assert out.startswith(b"Echo (no model): ")
    assert (b"standard input was not read: put `-`" in err) is is_noted


def test_chat_notes_a_file_that_it_does_not_read(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "given.txt"
    file.write_text("from a file\n")

    with file.open("rb") as given:
        _, err = start("chat", "-p", "echo", "Sum this:", stdin=given).communicate(
            timeout=TIMEOUT_S
        )

    assert b"not read" in err


def test_chat_notes_nothing_of_an_empty_input(start: Start) -> None:
    _, err = start("chat", "-p", "echo", "Hi", stdin=subprocess.DEVNULL).communicate(
        timeout=TIMEOUT_S
    )

    assert b"not read" not in err


def test_chat_without_a_question_is_wrong_usage(faultmaven: FaultMaven) -> None:
    run = faultmaven("chat", "-p", "echo", stdin="  \n")

    assert run.returncode == 2
    assert "nothing to answer" in run.stderr


def test_chat_sends_its_options(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    run = faultmaven(
        "chat", "-m", "other", "-s", "Be brief", "--max-tokens", "7", "--temperature", "0", "Hi",
        env=local,
    )  # fmt: skip

    assert run.returncode == 0
    body = upstream.last_request.json
    assert body["model"] == "other"
    assert body["messages"][0] == {"role": "system", "content": "Be brief"}
    assert body["temperature"] == 0
    assert 7 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["stream"] is True


def test_chat_prints_only_the_answer_into_a_pipe(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("Yes.", reasoning="Should I?", usage=TokenUsage(12, 34))

    run = faultmaven("chat", "Really?", env=local)

    assert run.stdout == "Yes.\n"
    assert "12 + 34 tokens" in run.stderr


def test_chat_prints_each_piece_when_it_comes(
    start: Start, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply(chunks=["one ", "two ", "three ", "four ", "five ", "six"])
    process = start("chat", "-m", "fm:hold", "Count", env=local)
    assert process.stdout is not None

    first = os.read(process.stdout.fileno(), 100)
    upstream.release()
    rest, _ = process.communicate(timeout=TIMEOUT_S)

    assert first.startswith(b"one ")
    assert b"six" not in first
    assert (first + rest).decode() == "one two three four five six\n"


def test_chat_ends_with_130_when_interrupted(
    start: Start, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply(chunks=["one ", "two ", "three ", "four ", "five ", "six"])
    process = start("chat", "-m", "fm:hold", "Count", env=local)
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 100)

    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 130
    assert (first + rest).endswith(b"\n")
    assert b"Traceback" not in errors
    assert errors.decode().strip().endswith("faultmaven: interrupted")
    upstream.when(lambda: bool(upstream.abandoned())).result(timeout=TIMEOUT_S)


def test_chat_survives_a_reader_that_leaves(
    start: Start, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply(chunks=["one ", "two ", "three ", "four ", "five ", "six"])
    process = start("chat", "-m", "fm:hold", "Count", env=local)
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 100)

    process.stdout.close()
    upstream.release()
    assert process.stderr is not None
    errors = process.stderr.read()

    assert process.wait(timeout=TIMEOUT_S) in (0, 1)
    assert b"Traceback" not in errors


def test_chat_shows_what_could_steer_a_terminal(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("red \x1b[31m bell \x07 back \r \u202e ok")

    streamed = faultmaven("chat", "Hi", env=local)
    whole = faultmaven("chat", "--no-stream", "Hi", env=local)

    assert streamed.stdout == "red \\x1b[31m bell \\x07 back \\r \\u202e ok\n"
    assert whole.stdout == streamed.stdout


def test_chat_gives_json(faultmaven: FaultMaven) -> None:
    run = faultmaven("chat", "-p", "echo", "--json", "Hi")

    answer = json.loads(run.stdout)
    assert answer["content"] == "Echo (no model): Hi"
    assert answer["route"]["rule"] == "explicit"
    assert answer["cost_usd"] == 0.0


def test_chat_gives_errors_as_json(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.mode("status:401")

    run = faultmaven("chat", "--json", "Hi", env=local)

    assert run.returncode == 1
    error = json.loads(run.stdout)["error"]
    assert error["type"] == "AuthenticationError"
    assert error["status"] == 401


def test_chat_says_who_answered_instead(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.mode("status:503")

    run = faultmaven("chat", "Hi", env=local | {"FALLBACK_PROVIDERS": "echo"})

    assert run.returncode == 0
    assert run.stdout == "Echo (no model): Hi\n"
    assert "503" in run.stderr
    assert "echo answers instead." in run.stderr


def test_chat_asks_nobody_else_than_the_named_provider(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.mode("status:503")

    run = faultmaven("chat", "-p", "local", "Hi", env=local | {"FALLBACK_PROVIDERS": "echo"})

    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("faultmaven: local: ")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["-p", "ehco"], {}, "Did you mean echo?"),
        (["-p", "openai"], {}, "OPENAI_API_KEY"),
        ([], {"CHAT_PROVIDER": "ehco"}, "CHAT_PROVIDER"),
        ([], {"LLM_MAX_RETRIES": "many"}, "LLM_MAX_RETRIES"),
        (["--max-tokens", "0"], {}, "--max-tokens"),
    ],
)
def test_chat_ends_with_2_for_a_wrong_configuration(
    faultmaven: FaultMaven, arguments: list[str], env: dict[str, str], said: str
) -> None:
    run = faultmaven("chat", *arguments, "Hi", env=env)

    assert run.returncode == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr


CANARY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]], ids=["stream", "plain", "json"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status:401", ["HTTP 401", "Check the key in ACME_API_KEY"]),
        ("auth-echo", ["[redacted]", "Check the key in ACME_API_KEY"]),
        ("status:404", ["HTTP 404", "Set ACME_MODEL to a model that it has"]),
        ("200-html", ["HTML", "(set by ACME_API_BASE)"]),
        ("truncated-json", ["not valid JSON", "(set by ACME_API_BASE)"]),
        ("close-before-headers", ["closed the connection", "(set by ACME_API_BASE)"]),
        ("null-content", ["ACME_MODEL", "ACME_API_BASE"]),
    ],
)
def test_chat_says_what_failed_and_what_to_do(
    faultmaven: FaultMaven, upstream: FakeUpstream, how: list[str], fault: str, said: list[str]
) -> None:
    env = {
        "FAULTMAVEN_PROVIDERS": "acme", "CHAT_PROVIDER": "acme", "ACME_API_KEY": CANARY,
        "ACME_API_BASE": upstream.base_url, "ACME_MODEL": f"fm:{fault}", "LLM_MAX_RETRIES": "0",
    }  # fmt: skip
    run = faultmaven("chat", *how, "Hello", env=env)

    assert run.returncode == 1
    assert run.stderr.startswith("faultmaven: acme: ")
    assert all(part in run.stderr for part in said), run.stderr
    assert "Traceback" not in run.stderr
    assert CANARY not in run.stderr + run.stdout


def test_chat_takes_arguments_that_are_no_utf8(start: Start) -> None:
    command: list[str | bytes] = [
        sys.executable,
        "-m",
        "faultmaven",
        "chat",
        "-p",
        "echo",
        b"\xff!",
    ]

    out, _ = start(command=command).communicate(timeout=TIMEOUT_S)

    assert out.decode() == "Echo (no model): \ufffd!\n"


def test_chat_logs_without_secrets_when_verbose(
    faultmaven: FaultMaven, upstream: FakeUpstream
) -> None:
    key = "sk-canary-0123456789abcdef"
    env = {"OPENAI_API_KEY": key, "OPENAI_API_BASE": upstream.base_url, "LLM_MAX_RETRIES": "0"}
    upstream.mode("key-in-stream")

    run = faultmaven("-v", "chat", "-p", "openai", "Hi", env=env)

    assert upstream.last_request.api_key == key
    assert key not in run.stderr


def test_chat_is_reached_by_its_own_process(faultmaven: FaultMaven, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHAT_PROVIDER=echo\n")

    assert faultmaven("chat", "Hi").stdout == "Echo (no model): Hi\n"
