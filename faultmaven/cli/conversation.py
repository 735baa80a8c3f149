"""A conversation on a terminal: line editing, history, and Ctrl-C that stops an answer only."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING

from faultmaven.cli.exit_codes import EXIT_OK
from faultmaven.cli.history import History
from faultmaven.cli.output import say, say_error, write
from faultmaven.cli.talk import Turn, figures
from faultmaven.config.suggest import did_you_mean
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.types import LLMMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.cli.talk import Talk

_PROMPT = "you> "
_MORE = "...> "
_HELP = """\
/provider NAME  talk to another provider    /model NAME  talk to another model
/system TEXT    set the system prompt       /reset       forget the conversation
/help           show this                   /quit        leave (so does Ctrl-D)
Ctrl-C stops an answer.  A backslash at a line's end goes on in the next line."""
_COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*))?", re.DOTALL)


def converse(talk: Talk) -> int:
    """Read questions until the end of the input; an error ends an answer, not the conversation."""
    history = History(talk.registry.settings)
    history.load()
    with asyncio.Runner() as runner:
        try:
            say(_greeting(talk))
            while (text := _read_text()) is not None:
                if command := _COMMAND.fullmatch(text):
                    if command[1] in ("quit", "exit", "bye"):
                        break
                    _carry_out(talk, command[1], (command[2] or "").strip())
                elif text:
                    _take_turn(runner, talk, text)
        finally:
            history.save()
            runner.run(talk.registry.close())
    return EXIT_OK


def _greeting(talk: Talk) -> str:
    name = talk.chain()[0]
    model = talk.registry.get_provider(name).get_effective_model(talk.model)
    return f"{name} · {model} · /help for commands"


def _read_text() -> str | None:
    """Read one question, of one or more lines; None at the end of the input."""
    lines: list[str] = []
    try:
        while True:
            line = _read_line(_MORE if lines else _PROMPT)
            if not line.endswith("\\"):
                return "\n".join([*lines, line]).strip()
            lines.append(line.removesuffix("\\"))
    except EOFError:
        write()
        return "\n".join(lines).strip() or None
    except KeyboardInterrupt:
        write()
        say("Ctrl-D or /quit leaves.")
        return ""


def _read_line(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    # The answers go elsewhere; the prompt shall not go with them.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return input()


def _take_turn(runner: asyncio.Runner, talk: Talk, text: str) -> None:
    """Ask, and keep question and answer if all goes well."""
    talk.messages.append(LLMMessage(role="user", content=text))
    try:
        response, told = runner.run(_answered(talk))
    except (LLMError, KeyboardInterrupt) as exc:
        del talk.messages[-1]
        if isinstance(exc, LLMError):
            say_error(exc.message)
        else:
            say("stopped")
        return
    talk.messages.append(response)
    say(told)


async def _answered(talk: Talk) -> tuple[LLMMessage, str]:
    # While a person typed, nobody ran the loop: first let it see which connections have ended.
    await asyncio.sleep(0)
    turn = Turn(talk)
    response = await turn.stream()
    return response.message, figures(response, turn.first_text_s)


def _carry_out(talk: Talk, name: str, value: str) -> None:
    act = _ACTIONS.get(name)
    if act is None:
        say(f"There is no /{name}. {did_you_mean(name, _ACTIONS)}".rstrip() + f"\n{_HELP}")
        return
    try:
        said = act(talk, value)
    except LLMError as error:
        say_error(error.message)
    else:
        say(said)


def _set_provider(talk: Talk, value: str) -> str:
    chosen = talk.registry.get_provider(value).provider_name if value else None
    talk.provider, talk.model = chosen, None
    return _greeting(talk)


def _set_model(talk: Talk, value: str) -> str:
    talk.model = value or None
    return _greeting(talk)


def _set_system(talk: Talk, value: str) -> str:
    talk.system = value or None
    return "system prompt set" if value else "no system prompt"


def _reset(talk: Talk, value: str) -> str:
    del value
    talk.messages.clear()
    return "forgotten"


def _help(talk: Talk, value: str) -> str:
    del talk, value
    return _HELP


_ACTIONS: dict[str, Callable[[Talk, str], str]] = {
    "help": _help,
    "model": _set_model,
    "provider": _set_provider,
    "reset": _reset,
    "system": _set_system,
}
