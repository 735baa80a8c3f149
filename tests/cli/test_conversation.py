"""`faultmaven chat` on a terminal: a pseudo-terminal, and a person's keys."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faultmaven.testing import FakeUpstream
from tests.cli.conftest import TIMEOUT_S

Start = Callable[..., subprocess.Popen[bytes]]

# Makes the pseudo-terminal the controlling one, so that a typed Ctrl-C becomes a signal.
_LOGIN = (
    "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
CTRL_C = "\x03"
CTRL_D = "\x04"
UP = "\x1b[A"


class Person:
    """Types on a terminal and reads what appears on it."""

    def __init__(self, start: Start, *arguments: str, env: dict[str, str]) -> None:
        self._keys, terminal = pty.openpty()
        command = [sys.executable, "-c", _LOGIN, "-m", "faultmaven", *arguments]
        ends = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        self.process = start(command=command, env={"TERM": "dumb", **env}, **ends)
        os.close(terminal)
        self.seen = ""

    def reads(self, text: str) -> str:
        """Wait until a text has appeared; give all that was new up to its end."""
        limit = time.monotonic() + TIMEOUT_S
        while text not in self.seen:
            ready, _, _ = select.select([self._keys], [], [], max(0.0, limit - time.monotonic()))
            assert ready, f"{text!r} did not appear after {self.seen!r}"
            self.seen += os.read(self._keys, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def insists(self, key: str, said: str) -> None:
        """Press a key until a text appears: line editing misses a signal just before it waits."""
        for _ in range(TIMEOUT_S):
            self.types(key)
            if select.select([self._keys], [], [], 1.0)[0]:
                break
        self.reads(said)

    def types(self, text: str) -> None:
        os.write(self._keys, text.encode())

    def leaves(self) -> int:
        """Press Ctrl-D until the program has ended; outside line editing the key is lost."""
        for _ in range(TIMEOUT_S):
            self.types(CTRL_D)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=1)
        pytest.fail(f"it did not end; {self.seen!r}")

    def close(self) -> None:
        self.process.kill()
        os.close(self._keys)


@pytest.fixture
def sit_down(start: Start) -> Iterator[Callable[..., Person]]:
    people: list[Person] = []

    def begin(*arguments: str, env: dict[str, str]) -> Person:
        people.append(Person(start, *arguments, env=env))
        return people[-1]

    yield begin
    for person in people:
        person.close()


Sit = Callable[..., Person]


def test_conversation_keeps_what_was_said(
    sit_down: Sit, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("Nice to meet you.")
    person = sit_down("chat", env=local)
    person.reads("you> ")

    person.types("I am Ada.\n")
    person.reads("Nice to meet you.")
    person.reads("tokens")
    person.reads("you> ")
    person.types("Who am I?\n")
    person.reads("Nice to meet you.")
    person.reads("you> ")

    assert person.leaves() == 0
    assert [m["role"] for m in upstream.last_request.json["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_conversation_ctrl_c_stops_the_answer_only(
    sit_down: Sit, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply(chunks=["one ", "two ", "three ", "four ", "five ", "six"])
    person = sit_down("chat", "-m", "fm:hold", env=local)
    person.reads("you> ")

    person.types("Count\n")
    person.reads("one ")
    person.types(CTRL_C)
    person.reads("stopped")
    person.reads("you> ")
    upstream.when(lambda: bool(upstream.abandoned())).result(timeout=TIMEOUT_S)
    person.types("/model fake-model\n")
    person.reads("you> ")
    person.types("Again\n")
    person.reads("six")
    person.reads("you> ")

    assert person.leaves() == 0
    messages = upstream.last_request.json["messages"]
    assert [message["content"] for message in messages] == ["Again"]


def test_conversation_ctrl_c_at_the_prompt_tells_how_to_leave(sit_down: Sit) -> None:
    person = sit_down("chat", "-p", "echo", env={})
    person.reads("you> ")

    person.insists(CTRL_C, "/quit leaves")
    person.reads("you> ")

    assert person.leaves() == 0


def test_conversation_goes_on_after_an_error(
    sit_down: Sit, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("Now it works.")
    person = sit_down("chat", "-m", "fm:status:400", env=local)
    person.reads("you> ")

    person.types("Hi\n")
    person.reads("faultmaven: local: ")
    person.reads("you> ")
    person.types("/model fake-model\n")
    person.reads("you> ")
    person.types("Hi\n")
    person.reads("Now it works.")
    person.reads("you> ")

    assert person.leaves() == 0


def test_conversation_joins_lines_that_end_in_a_backslash(sit_down: Sit) -> None:
    person = sit_down("chat", "-p", "echo", env={})
    person.reads("you> ")

    person.types("first\\\n")
    person.reads("...> ")
    person.types("second\n")
    answer = person.reads("tokens")

    person.reads("you> ")

    assert "first\r\nsecond" in answer
    assert person.leaves() == 0


def test_conversation_carries_out_commands(
    sit_down: Sit, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("Fine.")
    person = sit_down("chat", env=local)
    person.reads("you> ")

    for typed, said in (
        ("/help", "Ctrl-C stops an answer"),
        ("/hlep", "Did you mean help?"),
        ("/system Be brief", "system prompt set"),
        ("/model other", "local · other"),
        ("/provider nobody-has-this", "faultmaven: "),
        ("/reset", "forgotten"),
        ("Hi", "Fine."),
    ):
        person.types(f"{typed}\n")
        person.reads(said)
        person.reads("you> ")
    person.types("/quit\n")

    assert person.process.wait(timeout=TIMEOUT_S) == 0
    body = upstream.last_request.json
    assert body["model"] == "other"
    assert body["messages"][0] == {"role": "system", "content": "Be brief"}


def test_conversation_keeps_its_history_private(sit_down: Sit, tmp_path: Path) -> None:
    pytest.importorskip("readline")
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm"}
    first = sit_down("chat", "-p", "echo", env=env)
    first.reads("you> ")
    first.types("remember this\n")
    first.reads("tokens")
    first.reads("you> ")
    assert first.leaves() == 0

    second = sit_down("chat", "-p", "echo", env=env)
    second.reads("you> ")
    second.types(UP)
    second.reads("remember this")
    second.types("\n")
    second.reads("Echo")
    second.reads("tokens")
    second.reads("you> ")
    assert second.leaves() == 0

    path = tmp_path / "state" / "faultmaven" / "history"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "remember this\n"


def test_conversation_shows_reasoning_apart(
    sit_down: Sit, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    upstream.reply("Yes.", reasoning="Should I?")
    person = sit_down("chat", env=local)
    person.reads("you> ")

    person.types("Really?\n")
    shown = person.reads("Yes.")
    person.reads("you> ")

    assert "\x1b[2m" in shown
    assert "Should" in shown
    assert person.leaves() == 0
