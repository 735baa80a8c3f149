"""`faultmaven smoke`: three calls that tell whether a running gateway works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.output import write
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.http import HTTPTransport

TIMEOUT_S: Final = 120.0
QUESTION: Final = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}
# Of each call: method, path, and what the answer must have.
_CALLS: Final = (
    ("GET", "/health", ("status", "provider")),
    ("GET", "/models", ("models",)),
    ("POST", "/chat", ("content", "provider", "usage")),
)


@click.command()
@click.argument("url")
@click.option(
    "--key", help="The gateway's key; the first of FAULTMAVEN_GATEWAY_KEYS if not named."
)
def smoke(url: str, key: str | None) -> int:
    """Try /health, /models and /chat of the gateway at URL, as http://127.0.0.1:8080.

    Prints a line for each; the third asks a model, which may cost a fraction of a cent.
    """
    if key is None:
        keys = start_registry().settings.faultmaven_gateway_keys
        key = keys[0] if keys else ""
    address = url if "://" in url else f"http://{url}"
    return EXIT_OK if asyncio.run(_try_all(address.rstrip("/"), key)) else EXIT_FAILED


async def _try_all(url: str, key: str) -> bool:
    from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy

    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    transport = HTTPTransport("the gateway", TransportPolicy())
    problems = []
    try:
        for method, path, fields in _CALLS:
            problem = await _try(transport, method, url + path, headers, fields)
            write(f"FAILED {path}: {problem}" if problem else f"OK {path}")
            problems.append(problem)
    finally:
        await transport.close()
    return not any(problems)


async def _try(
    transport: HTTPTransport,
    method: str,
    url: str,
    headers: dict[str, str],
    fields: tuple[str, ...],
) -> str:
    """Make one call; give what is wrong with its answer, "" for nothing."""
    from faultmaven.infrastructure.llm import codec
    from faultmaven.infrastructure.llm.errors import LLMError

    body = codec.dumps(QUESTION) if method == "POST" else None
    try:
        reply = await transport.fetch(method, url, headers, body, timeout_s=TIMEOUT_S)
    except LLMError as error:
        return error.message
    text = reply.body.decode("utf-8", "replace")
    if reply.status != 200:
        return f"HTTP {reply.status}: {text[:500]}"
    data = _parsed(text)
    missing = [name for name in fields if name not in data]
    return f"the answer has no {', '.join(missing)}: {text[:200]}" if missing else ""


def _parsed(text: str) -> dict[str, Any]:
    from faultmaven.infrastructure.llm import codec

    try:
        data = codec.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
