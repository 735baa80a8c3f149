"""`faultmaven chat`: one answer, or a conversation."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from faultmaven.cli import EXIT_INTERRUPTED, EXIT_OK
from faultmaven.cli.complete import provider_names
from faultmaven.cli.output import say, say_error, write, write_json
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers.registry import get_registry
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.assemble import Assembly

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMResponse

_PROMPT = "you> "
_HELP = """\
/model NAME   talk to another model      /system TEXT  set the system prompt
/reset        forget the conversation    /help         show this
/quit         leave (so does Ctrl-D)     Ctrl-C        stop the answer"""


@dataclass(slots=True)
class _Talk:
    """A conversation: what was said, and how further answers are asked for."""

    provider: BaseLLMProvider
    model: str | None
    system: str | None
    max_tokens: int
    temperature: float
    messages: list[LLMMessage] = field(default_factory=list)

    def request(self) -> LLMRequest:
        return LLMRequest(
            list(self.messages),
            model=self.model,
            system_prompt=self.system,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
        )


@click.command()
@click.argument("prompt", nargs=-1)
@click.option(
    "-p", "--provider", shell_complete=provider_names, help="A provider of the registry."
)
@click.option("-m", "--model", help="One of its models.")
@click.option("-s", "--system", help="System prompt.")
@click.option("--max-tokens", default=1000, show_default=True, type=click.IntRange(min=1))
@click.option("--temperature", default=0.7, show_default=True, type=click.FloatRange(0, 2))
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer and its figures as JSON.")
def chat(prompt: tuple[str, ...], **options: Any) -> int:
    """Answer PROMPT (or the standard input), or hold a conversation on a terminal.

    The provider is CHAT_PROVIDER of .env unless --provider names another; without either it is the
    embedded model, which needs no key and no network.
    """
    as_json, no_stream = options.pop("as_json"), options.pop("no_stream")
    text = " ".join(prompt)
    if text in ("", "-") and not sys.stdin.isatty():
        text = sys.stdin.read().strip()
        if not text:
            msg = "nothing to answer: give a prompt as an argument or on the standard input"
            raise click.UsageError(msg)
    provider = get_registry().get_provider(options.pop("provider"))
    talk = _Talk(provider, **options)
    return asyncio.run(_run(talk, text, as_json=as_json, whole=no_stream or as_json))


async def _run(talk: _Talk, text: str, *, as_json: bool, whole: bool) -> int:
    async with get_registry():
        if not text:
            return await _converse(talk)
        talk.messages.append(LLMMessage(role="user", content=text))
        response = await (_whole(talk) if whole else _streamed(talk))
        if response is None:
            return EXIT_INTERRUPTED
        if as_json:
            write_json(response.to_dict() | {"raw_response": None})
            return EXIT_OK
        if whole:
            write(response.content)
        say(_figures(response))
        return EXIT_OK


async def _converse(talk: _Talk) -> int:
    """Read prompts until the end of the input; an error ends an answer, not the conversation."""
    import readline  # noqa: F401  # line editing and history for input()

    model = talk.provider.get_effective_model(talk.model)
    say(f"{talk.provider.provider_name} · {model} · /help for commands")
    while True:
        try:
            text = (await asyncio.to_thread(input, _PROMPT)).strip()
        except EOFError:
            write()
            return EXIT_OK
        if text.startswith("/"):
            if _command(talk, text):
                return EXIT_OK
        elif text:
            await _turn(talk, text)


async def _turn(talk: _Talk, text: str) -> None:
    talk.messages.append(LLMMessage(role="user", content=text))
    try:
        response = await _streamed(talk)
    except LLMError as error:
        say_error(error.message)
        response = None
    if response is None:
        talk.messages.pop()
        return
    talk.messages.append(response.message)
    say(_figures(response))


def _command(talk: _Talk, text: str) -> bool:
    """Carry out a slash command; True means that the person leaves."""
    name, _, value = text.partition(" ")
    if name in ("/quit", "/exit"):
        return True
    if name == "/reset":
        talk.messages.clear()
    elif name == "/model" and value:
        talk.model = value.strip()
    elif name == "/system":
        talk.system = value.strip() or None
    else:
        say(_HELP)
    return False


async def _whole(talk: _Talk) -> LLMResponse | None:
    return await _interruptible(talk.provider.complete(talk.request()))


async def _streamed(talk: _Talk) -> LLMResponse | None:
    return await _interruptible(_print_stream(talk))


async def _print_stream(talk: _Talk) -> LLMResponse:
    started = time.perf_counter()
    assembly = Assembly()
    async with aclosing(talk.provider.stream_complete(talk.request())) as chunks:
        async for chunk in chunks:
            assembly.add(chunk)
            if chunk.text:
                write(chunk.text, end="")
    write()
    response = assembly.response()
    response.provider = talk.provider.provider_name
    response.response_time_ms = max(1, round((time.perf_counter() - started) * 1000))
    response.cost_usd = talk.provider.calculate_cost(
        talk.provider.get_effective_model(talk.model),
        response.input_tokens or 0,
        response.output_tokens or 0,
        cache_read_tokens=response.cache_read_tokens or 0,
        cache_write_tokens=response.cache_write_tokens or 0,
    )
    return response


async def _interruptible(work: Any) -> LLMResponse | None:
    """Let Ctrl-C cancel the answer, and not the program; None means that it did."""
    task: asyncio.Task[LLMResponse] = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        write()
        say("stopped")
        return None
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _figures(response: LLMResponse) -> str:
    """Give tokens, time and cost in a line."""
    seconds = response.response_time_ms / 1000
    tokens = "tokens unknown"
    if response.output_tokens is not None:
        tokens = f"{response.input_tokens or 0} + {response.output_tokens} tokens"
    cost = "cost unknown" if response.cost_usd is None else f"${response.cost_usd:.6f}"
    return f"[{response.provider} · {response.model} · {tokens} · {seconds:.1f} s · {cost}]"
