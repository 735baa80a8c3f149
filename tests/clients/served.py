"""A gateway as its clients meet it: the command `faultmaven serve`, in front of one scripted upstream.

The upstream speaks every dialect; a provider of the gateway stands for each of them, so that a model's
name chooses what the gateway has to translate into.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "gk-clients-0123456789"
UPSTREAM_KEY = "sk-upstream-0123456789"
# Providers by dialect: class, and the dialect's name at the fake upstream.
DIALECTS = {
    "chat": ("OpenAIProvider", "openai"),
    "messages": ("AnthropicProvider", "anthropic"),
    "responses": ("OpenAIResponsesProvider", "openai"),
    "gemini": ("GeminiProvider", "gemini"),
    "ollama": ("OllamaProvider", "ollama"),
    "cohere": ("CohereProvider", "cohere"),
}
START_TIMEOUT_S = 60.0
_ADDRESS = re.compile(r"listens on (http://\S+?)[,;]")
_LAST_LINE = re.compile(r"curl .*/health/ready\n")


class Served:
    """A running gateway.

    Attributes:
        url: scheme, host and port.
        key: what it lets in.
        banner: what it said when it listened.
    """

    def __init__(self, banner: str, key: str = KEY) -> None:
        found = _ADDRESS.search(banner)
        assert found is not None, f"the gateway did not start: {banner}"
        self.url = found[1]
        self.key = key
        self.banner = banner

    @property
    def base_url(self) -> str:
        """What OpenAI's clients are given."""
        return f"{self.url}/v1"


def provider_rows(base_url_for: Any) -> dict[str, Any]:
    """Give a row for every dialect of an upstream."""
    return {
        f"up-{name}": {
            "provider_class": provider_class,
            "default_base_url": base_url_for(dialect),
            "default_model": "fake-model",
            "api_key_var": "UPSTREAM_KEY",
            "max_retries": 0,
        }
        for name, (provider_class, dialect) in DIALECTS.items()
    }


@contextmanager
def serving(
    folder: Path, rows: dict[str, Any], *options: str, **variables: str
) -> Iterator[Served]:
    """Run `faultmaven serve` on a free port.

    What it says is kept in `folder`.  Without rows there is no configuration but the variables.
    """
    environment = {
        # Where coverage is measured, it is measured in this process, too.
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        "UPSTREAM_KEY": UPSTREAM_KEY,
        "FAULTMAVEN_GATEWAY_KEYS": KEY,
        **variables,
    }
    command = [sys.executable, "-m", "faultmaven", "serve", "--port", "0", *options]
    if rows:
        # What one test breaks must not keep the next from asking.
        file = {"providers": rows, "circuit": {"enabled": False}}
        (folder / "faultmaven.yaml").write_text(yaml.safe_dump(file))
        environment.setdefault("CHAT_PROVIDER", next(iter(rows)))
    with (
        (folder / "gateway.log").open("w") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        # It says a line for every call, and waits for somebody to read it.
        rest = threading.Thread(target=output.writelines, args=(process.stderr,))
        try:
            banner = _banner(process.stderr)
            rest.start()
            yield Served(banner)
        finally:
            _end(process)
            if rest.ident is not None:
                rest.join()


def _banner(said: Iterator[str]) -> str:
    """Read what it says until it has said how to ask it."""
    lines = []
    for line in said:
        lines.append(line)
        if _LAST_LINE.match(line):
            break
    return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(START_TIMEOUT_S)
    finally:
        process.kill()
