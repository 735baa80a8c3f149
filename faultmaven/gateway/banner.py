"""What is said when the gateway listens: where it is, and lines to paste that ask it something."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from faultmaven import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faultmaven.gateway.app import Gateway
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

    # Asks the model something on the terminal, before the banner.
    Hello = Callable[[ProviderRegistry], Awaitable[None]]

# Not to bind to: a client needs another address.
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, never bound


class Greeter:
    """Prints the banner once the gateway listens.

    Args:
        gateway: what listens.
        hello: asked first, so that the banner comes when a model has answered; None asks nothing.
    """

    def __init__(self, gateway: Gateway, hello: Hello | None = None) -> None:
        self._gateway = gateway
        self._hello = hello
        self._task: asyncio.Task[None] | None = None

    def __call__(self, port: int) -> None:
        """Greet; what has to be waited for is waited for beside the requests."""
        if self._hello is None:
            self._print(port)
        else:
            self._task = asyncio.create_task(self._ask_and_print(self._hello, port))

    async def _ask_and_print(self, hello: Hello, port: int) -> None:
        await hello(self._gateway.registry)
        if not self._gateway.is_draining:
            self._print(port)

    def _print(self, port: int) -> None:
        sys.stderr.write(make_banner(self._gateway, port))
        sys.stderr.flush()


def make_banner(gateway: Gateway, port: int) -> str:
    """Write the lines for a person who has just started it; no key is among them.

    Each part under a `#` can be pasted as it stands, with its `#`: into a shell, or into Python.
    """
    options = gateway.options
    host = "127.0.0.1" if options.host in _EVERYWHERE else options.host
    host = f"[{host}]" if ":" in host else host
    base = f"http://{host}:{port}"
    has_keys = bool(options.keys)
    workers = f", {options.workers} workers" if options.workers > 1 else ""
    count = len(gateway.names.names())
    first = (
        f"FaultMaven {__version__} listens on {base}{workers}; {count} models, "
        f"keys {'on' if has_keys else 'off'}. Ctrl-C ends it."
    )
    if has_keys:
        first += "\nThe lines below want one of its keys: export FAULTMAVEN_KEY=…"
    model = _model_of(gateway)
    return f"{first}\n\n{_snippets(base, model, _limit_for(gateway, model), has_keys=has_keys)}"


def _model_of(gateway: Gateway) -> str:
    """Give a model to ask: one of the default provider's where it has any."""
    names = gateway.names.names()
    own = f"{gateway.names.default}/"
    return next((name for name in names if name.startswith(own)), names[0] if names else "a/model")


def _limit_for(gateway: Gateway, model: str) -> int | None:
    """Give the tokens to ask for: small models on one's own machine talk for minutes without a limit."""
    provider = model.partition("/")[0]
    rows = gateway.registry.get_all_provider_names()
    is_local = provider in rows and gateway.registry.get_row(provider).get("local")
    return 100 if is_local else None


def _snippets(base: str, model: str, limit: int | None, *, has_keys: bool) -> str:
    header = ' -H "Authorization: Bearer $FAULTMAVEN_KEY"' if has_keys else ""
    shell_key = "$FAULTMAVEN_KEY" if has_keys else "anything"
    python_key = 'os.environ["FAULTMAVEN_KEY"]' if has_keys else '"anything"'
    first = "import os\n" if has_keys else ""
    # Some models of OpenAI's refuse this name for it; what is relayed to them is not renamed.
    json_limit = f'"max_tokens": {limit}, ' if limit else ""
    python_limit = f"max_tokens={limit}, " if limit else ""
    question = '[{"role": "user", "content": "Hello"}]'
    return f"""\
# curl
curl {base}/v1/chat/completions{header} -H 'content-type: application/json' \\
  -d '{{"model": "{model}", {json_limit}"messages": {question}}}'

# Python, after: pip install openai
{first}from openai import OpenAI
client = OpenAI(base_url="{base}/v1", api_key={python_key})
answer = client.chat.completions.create(
    model="{model}", {python_limit}messages={question}
)
print(answer.choices[0].message.content)

# Python, after: pip install anthropic
{first}from anthropic import Anthropic
client = Anthropic(base_url="{base}", api_key={python_key})
answer = client.messages.create(
    model="{model}", max_tokens={limit or 200}, messages={question}
)
print(answer.content[0].text)

# other programs with OpenAI's or Anthropic's clients inside, Claude Code too
export OPENAI_BASE_URL={base}/v1 OPENAI_API_KEY={shell_key}
export ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={shell_key}

# every model, and whether it is well
curl -s {base}/v1/models{header}
curl -s {base}/health/ready

"""
