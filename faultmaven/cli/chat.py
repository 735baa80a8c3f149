"""`faultmaven chat`: one answer, or a conversation."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from faultmaven.cli.output import say, say_error, write, write_answer_json, write_json
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.cli.talk import Talk

_STDIN = "-"


@click.command()
@click.argument("prompt", nargs=-1)
@click.option(
    "-p", "--provider", shell_complete=provider_names, help="A provider of the registry."
)
@click.option("-m", "--model", help="One of its models.")
@click.option("-s", "--system", help="System prompt.")
@click.option("--max-tokens", default=1000, show_default=True, type=click.IntRange(min=1))
@click.option("--temperature", default=0.7, show_default=True, type=click.FloatRange(0, 2))
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, 3600, min_open=True),
    help="Seconds for the whole answer.",
)  # fmt: skip
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer and its figures as JSON.")
def chat(prompt: tuple[str, ...], as_json: bool, no_stream: bool, **options: Any) -> int:
    """Answer PROMPT, or hold a conversation on a terminal.

    A `-` in PROMPT stands for the standard input, which is also read where there is no PROMPT and no
    terminal.  The provider is CHAT_PROVIDER and, where it fails, FALLBACK_PROVIDERS, unless
    --provider names one; without any setting it is a small model on this machine.

    The answer goes to the standard output; tokens, time and cost to standard error.
    """
    text = _text_of(prompt)
    registry = start_registry()
    from faultmaven.cli.talk import Talk

    talk = Talk(registry, **options)
    if not text:
        if as_json:
            msg = "--json needs a PROMPT"
            raise click.UsageError(msg)
        from faultmaven.cli.conversation import converse

        return converse(talk)
    from faultmaven.infrastructure.llm.types import LLMMessage

    talk.messages.append(LLMMessage(role="user", content=text))
    if as_json:
        return asyncio.run(_answer_as_json(talk))
    return asyncio.run(_answer(talk, whole=no_stream))


def _text_of(prompt: tuple[str, ...]) -> str:
    """Give the question, "" for a conversation."""
    words = list(prompt)
    if not words:
        if sys.stdin.isatty():
            return ""
        words = [_STDIN]
    elif _STDIN not in words and _is_given_something():
        say("The standard input was not read: put `-` where it belongs in the prompt.")
    if _STDIN in words:
        given = sys.stdin.read().strip()
        words = [given if word == _STDIN else word for word in words]
    # Bytes of an argument that are no UTF-8 come as lone surrogates, which no provider takes.
    text = " ".join(words).encode(errors="surrogateescape").decode(errors="replace").strip()
    if not text:
        msg = "nothing to answer: give a prompt as an argument or on the standard input"
        raise click.UsageError(msg)
    return text


def _is_given_something() -> bool:
    """Tell whether the standard input is a file or a pipe that has bytes to read."""
    import os
    import stat

    try:
        descriptor = sys.stdin.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return status.st_size > 0
        return stat.S_ISFIFO(status.st_mode) and _waiting_bytes(descriptor) > 0
    except (AttributeError, OSError, ValueError):
        return False  # it is closed, or there is none


def _waiting_bytes(descriptor: int) -> int:
    import array
    import fcntl
    import termios

    found = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]


async def _answer(talk: Talk, *, whole: bool) -> int:
    from faultmaven.cli.talk import Turn, figures

    async with talk.registry:
        turn = Turn(talk)
        if whole:
            response = await turn.answer()
            write(response.content)
        else:
            response = await turn.stream()
        say(figures(response, turn.first_text_s))
        return EXIT_OK


async def _answer_as_json(talk: Talk) -> int:
    from faultmaven.cli.talk import Turn
    from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError

    async with talk.registry:
        try:
            response = await Turn(talk).answer()
        except LLMError as error:
            write_json({"success": False, "error": _described(error)})
            say_error(error.message)
            return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED
        answer = response.to_dict()
        del answer["raw_response"]
        write_answer_json(answer)
        return EXIT_OK


def _described(error: Any) -> dict[str, Any]:
    names = ("message", "provider", "model", "status", "code", "retryable", "retry_after_s")
    return {"type": type(error).__name__} | {name: getattr(error, name) for name in names}
